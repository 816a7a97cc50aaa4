"""Weights re-arranged for the tiles that read them, in emitted code."""

from __future__ import annotations

from recurra.engines.cpu.emit.frame import SIGNATURE, WORDS, each_thread, loop, smaller, word
from recurra.engines.cpu.emit.llvm_text import FunctionText
from recurra.engines.cpu.emit.multiply import block_at, divided, tiles_of
from recurra.engines.cpu.plan.tiling import LoopPlan, Tile, WeightPanel

__all__ = ["packing", "sources"]


def sources(plan: LoopPlan) -> int:
    """The index of the first word that says where a matrix lies; they stand panel by panel."""
    return len(WORDS) + 4 * len(plan.buffers) + len(plan.panels)


def packing(plan: LoopPlan, name: str) -> str:
    """`@NAME.pack(args)`: every packed panel, each thread its part of the column blocks."""
    t = FunctionText(plan.element, plan.lanes)
    if plan.modes.packed:
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
