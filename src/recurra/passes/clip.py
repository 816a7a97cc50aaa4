"""clip: the backward loop with each element of dL/dh_t limited as it flows back through a step."""

from __future__ import annotations

from dataclasses import replace

from recurra.ir import Loop, Node, Outside, in_order

__all__ = ["clip"]


def clip(loop: Loop) -> Loop:
    """The backward loop with one outside value more, the last: the limit, a scalar."""
    limit = Node("const", (), 0.0, ())
    index = len(loop.outside)
    bound = Node("outer", (), (index, None), ())
    output = loop.states[0]
    done: dict[Node, Node] = {}
    for root in (*loop.results, *(e.node for e in loop.emissions)):
        for node in in_order((root,)):
            if node not in done:
                rebuilt = _rebuilt(node, done)
                done[node] = _limited(rebuilt, bound) if _is_incoming(node, output) else rebuilt
    emissions = tuple(replace(e, node=done[e.node]) for e in loop.emissions)
    outside = (*loop.outside, Outside(limit, timed=False))
    results = tuple(done[r] for r in loop.results)
    return replace(loop, outside=outside, results=results, emissions=emissions)


def _is_incoming(node: Node, state: str) -> bool:
    """Whether a node is all of dL/dh_t: what comes from the step after and from the output."""
    leaves = {(a.op, a.detail) for a in node.args}
    return node.op == "add" and leaves == {("adjoint", state), ("seed", state)}


def _rebuilt(node: Node, done: dict[Node, Node]) -> Node:
    args = tuple(done[a] for a in node.args)
    return node if args == node.args else replace(node, args=args)


def _limited(node: Node, bound: Node) -> Node:
    below = Node("minimum", (node, bound), None, node.shape, node.where)
    least = Node("neg", (bound,), None, ())
    return Node("maximum", (below, least), None, node.shape, node.where)
