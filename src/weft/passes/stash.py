"""stash: which forward values are kept for the backward loop, and which are computed again.

States are kept in any case. A value that follows from states and outside values without a product
is computed again; one that a product took part in is kept. Means and deviations over a row are
computed again from what they are of.
"""

from __future__ import annotations

from dataclasses import replace

from weft.ir import Emission, Loop, Node, in_order

__all__ = ["stash"]

_LEAVES = ("state", "outer", "const")


def stash(forward: Loop, backward: Loop) -> tuple[Loop, Loop]:
    """The forward loop with what it keeps, and the backward loop that reads it."""
    stashing = _Stashing(forward)
    results = tuple(stashing.read(r) for r in backward.results)
    emissions = tuple(stashing.emission(e) for e in backward.emissions)
    saved = tuple(stashing.saved)
    return replace(forward, saved=saved), replace(backward, results=results, emissions=emissions)


class _Stashing:
    def __init__(self, forward: Loop) -> None:
        self.nodes = set(in_order(forward.results))
        self.news = dict(zip(forward.results, forward.states, strict=True))
        self.saved: dict[Node, int] = {}
        self.done: dict[Node, Node] = {}
        for node in in_order(forward.results):
            for arg in node.args if node.op in ("mean", "rstd") else ():
                if arg not in self.news and self._needs_product(arg):
                    self._save(arg)

    def read(self, node: Node) -> Node:
        """How the backward loop comes by a value."""
        found = self.done.get(node)
        if found is None:
            if node in self.nodes and node.op not in _LEAVES:
                found = self._forward_value(node)
            else:
                found = replace(node, args=tuple(self.read(a) for a in node.args))
            self.done[node] = found
        return found

    def emission(self, emission: Emission) -> Emission:
        """A gradient with its node and operand as the backward loop reads them.

        An operand is kept as a whole, since the product over all steps needs it at once.
        """
        operand = emission.operand
        if operand is not None and operand.op not in _LEAVES and operand in self.nodes:
            operand = self._save(operand)
        return replace(emission, node=self.read(emission.node), operand=operand)

    def _forward_value(self, node: Node) -> Node:
        if node in self.news:
            return Node("new", (), self.news[node], node.shape, node.where)
        if node in self.saved or self._needs_product(node):
            return self._save(node)
        return replace(node, args=tuple(self.read(a) for a in node.args))

    def _needs_product(self, node: Node) -> bool:
        if node.op == "product":
            return True
        inner = (a for a in node.args if a not in self.news and a not in self.saved)
        return any(self._needs_product(a) for a in inner)

    def _save(self, node: Node) -> Node:
        index = self.saved.setdefault(node, len(self.saved))
        return Node("saved", (), index, node.shape, node.where)
