"""Recurrent layers in ONNX: its own operators where a cell is one of them, else its equations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from recurra.cells import GRU, IRNN, LSTM, RNN, OriginalGRU
from recurra.deploy.export.cell_values import CellValues
from recurra.deploy.export.onnx_graph import OnnxGraph, onnx_library
from recurra.ir import Node
from recurra.nn.program import Recurrence

__all__ = ["Carried", "recurrence_nodes"]

FLOAT, BOOL = 1, 9
"""Numbers of element types in ONNX."""


class Carried(NamedTuple):
    """The names of a recurrence's states, (rows, B, size) each, before and after a call."""

    before: Sequence[str]
    after: Sequence[str]


def recurrence_nodes(
    graph: OnnxGraph,
    recurrence: Recurrence,
    x: str,
    before: Sequence[str],
    lengths: str | None,
    active: str | None,
) -> tuple[str, list[str]]:
    """The outputs (T, B, size) of one direction of a layer for x (T, B, I), and its states after.

    before: states (rows, B, size). lengths (B,) int64 and active (T, B, 1) bool: None where every
    row has all steps.
    """
    plain = recurrence.dilation == 1 and recurrence.time_skip == 0
    operator = _operator_of(recurrence) if plain else None
    if operator is not None:
        return _by_operator(graph, recurrence, operator, x, before, lengths)
    return _by_scan(graph, recurrence, x, before, active)


class _Operator(NamedTuple):
    name: str
    order: Sequence[int]
    attributes: Mapping[str, Any]


def _operator_of(recurrence: Recurrence) -> _Operator | None:
    """ONNX's operator with these equations, and where it has its gates."""
    digest = recurrence.graph.digest()
    with_bias = "b" in recurrence.params
    known: list[tuple[Any, _Operator]] = [
        (LSTM(), _Operator("LSTM", (0, 3, 1, 2), {})),
        (GRU(), _Operator("GRU", (1, 0, 2), {"linear_before_reset": 1})),
        (OriginalGRU(), _Operator("GRU", (1, 0, 2), {"linear_before_reset": 0})),
        (RNN(), _Operator("RNN", (0,), {"activations": ["Tanh"]})),
        (RNN(nonlinearity="relu"), _Operator("RNN", (0,), {"activations": ["Relu"]})),
        (IRNN(), _Operator("RNN", (0,), {"activations": ["Relu"]})),
    ]
    return next((op for cell, op in known if cell.graph(bias=with_bias).digest() == digest), None)


def _by_operator(
    graph: OnnxGraph,
    recurrence: Recurrence,
    operator: _Operator,
    x: str,
    before: Sequence[str],
    lengths: str | None,
) -> tuple[str, list[str]]:
    params = {name: value.numpy() for name, value in recurrence.params.items()}
    gates = len(operator.order)
    w, u = (_ordered(params[name], operator.order) for name in ("W", "U"))
    bias = np.zeros((2, gates * recurrence.size), np.float32)
    if "b" in params:
        bias[0] = _ordered(params["b"], operator.order)
    if "b_h" in params:
        bias[1, -recurrence.size :] = params["b_h"]
    sequence_lens = "" if lengths is None else graph.add("Cast", lengths, to=6)
    args = [
        x,
        graph.constant(w[None]),
        graph.constant(u[None]),
        graph.constant(bias.reshape(1, -1)),
        sequence_lens,
        *before,
    ]
    y, *after = graph.add_many(
        operator.name,
        args,
        1 + len(before),
        hidden_size=recurrence.size,
        direction="reverse" if recurrence.reverse else "forward",
        **operator.attributes,
    )
    if lengths is not None:
        # ONNX Runtime gives zeros, not the initial state, for a row without steps.
        empty = graph.add("Equal", lengths, graph.integers(0))
        empty = graph.unsqueeze(empty, 1)
        after = [graph.add("Where", empty, b, a) for b, a in zip(before, after, strict=True)]
    return graph.squeeze(y, 1), after


def _ordered(stacked: Any, order: Sequence[int]) -> Any:
    """The gates of a stored parameter in another order."""
    parts = np.split(stacked, len(order))
    return np.concatenate([parts[place] for place in order])


