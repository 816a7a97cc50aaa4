"""norms: a normalisation gives way to the row's mean and deviation.

`norm(v)` becomes `(v - mean(v)) * rstd(v) * gain + bias`; `rstd(v)` is 1 / sqrt(variance + eps).
"""

from dataclasses import replace

from recurra.ir import Graph, Node, rewrite

__all__ = ["norms"]


def norms(graph: Graph) -> Graph:
    """The same graph with every normalisation spelt out."""
    return replace(graph, results=rewrite(graph.results, _rule))


def _rule(node: Node) -> Node:
    if node.op != "normalize":
        return node
    vector, gain, bias = node.args

    def made(op: str, *args: Node, detail: object = None) -> Node:
        return Node(op, args, detail, node.shape, node.where)

    centred = made("sub", vector, made("mean", vector))
    scaled = made("mul", centred, made("rstd", vector, detail=node.detail))
    return replace(made("add", made("mul", scaled, gain), bias), name=node.name)
