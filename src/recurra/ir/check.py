"""A legal graph, and the errors of an illegal one; tests run `verify` between passes."""

from collections.abc import Callable

from recurra.ir.graph import OPS, Graph, Node, Size

__all__ = ["verify"]


class RecurraError(Exception):
    """The root of every exception that Recurra raises on its own account."""


class CellError(RecurraError, ValueError):
    """A cell's equations can't be: the message names the file, the line and the equation."""


Shape = tuple[Size, ...]


def verify(graph: Graph) -> None:
    """Raise ValueError, naming the node, unless every node is well formed and fits its shape."""
    if len(graph.results) != len(graph.states) or len(graph.states) != len(graph.state_sizes):
        raise ValueError(f"{graph.cell}: each state needs one result and one size")
    for node in graph.nodes:
        _verify_node(graph, node)
    for name, size, node in zip(graph.states, graph.state_sizes, graph.results, strict=True):
        if node.shape != (size,):
            raise ValueError(f"{graph.cell}: result {name} has shape {node.shape}, not {size}")


def _verify_node(graph: Graph, node: Node) -> None:
    op = OPS.get(node.op)
    if op is None:
        raise ValueError(f"{graph.cell}: `{node.op}` is not an operation of the language")
    if not node.args if op.arity is None else len(node.args) != op.arity:
        raise ValueError(f"{graph.cell}: `{node.op}` takes {op.arity} values, not {len(node.args)}")
    rule = _SHAPE_RULES[op.kind if op.kind != "structure" else node.op]
    if not rule(graph, node):
        shapes = ", ".join(str(a.shape) for a in node.args)
        raise ValueError(f"{graph.cell}: `{node.op}` of {shapes} can't have shape {node.shape}")


def _leaf(graph: Graph, node: Node) -> bool:
    if node.op == "const":
        return node.shape == () and isinstance(node.detail, float)
    if node.op == "state":
        sizes = dict(zip(graph.states, graph.state_sizes, strict=True))
        return node.shape == (sizes.get(str(node.detail)),)
    if node.op == "input":
        return len(node.shape) == 1
    if node.op in ("given", "probe"):
        name, _ = node.detail if isinstance(node.detail, tuple) else (None, None)
        return node.shape == (dict(graph.givens).get(name),)
    return _param(graph, node)


def _param(graph: Graph, node: Node) -> bool:
    name, gate = node.detail if isinstance(node.detail, tuple) else (None, None)
    param = next((p for p in graph.params if p.name == name), None)
    if param is None:
        return False
    if param.kind == "scalar":
        return node.shape == () and gate is None
    whole = gate is None and param.gates
    rows = Size(param.rows.name, len(param.gates)) if whole else param.rows
    columns = () if param.columns is None else (param.columns,)
    return node.shape == (rows, *columns) and (gate is None or gate in param.gates)


def _elementwise(_: Graph, node: Node) -> bool:
    shapes = {a.shape for a in node.args}
    return node.shape == max(shapes, key=len) and len(shapes - {()}) <= 1


def _product(_: Graph, node: Node) -> bool:
    matrix, vector = (a.shape for a in node.args)
    return len(matrix) == 2 and vector == matrix[1:] and node.shape == matrix[:1]


def _gate(graph: Graph, node: Node) -> bool:
    stack = node.args[0].shape
    index, name = node.detail if isinstance(node.detail, tuple) else (-1, None)
    return (
        [s.times for s in stack] == [len(graph.gates)]
        and graph.gates[index : index + 1] == (name,)
        and node.shape == (Size(stack[0].name),)
    )


def _is_of_equal_vectors(node: Node) -> bool:
    return len(node.shape) == 1 and {a.shape for a in node.args} == {node.shape}


_SHAPE_RULES: dict[str, Callable[[Graph, Node], bool]] = {
    "leaf": _leaf,
    "unary": lambda _, node: node.shape == node.args[0].shape,
    "binary": _elementwise,
    "ternary": _elementwise,
    "product": _product,
    "transpose": lambda _, node: node.shape == node.args[0].shape[::-1],
    "gate": _gate,
    "mean": lambda _, node: _is_of_equal_vectors(node),
    "rstd": lambda _, node: _is_of_equal_vectors(node) and isinstance(node.detail, float),
    "normalize": lambda _, node: _is_of_equal_vectors(node) and isinstance(node.detail, float),
}
