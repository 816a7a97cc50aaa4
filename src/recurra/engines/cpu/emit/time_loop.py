"""A plan as LLVM IR text: one function that runs a loop over time for a share of the work.

    for t in time:
      for tile in phases:
        means and deviations of rows
        for column block:
          for row block:
            for panel: for piece of k:
              for row tile:                   registers: rows x vectors for each sum
                for k in piece: sums += operand[row, k] * panel[k]
            the element-wise rest, from the sums and from loads
            stores
        barrier, where threads share the columns

Arguments come in one array of 64-bit words, laid out as `WORDS` says; `call` fills it.
"""

from __future__ import annotations

from recurra.engines.cpu.emit import maths
from recurra.engines.cpu.emit.equations import equations, statistics
from recurra.engines.cpu.emit.frame import (
    SIGNATURE,
    WORDS,
    Frame,
    address,
    barrier,
    choose,
    is_marked,
    loop,
    shares,
    smaller,
    whole,
    word,
)
from recurra.engines.cpu.emit.llvm_text import WIDE
from recurra.engines.cpu.emit.multiply import ColumnBlock, columns_at, divided, multiply, packing
from recurra.engines.cpu.emit.quantised_tiles import quantised_declarations
from recurra.engines.cpu.plan.tiling import BLOCK_ROWS, LoopPlan, Tile

__all__ = ["emit"]


def emit(plan: LoopPlan, name: str) -> str:
    """The module's text, with the functions `@NAME.team(args)`, `@NAME.alone`, and their parts.

    `@NAME.share(args, share, shares, column part, column parts)` does one share of the rows or of
    the columns, `@NAME.pack.share` of the packed panels before that. `@NAME.team` is called on
    every thread of a team, and does its shares of both; `@NAME.alone` does all of both.
    """
    frame = Frame.begin(plan)
    t = frame.text
    vectors = max(plan.scratch, 1)
    t.line(f"%sums = alloca {t.vector}, i64 {vectors}, align 64")
    t.line("%barriers = alloca i64")
    t.line("store i64 0, ptr %barriers")
    _time_loop(frame)
    body = "\n".join(t.lines)
    functions = "".join(maths.function(f, plan.element, plan.lanes) for f in maths.FUNCTIONS)
    functions += "".join(frame.functions.values())
    rest = "".join(
        equations(plan, tile, _equations_name(index, columns), columns)
        for index, tile in enumerate(plan.tiles)
        for columns in _widths(tile, plan.lanes)
    )
    rest += "".join(
        statistics(plan, tile, f"statistics.{index}")
        for index, tile in enumerate(plan.tiles)
        if tile.statistics
    )
    declared = maths.declarations(plan.element, plan.lanes)
    if plan.modes.quantised:
        declared += quantised_declarations(plan.lanes, plan.byte_dot)
    first = f"{name}.pack" if plan.modes.packed and plan.panels else None
    zeros = f"@zeros = internal constant {t.vector} zeroinitializer, align 64\n"
    return (
        f"{declared}{zeros}{functions}{rest}"
        f"define void @{name}.share({SIGNATURE}) #0 {{\nentry:\n{body}\n  ret void\n}}\n"
        f"{shares(name)}{packing(plan, name)}{whole(name, first=first)}"
        f"attributes #0 = {{ {WIDE} }}\nattributes #1 = {{ noinline {WIDE} }}\n"
    )


def _equations_name(tile: int, columns: int) -> str:
    return f"equations.{tile}.{columns}"


def _widths(tile: Tile, lanes: int) -> list[int]:
    """Columns of a tile's blocks: those of the whole ones, and of the rest of a segment."""
    wide = tile.vectors * lanes
    full, rest = divmod(tile.width, wide)
    return [wide] * bool(full) + [rest] * bool(rest)


def _time_loop(frame: Frame) -> None:
    t = frame.text
    steps, first, direction = (word(t, WORDS.index(w)) for w in ("steps", "first", "direction"))
    rows = None if frame.plan.modes.ragged else _rows_of_share(frame)

    def body(step: str) -> None:
        moved = t.value(f"mul i64 {step}, {direction}")
        time = t.value(f"add i64 {first}, {moved}")
        frame.place = frame.before = time
        start, end = _find_step(frame, time) if rows is None else rows
        if frame.plan.modes.marked and not frame.plan.backward:
            _clear_marked(frame, start, end)
        panel = 0
        for index, tile in enumerate(frame.plan.tiles):
            pointers = frame.panels[panel : panel + len(tile.panels)]
            if tile.statistics:
                t.line(
                    f"call void @statistics.{index}(ptr %args, i64 %share, i64 %shares, "
                    f"i64 {frame.place}, i64 {frame.before}, i64 {start}, i64 {end})"
                )
            _columns(frame, tile, index, pointers, (start, end))
            panel += len(tile.panels)
            barrier(frame)

    loop(t, "0", steps, 1, body)


def _rows_of_share(frame: Frame) -> tuple[str, str]:
    t = frame.text
    each, batch = (word(t, WORDS.index(w)) for w in ("rows_each", "batch"))
    start = t.value(f"mul i64 %share, {each}")
    return start, smaller(t, t.value(f"add i64 {start}, {each}"), batch)


