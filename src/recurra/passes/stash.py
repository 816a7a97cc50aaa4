"""stash: which forward values are kept for the backward loop, and which are computed again.

States are kept in any case. A value that follows from states and loop inputs without a product
is computed again; one that a product took part in is kept. Means and deviations over a row are
computed again from what they are of. A sum of products with the input, which an engine may compute
in the loop, is kept where it is read again.
"""

from __future__ import annotations

from dataclasses import replace

from recurra.ir import Emission, Loop, Node, in_order
from recurra.passes.projections import is_affine

__all__ = ["stash"]

_LEAVES = ("state", "outer", "const")
_COSTLY = ("sigmoid", "tanh", "exp", "expm1", "log", "log1p", "softplus", "log_sigmoid")


def stash(forward: Loop, backward: Loop) -> tuple[Loop, Loop]:
    """The forward loop with what it keeps, and the backward loop that reads it."""
    stashing = _Stashing(forward)
    results = tuple(stashing.read(r) for r in backward.results)
    emissions = tuple(stashing.emission(e) for e in backward.emissions)
    saved = tuple(stashing.saved)
    return replace(forward, saved=saved), replace(backward, results=results, emissions=emissions)


class _Stashing:
    def __init__(self, forward: Loop) -> None:
        self.inputs = forward.inputs
        self.nodes = set(in_order(forward.results))
        self.news = dict(zip(forward.results, forward.states, strict=True))
        self.saved: dict[Node, int] = {}
        self.done: dict[Node, Node] = {}
        for node in in_order(forward.results):
            for arg in node.args if node.op in ("mean", "rstd") else ():
                if arg not in self.news and self._needs_product(arg):
                    self._save(arg)

    def read(self, node: Node) -> Node:
        """The node by which the backward loop has a value."""
        found = self.done.get(node)
        if found is None:
            if node in self.nodes and self._is_affine(node):
                found = self._save(node)
            elif node in self.nodes and node.op not in _LEAVES:
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

    def _is_affine(self, node: Node) -> bool:
        if node.op != "outer" or not isinstance(node.detail, tuple):
            return False
        return is_affine(self.inputs[node.detail[0]])

    def _forward_value(self, node: Node) -> Node:
        if node in self.news:
            return Node("new", (), self.news[node], node.shape, node.where)
        if node in self.saved or self._needs_product(node) or self._is_costly(node):
            return self._save(node)
        return replace(node, args=tuple(self.read(a) for a in node.args))

    def _is_costly(self, node: Node) -> bool:
        """True if a value costs more to compute from a product than to read from memory."""
        return node.op in _COSTLY and self._follows_product(node, to_kept=False)

    def _needs_product(self, node: Node) -> bool:
        return self._follows_product(node, to_kept=True)

    def _follows_product(self, node: Node, *, to_kept: bool) -> bool:
        """True if a product lies between a value and new states or, with `to_kept`, kept values."""
        ends = {*self.news, *(self.saved if to_kept else ())}
        todo, seen = [node], {node}
        while todo:
            value = todo.pop()
            if value.op == "product":
                return True
            inner = {*value.args} - ends - seen
            seen |= inner
            todo += inner
        return False

    def _save(self, node: Node) -> Node:
        index = self.saved.setdefault(node, len(self.saved))
        return Node("saved", (), index, node.shape, node.where)
