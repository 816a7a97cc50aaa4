"""The equations of a cell as nodes of ONNX."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from recurra.deploy.export.cell_values import CellValues
from recurra.deploy.export.onnx_graph import OnnxGraph
from recurra.ir import Node

__all__ = ["OnnxEquations"]


class OnnxEquations:
    """Writes nodes of a cell's equations as nodes of ONNX."""

    def __init__(self, graph: OnnxGraph, values: CellValues) -> None:
        self._graph, self._values = graph, values
        self._magnifies = any(node.op in _MAGNIFYING for node in values.graph.nodes)

    def read(self, node: Node, known: Mapping[Node, str]) -> str:
        """The name of a node's value."""
        if node in known:
            return known[node]
        return self._graph.constant(self._values.fixed[node])

    def write(self, node: Node, known: dict[Node, str]) -> None:
        """Add a node, whose arguments are known."""
        graph = self._graph
        if node.op == "product":
            matrix = self._values.fixed[node.args[0]]
            vector = self.read(node.args[1], known)
            known[node] = graph.add("MatMul", vector, graph.constant(matrix.T))
            return
        args = [self.read(a, known) for a in node.args]
        if node.op == "gate":
            assert isinstance(node.detail, tuple)
            index, width = node.detail[0], node.shape[0].value(self._sizes())
            known[node] = graph.slice(args[0], -1, index * width, (index + 1) * width)
        elif node.op == "normalize":
            known[node] = graph.add("LayerNormalization", *args, axis=-1, epsilon=node.detail)
        elif node.op == "sigmoid" and self._magnifies:
            known[node] = _exact_sigmoid(graph, *args)
        elif node.op in ("mean", "rstd"):
            known[node] = _statistic(graph, node, args)
        else:
            known[node] = _RULES[node.op](graph, *args)

    def _sizes(self) -> Mapping[str, int]:
        own = self._values.recurrence
        found: dict[str, int] = {}
        for size, number in zip(self._values.graph.state_sizes, own.state_sizes, strict=True):
            found[size.name] = number // size.times
        return found


def _statistic(graph: OnnxGraph, node: Node, args: Sequence[str]) -> str:
    whole = args[0] if len(args) == 1 else graph.add("Concat", *args, axis=-1)
    axes = graph.integers(-1)
    mean = graph.add("ReduceMean", whole, axes, keepdims=1)
    if node.op == "mean":
        return mean
    centred = graph.add("Sub", whole, mean)
    top = graph.add("ReduceMax", graph.add("Abs", centred), axes, keepdims=1)
    top = graph.add("Max", top, graph.constant(1))
    scaled = graph.add("Div", centred, top)
    variance = graph.add("ReduceMean", graph.add("Mul", scaled, scaled), axes, keepdims=1)
    eps = graph.add("Div", graph.constant(node.detail), graph.add("Mul", top, top))
    root = graph.add("Sqrt", graph.add("Add", variance, eps))
    return graph.add("Reciprocal", graph.add("Mul", root, top))


_MAGNIFYING = frozenset({"sqrt", "bounded_sqrt", "log", "log1p", "log_sigmoid", "div"})
"""Operations whose result can change much where an argument near 0 changes little."""


def _exact_sigmoid(graph: OnnxGraph, a: str) -> str:
    """1 / (1 + exp(-a)): ONNX Runtime's own is never below 1.5e-8."""
    grown = graph.add("Exp", graph.add("Neg", a))
    return graph.add("Reciprocal", graph.add("Add", grown, graph.constant(1)))


def _expm1(graph: OnnxGraph, a: str) -> str:
    """exp(a) - 1 = tanh(a / 2) (exp(a) + 1), without loss near 0."""
    half = graph.add("Tanh", graph.add("Mul", a, graph.constant(0.5)))
    return graph.add("Mul", half, graph.add("Add", graph.add("Exp", a), graph.constant(1)))


def _log1p(graph: OnnxGraph, a: str) -> str:
    """log(1 + a); near 0 it is 2 atanh(a / (2 + a)), without loss."""
    one, two = graph.constant(1), graph.constant(2)
    near = graph.add("Less", graph.add("Abs", a), graph.constant(0.5))
    ratio = graph.add("Div", a, graph.add("Add", a, two))
    small = graph.add("Mul", graph.add("Atanh", ratio), two)
    return graph.add("Where", near, small, graph.add("Log", graph.add("Add", a, one)))


def _where_positive(graph: OnnxGraph, a: str, b: str, c: str) -> str:
    return graph.add("Where", graph.add("Greater", a, graph.constant(0)), b, c)


def _named(op: str) -> Callable[..., str]:
    return lambda graph, *args: graph.add(op, *args)


_RULES: Mapping[str, Callable[..., str]] = {
    "neg": _named("Neg"),
    "sigmoid": _named("Sigmoid"),
    "tanh": _named("Tanh"),
    "relu": _named("Relu"),
    "exp": _named("Exp"),
    "expm1": _expm1,
    "log": _named("Log"),
    "log1p": _log1p,
    "sqrt": _named("Sqrt"),
    "bounded_sqrt": _named("Sqrt"),
    "softplus": _named("Softplus"),
    "log_sigmoid": lambda graph, a: graph.add("Neg", graph.add("Softplus", graph.add("Neg", a))),
    "abs": _named("Abs"),
    "add": _named("Add"),
    "sub": _named("Sub"),
    "mul": _named("Mul"),
    "div": _named("Div"),
    "maximum": _named("Max"),
    "minimum": _named("Min"),
    "where_positive": _where_positive,
}
"""Every operation of the language on vectors that ONNX has, or how it is made."""