def _by_scan(
    graph: OnnxGraph, recurrence: Recurrence, x: str, before: Sequence[str], active: str | None
) -> tuple[str, list[str]]:
    """A loop over time whose body is a step; what no state reaches is computed before it."""
    values = CellValues(recurrence)
    stepped = values.graph.stateful
    own_input = recurrence.time_skip > 0
    writer = _Equations(graph, values)
    outside: dict[Node, str] = {}
    for node in values.graph.nodes:
        if node.op == "input":
            outside[node] = x
        elif node in values.timed and node not in stepped and not own_input:
            writer.write(node, outside)
    inside_nodes = [n for n in values.timed if n not in outside]
    read = {a for n in (*inside_nodes, *_results(values)) for a in n.args} | {*_results(values)}
    crossing = [n for n in outside if n in read]
    scanned = [outside[n] for n in crossing] or [x]
    body = _Body(graph, recurrence, values, crossing, active is not None)
    inputs = [*before, *scanned, *([] if active is None else [active])]
    direction = [int(recurrence.reverse)]
    outputs = graph.add_many(
        "Scan",
        inputs,
        len(before) + 1,
        body=body.made(inside_nodes),
        num_scan_inputs=len(inputs) - len(before),
        scan_input_directions=direction * (len(inputs) - len(before)),
        scan_output_directions=direction,
    )
    return outputs[-1], outputs[:-1]


def _results(values: CellValues) -> tuple[Node, ...]:
    return values.graph.results


class _Body:
    """The body of a loop: states (rows, B, size), what a step reads, and whether rows go on."""

    def __init__(
        self,
        outer: OnnxGraph,
        recurrence: Recurrence,
        values: CellValues,
        crossing: Sequence[Node],
        has_active: bool,
    ) -> None:
        self._graph = OnnxGraph(outer)
        self._recurrence, self._values = recurrence, values
        self._crossing, self._has_active = crossing, has_active

    def made(self, nodes: Sequence[Node]) -> Any:
        """The body that computes these nodes."""
        graph, own = self._graph, self._recurrence
        states = [graph.name("state") for _ in own.state_sizes]
        skipped = [graph.name("skipped")] if own.time_skip else []
        scanned = [graph.name("scanned") for _ in range(max(1, len(self._crossing)))]
        active = [graph.name("active")] if self._has_active else []
        known: dict[Node, str] = dict(zip(self._crossing, scanned, strict=False))
        rows = own.dilation
        first = [graph.squeeze(graph.slice(name, 0, 0, 1), 0) for name in states]
        for node in self._values.graph.nodes:
            if node.op == "state":
                known[node] = first[self._values.graph.states.index(str(node.detail))]
            elif node.op == "input" and own.time_skip:
                past = graph.squeeze(graph.slice(skipped[0], 0, 0, 1), 0)
                known[node] = graph.add("Concat", scanned[0], past, axis=-1)
        writer = _Equations(graph, self._values)
        for node in nodes:
            writer.write(node, known)
        new = [
            self._expanded(writer.read(node, known), name)
            for node, name in zip(self._values.graph.results, first, strict=True)
        ]
        y = new[0]
        after = [
            self._shifted(name, value, rows, active)
            for name, value in zip(states, new, strict=True)
        ]
        if active:
            y = graph.add("Where", active[0], y, graph.constant(0))
        if skipped:
            after.append(self._shifted(skipped[0], new[0], own.time_skip, active))
        return self._model([*states, *skipped], [*scanned, *active], after, y)

    def _expanded(self, value: str, like: str) -> str:
        """A value as wide as a state: a constant or a number of each row may be narrower."""
        graph = self._graph
        return graph.add("Expand", value, graph.add("Shape", like))

    def _shifted(self, rows: str, new: str, count: int, active: Sequence[str]) -> str:
        """Rows (count, B, size) with the oldest gone and a new one at the end."""
        graph = self._graph
        found = graph.unsqueeze(new, 0)
        if count > 1:
            found = graph.add("Concat", graph.slice(rows, 0, 1, count), found, axis=0)
        return graph.add("Where", active[0], found, rows) if active else found

    def _model(
        self, states: Sequence[str], scanned: Sequence[str], after: Sequence[str], y: str
    ) -> Any:
        graph, helper = self._graph, onnx_library("onnx.helper")
        kinds = [FLOAT] * len(states) + [
            BOOL if self._has_active and name == scanned[-1] else FLOAT for name in scanned
        ]
        ins = [
            helper.make_tensor_value_info(name, kind, None)
            for name, kind in zip([*states, *scanned], kinds, strict=True)
        ]
        # An output of a body must be made in it, once for each.
        outs = [graph.add("Identity", name) for name in (*after, y)]
        made = [helper.make_tensor_value_info(name, FLOAT, None) for name in outs]
        return helper.make_graph(graph.nodes, graph.name("step"), ins, made)


class _Equations:
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
