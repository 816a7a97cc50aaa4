"""merge, and loops of one phase: products with the input, in the loop over time or around it.

Products with the input that could leave the loop go back into it, beside those of the state. There
they share registers and accumulators with the products of the state, and their results never touch
memory. Where a step has few rows that costs more than it saves: engines choose, and compute them
over all steps before the loop, and their gradients after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from recurra.ir import Loop, LoopInput, Node, Param, Schedule, Size, Store, in_order
from recurra.ir.loop import Phase
from recurra.passes.phases import fuse

__all__ = ["Affine", "find_affine", "input_gradient", "input_product", "is_affine", "merge"]


@dataclass(frozen=True)
class Affine:
    """An loop input that is a sum of products of matrices with the input, and of biases.

    `value`, `terms` (matrix, vector) and `biases` are indices of loop inputs.
    """

    value: int
    terms: tuple[tuple[int, int], ...]
    biases: tuple[int, ...]


def find_affine(
    inputs: tuple[LoopInput, ...], params: tuple[Param, ...]
) -> tuple[tuple[LoopInput, ...], tuple[Affine, ...]]:
    """The affine ones among loop inputs, and all of them with what those are made of.

    `params` are the cell's. What the backward loop reads of such values is kept by the forward one.
    """
    finding = _Finding(inputs, {p.name: p.blocks for p in params})
    found = []
    for index, value in enumerate(inputs):
        parts = _parts(value.node) if value.timed else None
        if parts is not None:
            found.append(finding.affine(index, *parts))
    return tuple(finding.inputs), tuple(found)


def is_affine(value: LoopInput) -> bool:
    """True if a loop input is a sum of products with the cell's input, and of biases."""
    return value.timed and _parts(value.node) is not None


def merge(loop: Loop, affine: tuple[Affine, ...]) -> Loop:
    """The forward loop with its affine loop inputs computed step by step."""
    merging = _Merging(loop.inputs, {a.value: a for a in affine})
    results = tuple(merging.node(r) for r in loop.results)
    return replace(loop, results=results, saved=tuple(merging.node(s) for s in loop.saved))


def _parts(node: Node) -> tuple[list[Node], list[Node]] | None:
    """Products and biases of a sum of nothing else."""
    products, biases = [], []
    todo = [node]
    while todo:
        term = todo.pop(0)
        if term.op == "add":
            todo = [*term.args, *todo]
        elif _is_product(term):
            products.append(term)
        elif term.op == "param" and term.shape == node.shape:
            biases.append(term)
        else:
            return None
    return (products, biases) if products else None


def _is_product(node: Node) -> bool:
    return node.op == "product" and node.args[0].op == "param" and node.args[1].op == "input"


class _Finding:
    def __init__(self, inputs: tuple[LoopInput, ...], blocks: Mapping[str, int]) -> None:
        self.inputs, self.blocks = list(inputs), blocks

    def affine(self, index: int, products: list[Node], biases: list[Node]) -> Affine:
        parts = self.inputs[index].parts
        terms = [
            (self.place(p.args[0], parts), self.place(p.args[1], 1, timed=True)) for p in products
        ]
        return Affine(index, tuple(terms), tuple(self.place(b, parts) for b in biases))

    def place(self, node: Node, parts: int, *, timed: bool = False) -> int:
        """The index of a value, added at the end if it wasn't there."""
        name = node.detail[0] if isinstance(node.detail, tuple) else ""
        value = LoopInput(node, timed, parts, self.blocks.get(name, 1))
        if value not in self.inputs:
            self.inputs.append(value)
        return self.inputs.index(value)


class _Merging:
    def __init__(self, inputs: tuple[LoopInput, ...], affine: dict[int, Affine]) -> None:
        self.inputs, self.affine = inputs, affine
        self.done: dict[Node, Node] = {}
        self.leaves: dict[tuple[int, int | None], Node] = {}

    def node(self, root: Node) -> Node:
        """The node with affine leaves spelt out."""
        for node in in_order((root,)):
            if node not in self.done:
                self.done[node] = self._rebuilt(node)
        return self.done[root]

    def _rebuilt(self, node: Node) -> Node:
        if node.op == "outer":
            assert isinstance(node.detail, tuple)
            affine = self.affine.get(node.detail[0])
            return node if affine is None else self._spelt_out(affine, node)
        args = tuple(self.done[a] for a in node.args)
        return node if args == node.args else replace(node, args=args)

    def _spelt_out(self, affine: Affine, leaf: Node) -> Node:
        assert isinstance(leaf.detail, tuple)
        part = leaf.detail[1]
        total: Node | None = None
        for bias in affine.biases:
            total = _sum(total, self._leaf(bias, part, leaf.shape, leaf))
        for matrix, vector in affine.terms:
            inner = self.inputs[vector].node.shape
            left = self._leaf(matrix, part, (*leaf.shape, *inner), leaf)
            right = self._leaf(vector, None, inner, leaf)
            total = _sum(total, Node("product", (left, right), None, leaf.shape, leaf.where))
        assert total is not None
        return total

    def _leaf(self, index: int, part: int | None, shape: tuple[Size, ...], like: Node) -> Node:
        found = Node("outer", (), (index, part), shape, like.where)
        return self.leaves.setdefault((index, part), found)


def _sum(total: Node | None, term: Node) -> Node:
    return term if total is None else Node("add", (total, term), None, term.shape, term.where)


SinglePhase = tuple[Loop, Schedule]


def input_product(inputs: tuple[LoopInput, ...], affine: Affine) -> SinglePhase:
    """An affine loop input for all steps at once: writes the buffer `value`."""
    node = inputs[affine.value].node
    leaf = Node("outer", (), (affine.value, None), node.shape, node.where)
    loop = Loop("input product", (), (), inputs, (leaf,))
    (result,) = merge(loop, (affine,)).results
    return _single(loop, "value", result)


def input_gradient(
    inputs: tuple[LoopInput, ...], affine: tuple[Affine, ...], vector: int
) -> SinglePhase | None:
    """The gradient of what affine values are products of: writes the buffer `gradient`.

    It reads their own gradients from the buffers `grad:INDEX`; None where nothing does.
    """
    terms = [(a.value, m) for a in affine for m, v in a.terms if v == vector]
    total: Node | None = None
    for value, matrix in terms:
        rows, columns = inputs[matrix].node.shape
        weights = Node("outer", (), (matrix, None), (rows, columns))
        back = Node("transpose", (weights,), None, (columns, rows))
        given = Node("buffer", (), (f"grad:{value}", 0), (rows,))
        product = Node("product", (back, given), None, (columns,))
        total = product if total is None else Node("add", (total, product), None, (columns,))
    if total is None:
        return None
    return _single(Loop("input gradient", (), (), inputs, ()), "gradient", total)


def _single(loop: Loop, buffer: str, node: Node) -> SinglePhase:
    sums, (rest,) = fuse((node,))
    size: Size = node.shape[0]
    phase = Phase(size, sums, (Store(buffer, 0, rest),))
    return replace(loop, results=()), Schedule((phase,), (), ())
