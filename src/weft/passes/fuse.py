"""fuse: products that are only ever added to one another share one accumulator."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from weft.ir import Node, in_order

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
        if node.op == "add":
            terms = _addends(node, uses)
            products = [t for t in terms if t.op == "product" and uses[t] == 1]
            if len(products) > 1:
                total = leaf(products)
                for term in terms:
                    if term not in products:
                        total = Node("add", (build(term), total), None, node.shape, node.where)
                return total
        return replace(node, args=tuple(build(a) for a in node.args))

    rebuilt = tuple(build(n) for n in nodes)
    return tuple(sums), rebuilt


def _addends(node: Node, uses: Counter[Node], *, inner: bool = False) -> list[Node]:
    if node.op != "add" or (inner and uses[node] > 1):
        return [node]
    left, right = node.args
    return _addends(left, uses, inner=True) + _addends(right, uses, inner=True)
