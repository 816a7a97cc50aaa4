"""around: the products over all steps that stand before and after a loop, as loops of one phase."""

from __future__ import annotations

from dataclasses import replace

from recurra.ir import Loop, Node, Outside, Schedule, Size, Store
from recurra.ir.loop import Phase
from recurra.passes.fuse import fuse
from recurra.passes.merge import Affine, merge

__all__ = ["input_gradient", "input_product"]

Around = tuple[Loop, Schedule]


def input_product(outside: tuple[Outside, ...], affine: Affine) -> Around:
    """An affine outside value for all steps at once: writes the buffer `value`."""
    node = outside[affine.value].node
    leaf = Node("outer", (), (affine.value, None), node.shape, node.where)
    loop = Loop("input product", (), (), outside, (leaf,))
    (result,) = merge(loop, (affine,)).results
    return _single(loop, "value", result)


def input_gradient(
    outside: tuple[Outside, ...], affine: tuple[Affine, ...], vector: int
) -> Around | None:
    """The gradient of what affine values are products of: writes the buffer `gradient`.

    It reads their own gradients from the buffers `grad:INDEX`; None where nothing does.
    """
    terms = [(a.value, m) for a in affine for m, v in a.terms if v == vector]
    total: Node | None = None
    for value, matrix in terms:
        rows, columns = outside[matrix].node.shape
        weights = Node("outer", (), (matrix, None), (rows, columns))
        back = Node("transpose", (weights,), None, (columns, rows))
        given = Node("buffer", (), (f"grad:{value}", 0), (rows,))
        product = Node("product", (back, given), None, (columns,))
        total = product if total is None else Node("add", (total, product), None, (columns,))
    if total is None:
        return None
    return _single(Loop("input gradient", (), (), outside, ()), "gradient", total)


def _single(loop: Loop, buffer: str, node: Node) -> Around:
    sums, (rest,) = fuse((node,))
    size: Size = node.shape[0]
    phase = Phase(size, sums, (Store(buffer, 0, rest),))
    return replace(loop, results=()), Schedule((phase,), (), ())
