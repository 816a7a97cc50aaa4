"""Operands of the products of a phase: slices of rows, and the matrices that multiply them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from recurra.ir import LoopInput, Node

__all__ = ["MatrixRows", "Operand", "ProductTerm", "buffer_of", "operands"]


@dataclass(frozen=True)
class MatrixRows:
    """Rows of a loop input from `row` on; `transposed` as they multiply."""

    outer: int
    row: int
    transposed: bool


@dataclass(frozen=True, order=True)
class Operand:
    """`depth` elements of each row of a buffer, from `offset` on.

    A block-diagonal matrix cuts its columns into `blocks`, each of which multiplies the next
    `depth` elements; after `slices` of them the first ones come again, for the next gate.
    """

    buffer: str
    offset: int
    depth: int
    blocks: int = 1
    slices: int = 1


ProductTerm = tuple[int, MatrixRows]
OperandGroups = list[tuple[Operand, list[ProductTerm]]]


def operands(
    sums: Iterable[Iterable[Node]], inputs: tuple[LoopInput, ...], sizes: Mapping[str, int]
) -> OperandGroups:
    """Every operand with the sums that it is multiplied for, and by which matrix."""
    groups: dict[Operand, list[ProductTerm]] = {}
    for index, products in enumerate(sums):
        for product in products:
            for operand, matrix in _read(product, inputs, sizes):
                groups.setdefault(operand, []).append((index, matrix))
    return _joined(sorted(groups.items(), key=lambda group: group[0]))


def buffer_of(leaf: Node) -> tuple[str, int]:
    """The buffer that a leaf is read from, and its part."""
    if leaf.op in ("outer", "buffer"):
        assert isinstance(leaf.detail, tuple)
        name, part = leaf.detail
        return (f"outer:{name}" if leaf.op == "outer" else str(name)), part or 0
    return f"{leaf.op}:{leaf.detail}", 0


def _read(
    product: Node, inputs: tuple[LoopInput, ...], sizes: Mapping[str, int]
) -> Iterator[tuple[Operand, MatrixRows]]:
    """One operand and matrix; or, for gates' blocks transposed, which lie apart, one a gate."""
    left, vector = product.args
    transposed = left.op == "transpose"
    matrix = left.args[0] if transposed else left
    assert isinstance(matrix.detail, tuple)
    outer, part = matrix.detail
    name, place = buffer_of(vector)
    whole, rows = vector.shape[0].value(sizes), matrix.shape[0].value(sizes)
    offset, row = place * whole, (part or 0) * rows
    blocks, gates = inputs[outer].blocks, matrix.shape[0].times
    if blocks == 1:
        yield Operand(name, offset, whole), MatrixRows(outer, row, transposed)
    elif not transposed:
        operand = Operand(name, offset, whole // blocks, gates * blocks, blocks)
        yield operand, MatrixRows(outer, row, transposed)
    else:
        each = rows // gates
        for moved in range(0, rows, each):
            operand = Operand(name, offset + moved, each // blocks, blocks, blocks)
            yield operand, MatrixRows(outer, row + moved, transposed)


def _joined(groups: OperandGroups) -> OperandGroups:
    """Parts of a buffer beside one another, times rows below one another, are one operand."""
    found: OperandGroups = []
    for operand, terms in groups:
        if found:
            known, others = found[-1]
            end, dense = known.offset + known.depth, known.blocks == operand.blocks == 1
            follows = dense and (known.buffer, end) == (operand.buffer, operand.offset)
            if follows and terms == [
                (i, MatrixRows(m.outer, m.row + known.depth, True))
                for i, m in others
                if m.transposed
            ]:
                depth = known.depth + operand.depth
                found[-1] = (Operand(known.buffer, known.offset, depth), others)
                continue
        found.append((operand, terms))
    return found
