"""Where a block of columns lies in its segment, and the block of a matrix that belongs to it.

A block of a block-diagonal matrix is a small matrix of its own: what it is multiplied with begins
some slices on, its weights some blocks on, and its columns count from its own first one.
"""

from __future__ import annotations

from dataclasses import dataclass

from recurra.backends.cpu.operands import Operand
from recurra.backends.cpu.plan import Tile
from recurra.backends.cpu.text import Text

__all__ = ["Block", "Columns", "block_at", "columns_at", "divided", "tiles_of"]


@dataclass(frozen=True)
class Columns:
    """A block of columns: its segment, its first column, and how many tiles are before it."""

    segment: str
    first: str
    tile: str


@dataclass(frozen=True)
class Block:
    """One block of a matrix: where the weights and the operand begin, and its column.

    `columns` is how many it has.
    """

    weights: str
    operand: str
    column: str
    columns: int


def tiles_of(tile: Tile, lanes: int) -> int:
    """Tiles of registers in a segment of a phase that has products."""
    return -(-tile.width // (tile.panels[0].vectors * lanes))


def columns_at(t: Text, tile: Tile, segment: str, inside: str) -> Columns:
    """The `inside`-th block of columns of a segment."""
    begin = t.value(f"mul i64 {inside}, {tile.vectors * t.lanes}")
    first = t.value(f"add i64 {t.value(f'mul i64 {segment}, {tile.width}')}, {begin}")
    if not tile.panels:
        return Columns(segment, first, "0")
    before = t.value(f"mul i64 {segment}, {tiles_of(tile, t.lanes)}")
    within = t.value(f"mul i64 {inside}, {tile.vectors // tile.panels[0].vectors}")
    return Columns(segment, first, t.value(f"add i64 {before}, {within}"))


def block_at(t: Text, tile: Tile, operand: Operand, segment: str, column: str) -> Block:
    """The block that a segment is multiplied with; `column` counts from the first of all."""
    if operand.blocks == 1:
        return Block("0", str(operand.offset), column, tile.columns)
    columns = tile.columns // operand.blocks
    number, _ = divided(t, segment, tile.segments // operand.blocks)
    weights = t.value(f"mul i64 {number}, {columns * operand.depth}")
    _, part = divided(t, number, operand.slices)
    moved = t.value(f"mul i64 {part}, {operand.depth}")
    offset = t.value(f"add i64 {moved}, {operand.offset}")
    inside = t.value(f"sub i64 {column}, {t.value(f'mul i64 {number}, {columns}')}")
    return Block(weights, offset, inside, columns)


def divided(t: Text, number: str, by: int) -> tuple[str, str]:
    """A quotient and what is left."""
    return t.value(f"udiv i64 {number}, {by}"), t.value(f"urem i64 {number}, {by}")