def _find_step(frame: Frame, time: str) -> tuple[str, str]:
    """The place of a ragged step, and the rows of this share that have not ended: every n-th."""
    t = frame.text
    found = []
    for name in ("offsets", "previous_offsets", "counts"):
        place = t.value(f"getelementptr i64, ptr {word(t, WORDS.index(name), 'ptr')}, i64 {time}")
        found.append(t.value(f"load i64, ptr {place}"))
    frame.place, frame.before, count = found
    more = t.value(f"add i64 {count}, {t.value('sub i64 %shares, 1')}")
    mine = t.value(f"sub i64 {more}, %share")
    return "0", t.value(f"sdiv i64 {mine}, %shares")


def _clear_marked(frame: Frame, start: str, end: str) -> None:
    """Clear the states of rows in which a segment begins with this step."""
    t = frame.text

    def clear(index: str) -> None:
        row = frame.row(index)
        inside, done = t.label("clear"), t.label("kept")
        t.line(f"br i1 {is_marked(frame, row)}, label %{inside}, label %{done}")
        t.begin(inside)
        for state in frame.plan.states:
            buffer = frame.buffers[f"state:{state}"]
            place = address(frame, buffer, row, "0")
            size = t.value(f"mul i64 {buffer.row}, {t.bits // 8}")
            t.line(f"call void @llvm.memset.p0.i64(ptr {place}, i8 0, i64 {size}, i1 false)")
        t.line(f"br label %{done}")
        t.begin(done)

    loop(t, start, end, 1, clear)
    barrier(frame)


def _columns(
    frame: Frame, tile: Tile, index: int, panels: list[tuple[str, ...]], rows: tuple[str, str]
) -> None:
    """This part's blocks of columns, the last of which, in each segment, may be narrower."""
    t = frame.text
    wide = tile.vectors * t.lanes
    full, rest = divmod(tile.width, wide)
    each = full + bool(rest)
    ends = []
    for part in ("%part", t.value("add i64 %part, 1")):
        share = t.value(f"mul i64 {part}, {each * tile.segments}")
        ends.append(t.value(f"sdiv i64 {share}, %parts"))
    if not tile.panels:
        _whole_rows(frame, tile, index, (ends[0], ends[1]), rows)
        return

    def block(number: str) -> None:
        segment, inside = divided(t, number, each)
        place = columns_at(t, tile, segment, inside)

        def of_width(width: int) -> None:
            _row_blocks(frame, tile, panels, place, rows, width, _equations_name(index, width))

        if full and rest:
            is_last = t.value(f"icmp eq i64 {inside}, {full}")
            choose(t, is_last, lambda: of_width(rest), lambda: of_width(wide))
        else:
            of_width(rest or wide)

    loop(t, ends[0], ends[1], 1, block)


def _row_blocks(
    frame: Frame,
    tile: Tile,
    panels: list[tuple[str, ...]],
    place: ColumnBlock,
    rows: tuple[str, str],
    width: int,
    name: str,
) -> None:
    """A block of columns, `width` of them: block by block of rows, the sums and then the rest."""
    t = frame.text

    def body(start: str) -> None:
        end = smaller(t, t.value(f"add i64 {start}, {BLOCK_ROWS}"), rows[1])
        tiles = -(-width // (tile.panels[0].vectors * t.lanes))
        loop(t, "0", str(tiles), 1, lambda i: _sums(frame, tile, panels, place, i, (start, end)))
        _equations(frame, name, (start, end), (place.first, "0"))

    loop(t, rows[0], rows[1], BLOCK_ROWS, body)


def _whole_rows(
    frame: Frame, tile: Tile, index: int, blocks: tuple[str, str], rows: tuple[str, str]
) -> None:
    """The same for a phase without products: row by row, all of this part's columns."""
    t = frame.text
    wide = tile.vectors * t.lanes
    first = t.value(f"mul i64 {blocks[0]}, {wide}")
    for width in _widths(tile, t.lanes):
        end = smaller(t, t.value(f"mul i64 {blocks[1]}, {wide}"), str(tile.width))
        if width == wide:
            end = smaller(t, end, str(tile.width // wide * wide))
        else:
            # The rest is one narrow block, which a part with earlier blocks alone doesn't reach.
            whole = str(tile.width - width)
            is_earlier = t.value(f"icmp slt i64 {first}, {whole}")
            first = t.value(f"select i1 {is_earlier}, i64 {whole}, i64 {first}")
        _equations(frame, _equations_name(index, width), rows, (first, end))


def _equations(frame: Frame, name: str, rows: tuple[str, str], columns: tuple[str, str]) -> None:
    t = frame.text
    count = t.value(f"sub i64 {rows[1]}, {rows[0]}")
    t.line(
        f"call void @{name}(ptr %args, i64 %share, i64 %shares, i64 {frame.place}, "
        f"i64 {frame.before}, i64 {rows[0]}, i64 {count}, i64 {columns[0]}, i64 {columns[1]}, "
        "ptr %sums)"
    )


def _sums(
    frame: Frame,
    tile: Tile,
    panels: list[tuple[str, ...]],
    place: ColumnBlock,
    inside: str,
    rows: tuple[str, str],
) -> None:
    """All sums of the columns of one tile, the `inside`-th of the block."""
    seen: set[int] = set()
    for panel, pointers in zip(tile.panels, panels, strict=True):
        multiply(frame, tile, panel, pointers, (place, inside), rows, seen)
        seen |= set(panel.sums)
