"""fuse: products that are only ever added to one another share one accumulator."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from recurra.ir import Node, in_order

__all__ = ["fuse"]


def fuse(
    nodes: tuple[Node, ...],
) -> tuple[tuple[tuple[Node, ...], ...], tuple[Node, ...]]:
    """Sums of products, and the nodes with products given way to the leaves `sum`."""
    uses = Counter(a for n in in_order(nodes) for a in n.args)
    uses.update(nodes)
    sums: list[tuple[Node, ...]] = []
    done: dict[Node, Node] = {}

    def leaf(products: list[Node]) -> Node:
        sums.append(tuple(products))
        return Node("sum", (), len(sums) - 1, products[0].shape, products[0].where)

    def build(node: Node) -> Node:
        if node not in done:
            done[node] = _rebuilt(node)
        return done[node]

    def _rebuilt(node: Node) -> Node:
        if node.op == "product":
            return leaf([node])
        if node.op in ("add", "sub"):
            terms = _terms(node, uses)
            products = [t for sign, t in terms if sign > 0 and t.op == "product" and uses[t] == 1]
            if len(products) > 1:
                total = leaf(products)
                for sign, term in terms:
                    if term not in products:
                        args = (build(term), total) if sign > 0 else (total, build(term))
                        op = "add" if sign > 0 else "sub"
                        total = Node(op, args, None, node.shape, node.where)
                return total
        return replace(node, args=tuple(build(a) for a in node.args))

    rebuilt = tuple(build(n) for n in nodes)
    return tuple(sums), rebuilt


def _terms(
    node: Node, uses: Counter[Node], sign: int = 1, *, inner: bool = False
) -> list[tuple[int, Node]]:
    """The terms of a sum with their signs; a sum that others use too is a term."""
    if node.op not in ("add", "sub") or (inner and uses[node] > 1):
        return [(sign, node)]
    left, right = node.args
    other = sign if node.op == "add" else -sign
    return _terms(left, uses, sign, inner=True) + _terms(right, uses, other, inner=True)
