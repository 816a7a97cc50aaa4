"""norms and gates: compact forms give way to the operations that the other passes know.

`norm(v)` becomes `(v - mean(v)) * rstd(v) * gain + bias`; `rstd(v)` is 1 / sqrt(variance + eps).
`(W @ x + U @ h + b).i` becomes `W.i @ x + U.i @ h + b.i`, so that no vector holds several gates.
"""

from dataclasses import replace

from recurra.ir import OPS, Graph, Node, Size, rewrite

__all__ = ["gates", "norms"]


def norms(graph: Graph) -> Graph:
    """The same graph with every normalisation spelt out."""
    return replace(graph, results=rewrite(graph.results, _without_norm))


def _without_norm(node: Node) -> Node:
    if node.op != "normalize":
        return node
    vector, gain, bias = node.args

    def made(op: str, *args: Node, detail: object = None) -> Node:
        return Node(op, args, detail, node.shape, node.where)

    centred = made("sub", vector, made("mean", vector))
    scaled = made("mul", centred, made("rstd", vector, detail=node.detail))
    return replace(made("add", made("mul", scaled, gain), bias), name=node.name)


def gates(graph: Graph) -> Graph:
    """The same graph with each gate taken as early as can be: at the parameters."""
    return replace(
        graph, results=rewrite(graph.results, lambda node: _with_early_gate(graph, node))
    )


def _with_early_gate(graph: Graph, node: Node) -> Node:
    if node.op != "gate":
        return node
    assert isinstance(node.detail, tuple)
    return replace(_part(graph, node.args[0], str(node.detail[1])), name=node.name)


def _part(graph: Graph, node: Node, gate: str) -> Node:
    """One gate's part of a vector that holds all, or of the matrix whose product does."""
    if not _holds_all(graph, node):
        return node
    shape = (Size(node.shape[0].name), *node.shape[1:])
    if node.op == "param":
        assert isinstance(node.detail, tuple)
        return replace(node, detail=(node.detail[0], gate), shape=shape)
    if node.op == "product":
        matrix = _part(graph, node.args[0], gate)
        return replace(node, args=(matrix, node.args[1]), shape=shape, name=None)
    if OPS[node.op].kind in ("unary", "binary"):
        args = tuple(_part(graph, a, gate) for a in node.args)
        return replace(node, args=args, shape=shape, name=None)
    if node.op in ("mean", "rstd"):
        args = tuple(_part(graph, a, g) for a in node.args for g in graph.gates)
        return replace(node, args=args, shape=shape, name=None)
    return Node("gate", (node,), (graph.gates.index(gate), gate), shape, node.where)


def _holds_all(graph: Graph, node: Node) -> bool:
    return bool(node.shape) and node.shape[0].times == len(graph.gates) > 1
