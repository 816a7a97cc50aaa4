"""Sums of products of a block of rows: tiles of registers over rows, columns and k.

A tile is a function, which panels of the same shape share; here it is called for all rows. A block
of a block-diagonal matrix is a small matrix of its own: its operand begins some slices later, its
weights some blocks later, and its columns count from its own first one.

Weights are re-arranged before the loop for the tiles that read them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass

from recurra.engines.cpu.emit.frame import (
    SIGNATURE,
    WORDS,
    Frame,
    address,
    each_thread,
    loop,
    smaller,
    word,
)
from recurra.engines.cpu.emit.llvm_text import FunctionText
from recurra.engines.cpu.emit.quantised_tiles import EXTRA_LINES, GROUP
from recurra.engines.cpu.emit.register_tiles import Form, tile_function
from recurra.engines.cpu.plan.operands import Operand
from recurra.engines.cpu.plan.tiling import LoopPlan, Tile, WeightPanel

__all__ = [
    "ColumnBlock",
    "MatrixBlock",
    "block_at",
    "columns_at",
    "divided",
    "lines_of",
    "multiply",
    "packing",
    "sources",
    "tiles_of",
]


@dataclass(frozen=True)
class ColumnBlock:
    """A block of columns: its segment, its first column, and how many tiles are before it."""

    segment: str
    first: str
    tile: str


@dataclass(frozen=True)
class MatrixBlock:
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


def columns_at(t: FunctionText, tile: Tile, segment: str, inside: str) -> ColumnBlock:
    """The `inside`-th block of columns of a segment."""
    begin = t.value(f"mul i64 {inside}, {tile.vectors * t.lanes}")
    first = t.value(f"add i64 {t.value(f'mul i64 {segment}, {tile.width}')}, {begin}")
    if not tile.panels:
        return ColumnBlock(segment, first, "0")
    before = t.value(f"mul i64 {segment}, {tiles_of(tile, t.lanes)}")
    within = t.value(f"mul i64 {inside}, {tile.vectors // tile.panels[0].vectors}")
    return ColumnBlock(segment, first, t.value(f"add i64 {before}, {within}"))


def block_at(
    t: FunctionText, tile: Tile, operand: Operand, segment: str, column: str
) -> MatrixBlock:
    """The block that a segment is multiplied with; `column` counts from the first of all."""
    if operand.blocks == 1:
        return MatrixBlock("0", str(operand.offset), column, tile.columns)
    columns = tile.columns // operand.blocks
    number, _ = divided(t, segment, tile.segments // operand.blocks)
    weights = t.value(f"mul i64 {number}, {columns * operand.depth}")
    _, part = divided(t, number, operand.slices)
    moved = t.value(f"mul i64 {part}, {operand.depth}")
    offset = t.value(f"add i64 {moved}, {operand.offset}")
    inside = t.value(f"sub i64 {column}, {t.value(f'mul i64 {number}, {columns}')}")
    return MatrixBlock(weights, offset, inside, columns)


def divided(t: FunctionText, number: str, by: int) -> tuple[str, str]:
    """A quotient and what is left."""
    return t.value(f"udiv i64 {number}, {by}"), t.value(f"urem i64 {number}, {by}")


def multiply(
    frame: Frame,
    tile: Tile,
    panel: WeightPanel,
    pointers: Sequence[str],
    place: tuple[ColumnBlock, str],
    rows: tuple[str, str],
    seen: Set[int],
) -> None:
    """Add a panel's products with a block of rows to their sums; those not `seen` start at zero.

    `place` is the block of columns, and which of its tiles this is.
    """
    calls = _Calls(frame, tile, panel, pointers, place, rows[0], seen)
    t = frame.text

    def piece(start: str) -> None:
        end = smaller(t, t.value(f"add i64 {start}, {panel.chunk}"), str(panel.operand.depth))
        _over_rows(t, panel, rows, lambda row, height: calls.call(row, height, start, end))

    loop(t, "0", str(panel.operand.depth), panel.chunk, piece)


def _over_rows(
    t: FunctionText, panel: WeightPanel, rows: tuple[str, str], body: Callable[[str, int], None]
) -> None:
    """The tiles of a block of rows, tall ones first."""
    start, last = rows

    def tile(height: int) -> Callable[[str], None]:
        return lambda row: body(row, height)

    for height in panel.heights:
        end = last if height == 1 else _end_of_tiles(t, start, last, height)
        loop(t, start, end, height, tile(height))
        start = end


def _end_of_tiles(t: FunctionText, start: str, last: str, height: int) -> str:
    """The end of the tiles of so many rows; four rows are two tiles of two, not three and one."""
    count = t.value(f"sub i64 {last}, {start}")
    left = t.value(f"urem i64 {count}, {height}")
    if height == 3:
        single = t.value(f"icmp eq i64 {left}, 1")
        enough = t.value(f"icmp sgt i64 {count}, {height}")
        both = t.value(f"and i1 {single}, {enough}")
        left = t.value(f"select i1 {both}, i64 {height + 1}, i64 {left}")
    return t.value(f"sub i64 {last}, {left}")


class _Calls:
    """Arguments that the tiles of one panel and one block of rows share."""

    def __init__(
        self,
        frame: Frame,
        tile: Tile,
        panel: WeightPanel,
        pointers: Sequence[str],
        place: tuple[ColumnBlock, str],
        start: str,
        seen: Set[int],
    ) -> None:
        t = frame.text
        self.frame, self.tile, self.panel = frame, tile, panel
        self.pointers, self.start = pointers, start
        self.count = len(tile.phase.sums)
        wide, (columns, inside) = panel.vectors * t.lanes, place
        column = t.value(f"add i64 {columns.first}, {t.value(f'mul i64 {inside}, {wide}')}")
        self.block = block_at(t, tile, panel.operand, columns.segment, column)
        self.number = t.value(f"add i64 {columns.tile}, {inside}")
        self.sums = t.pointer("%sums", t.value(f"mul i64 {inside}, {wide * self.count}"))
        fresh = [s not in seen for s in panel.sums]
        self.is_fresh = any(fresh)
        # Sums that are all there already differ from new ones by an argument alone.
        self.fresh = tuple(fresh) if self.is_fresh else (True,) * len(fresh)

    def call(self, row: str, height: int, start: str, end: str) -> None:
        """One tile: rows from `row` on, k from `start` to `end`."""
        t, panel = self.frame.text, self.panel
        buffer = self.frame.buffers[panel.operand.buffer]
        offset = t.value(f"add i64 {start}, {self.block.operand}")
        operand = address(self.frame, buffer, self.frame.row(row), offset)
        stride = buffer.row
        if self.frame.plan.modes.ragged:
            stride = t.value(f"mul i64 {stride}, %shares")
        inside = t.value(f"sub i64 {row}, {self.start}")
        each = self.tile.vectors * t.lanes * self.count
        sums = t.pointer(self.sums, t.value(f"mul i64 {inside}, {each}"))
        first = t.value(f"icmp eq i64 {start}, 0") if self.is_fresh else "false"
        count = t.value(f"sub i64 {end}, {start}")
        form = Form(
            panel.form, panel.sums, self.fresh, self.count, panel.vectors, each, height,
            panel.operand.depth, self.block.columns,
        )  # fmt: skip
        name = tile_function(self.frame, form)
        weights = ", ".join(f"ptr {w}" for w in self._weights(start))
        t.line(
            f"call void @{name}(ptr {operand}, i64 {stride}, ptr {sums}, i1 {first}, i64 {count}, "
            f"i64 {self.block.column}, {weights})"
        )

    def _weights(self, start: str) -> list[str]:
        t, panel = self.frame.text, self.panel
        if panel.form in ("rows", "columns"):
            return [t.pointer(p, self.block.weights) for p in self.pointers]
        width = len(panel.matrices) * panel.vectors * t.lanes
        begin = t.value(f"mul i64 {self.number}, {lines_of(panel) * width}")
        line = t.value(f"add i64 {begin}, {t.value(f'mul i64 {start}, {width}')}")
        return [t.pointer(self.pointers[0], line)]


def lines_of(panel: WeightPanel) -> int:
    """Lines of a re-arranged panel's tile of columns, of one word for each column."""
    depth = panel.operand.depth
    return -(-depth // GROUP) + EXTRA_LINES if panel.form == "int8" else depth


def sources(plan: LoopPlan) -> int:
    """The index of the first word that says where a matrix lies; they stand panel by panel."""
    return len(WORDS) + 4 * len(plan.buffers) + len(plan.panels)


def packing(plan: LoopPlan, name: str) -> str:
    """`@NAME.pack(args)`: every packed panel, each thread its part of the column blocks.

    Quantised panels are made once, outside the code.
    """
    t = FunctionText(plan.element, plan.lanes)
    if plan.modes.packed and not plan.modes.quantised:
        source = sources(plan)
        for index, (tile, panel) in enumerate(plan.panels):
            target = word(t, len(WORDS) + 4 * len(plan.buffers) + index, "ptr")
            matrices = [word(t, source + m, "ptr") for m in range(len(panel.matrices))]
            source += len(panel.matrices)
            _pack(t, tile, panel, target, matrices)
    body = "\n".join(t.lines)
    return f"""
define void @{name}.pack.share({SIGNATURE}) #0 {{
entry:
{body}
  ret void
}}
{each_thread(name + ".pack")}"""


def _pack(
    t: FunctionText, tile: Tile, panel: WeightPanel, target: str, matrices: list[str]
) -> None:
    wide, depth = panel.vectors * t.lanes, panel.operand.depth
    each = tiles_of(tile, t.lanes)
    tiles, width = each * tile.segments, len(matrices) * wide
    ends = [t.value(f"mul i64 {p}, {tiles}") for p in ("%share", t.value("add i64 %share, 1"))]
    first, last = (t.value(f"sdiv i64 {e}, %shares") for e in ends)

    def one(j: str) -> None:
        begin = t.pointer(target, t.value(f"mul i64 {j}, {depth * width}"))
        segment, inside = divided(t, j, each)
        moved = t.value(f"mul i64 {inside}, {wide}")
        column = t.value(f"add i64 {t.value(f'mul i64 {segment}, {tile.width}')}, {moved}")
        block = block_at(t, tile, panel.operand, segment, column)
        for m, (matrix, pointer) in enumerate(zip(panel.matrices, matrices, strict=True)):
            source = t.pointer(pointer, block.weights)
            for q in range(panel.vectors):
                at = t.pointer(begin, str((m * panel.vectors + q) * t.lanes))
                here = t.value(f"add i64 {block.column}, {q * t.lanes}")
                copy = _copy_lines if matrix.transposed else _copy_columns
                copy(t, block.columns, depth, (source, here), (at, width))

    loop(t, first, last, 1, one)


def _copy_lines(
    t: FunctionText, columns: int, depth: int, source: tuple[str, str], target: tuple[str, int]
) -> None:
    """A matrix with columns side by side: a vector of them for each k."""

    def line(k: str) -> None:
        base = t.pointer(source[0], t.value(f"mul i64 {k}, {columns}"))
        value = t.load_until(base, source[1], str(columns))
        t.store(value, t.pointer(target[0], t.value(f"mul i64 {k}, {target[1]}")))

    loop(t, "0", str(depth), 1, line)


def _copy_columns(
    t: FunctionText, columns: int, depth: int, source: tuple[str, str], target: tuple[str, int]
) -> None:
    """A matrix with k side by side: one element of each of the columns for each k."""
    lines = []
    for lane in range(t.lanes):
        column = smaller(t, t.value(f"add i64 {source[1]}, {lane}"), str(columns - 1))
        lines.append(t.pointer(source[0], t.value(f"mul i64 {column}, {depth}")))

    def line(k: str) -> None:
        value = "poison"
        for lane, pointer in enumerate(lines):
            scalar = t.value(f"load {t.element}, ptr {t.pointer(pointer, k)}")
            value = t.value(f"insertelement {t.vector} {value}, {t.element} {scalar}, i32 {lane}")
        t.store(value, t.pointer(target[0], t.value(f"mul i64 {k}, {target[1]}")))

    loop(t, "0", str(depth), 1, line)
