"""norms: a normalisation of what depends on a state gives way to the row's mean and deviation.

`norm(v)` becomes `(v - mean(v)) * rstd(v) * gain + bias`; `rstd(v)` is 1 / sqrt(variance + eps). Those of
the input alone stay: they leave the loop as they are.
"""

from dataclasses import replace

from weft.ir import Graph, Node, in_order, rewrite

__all__ = ["norms"]


def norms(graph: Graph) -> Graph:
    """The same graph with every normalisation inside the recurrence spelt out."""
    return replace(graph, results=rewrite(graph.results, _rule))


def _rule(node: Node) -> Node:
    if node.op != "normalize" or all(n.op != "state" for n in in_order(node.args)):
        return node
    vector, gain, bias = node.args

    def made(op: str, *args: Node, detail: object = None) -> Node:
        return Node(op, args, detail, node.shape, node.where)

    centred = made("sub", vector, made("mean", vector))
    scaled = made("mul", centred, made("rstd", vector, detail=node.detail))
    return replace(made("add", made("mul", scaled, gain), bias), name=node.name)
