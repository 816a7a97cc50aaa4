"""A plan as LLVM IR text: one function that runs a loop over time for some rows of the batch.

    for t in time:
      for tile in phases:
        for column block:
          for row tile:                       registers: rows x vectors for each sum
            for panel: for k: sums += operand[row, k] * panel[k]
            the element-wise rest, from the sums and from loads
            stores

Arguments come in one array of 64-bit words, laid out as `WORDS` says; `call.py` fills it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from weft.backends.cpu import maths
from weft.backends.cpu.equations import equations
from weft.backends.cpu.frame import WORDS, Frame, address, is_marked, loop, word
from weft.backends.cpu.plan import Panel, Plan, Tile, buffer_of
from weft.backends.cpu.text import Text

__all__ = ["emit"]


def emit(plan: Plan, name: str) -> str:
    """The module's text: `@NAME.rows(args, thread, first row, last row)` and `@NAME(args)`.

    The latter asks the function in the word `thread` which thread it is, and does its share.
    """
    frame = Frame.begin(plan)
    t = frame.text
    most = max(len(x.phase.sums) * x.rows * x.vectors for x in plan.tiles)
    t.line(f"%sums = alloca {t.vector}, i64 {max(most, 1)}, align 64")
    _time_loop(frame)
    body = "\n".join(t.lines)
    functions = "".join(maths.function(f, plan.element, plan.lanes) for f in maths.FUNCTIONS)
    rest = "".join(
        equations(plan, tile, _equations_name(index, columns), columns)
        for index, tile in enumerate(plan.tiles)
        for columns in _widths(tile, plan.lanes)
    )
    return (
        f"{maths.declarations(plan.element, plan.lanes)}{functions}{rest}"
        f"define void @{name}.rows(ptr %args, i64 %thread, i64 %b0, i64 %b1) #0 {{\n"
        f"entry:\n{body}\n  ret void\n}}\n{_share(name)}"
        f"attributes #0 = {{ {_WIDE} }}\nattributes #1 = {{ noinline {_WIDE} }}\n"
    )


_WIDE = '"prefer-vector-width"="512" "min-legal-vector-width"="512"'


def _equations_name(tile: int, columns: int) -> str:
    return f"equations.{tile}.{columns}"


def _widths(tile: Tile, lanes: int) -> list[int]:
    """Columns of a tile's blocks: those of the whole ones, and of the rest at the end."""
    wide = tile.vectors * lanes
    full, rest = divmod(tile.columns, wide)
    return [wide] * bool(full) + [rest] * bool(rest)


def _share(name: str) -> str:
    return f"""
define void @{name}(ptr %args) {{
  %which = load ptr, ptr %args
  %id32 = call i32 %which()
  %id = sext i32 %id32 to i64
  %pe = getelementptr i64, ptr %args, i64 {WORDS.index("rows_each")}
  %each = load i64, ptr %pe
  %pb = getelementptr i64, ptr %args, i64 {WORDS.index("batch")}
  %batch = load i64, ptr %pb
  %b0 = mul i64 %id, %each
  %end = add i64 %b0, %each
  %over = icmp sgt i64 %end, %batch
  %b1 = select i1 %over, i64 %batch, i64 %end
  call void @{name}.rows(ptr %args, i64 %id, i64 %b0, i64 %b1)
  ret void
}}
"""


def _time_loop(frame: Frame) -> None:
    t = frame.text
    steps, first, direction = (word(t, WORDS.index(w)) for w in ("steps", "first", "direction"))

    def body(step: str) -> None:
        moved = t.value(f"mul i64 {step}, {direction}")
        frame.time = t.value(f"add i64 {first}, {moved}")
        if frame.plan.masked and not frame.plan.backward:
            _clear_marked(frame)
        panel = 0
        for index, tile in enumerate(frame.plan.tiles):
            _columns(frame, tile, index, frame.panels[panel : panel + len(tile.panels)])
            panel += len(tile.panels)

    loop(t, "0", steps, 1, body)


def _clear_marked(frame: Frame) -> None:
    """Where a segment begins, the states that a row comes with go to zeros."""
    t = frame.text

    def clear(row: str) -> None:
        inside, done = t.label("clear"), t.label("kept")
        t.line(f"br i1 {is_marked(frame, row)}, label %{inside}, label %{done}")
        t.begin(inside)
        for state in frame.plan.states:
            buffer = frame.buffers[f"state:{state}"]
            start = address(frame, buffer, row, "0")
            size = t.value(f"mul i64 {buffer.row}, {t.bits // 8}")
            t.line(f"call void @llvm.memset.p0.i64(ptr {start}, i8 0, i64 {size}, i1 false)")
        t.line(f"br label %{done}")
        t.begin(done)

    loop(t, "%b0", "%b1", 1, clear)


def _columns(frame: Frame, tile: Tile, index: int, panels: Sequence[str]) -> None:
    t = frame.text
    wide = tile.vectors * t.lanes
    full, rest = divmod(tile.columns, wide)
    if full:
        name = _equations_name(index, wide)
        loop(t, "0", str(full), 1, lambda j: _rows(frame, tile, panels, j, name))
    if rest:
        _rows(frame, tile, panels, str(full), _equations_name(index, rest))


def _rows(frame: Frame, tile: Tile, panels: Sequence[str], block: str, name: str) -> None:
    """The row tiles of a column block, then the rows that are left, in smaller ones."""
    t = frame.text
    start = "%b0"
    if not tile.phase.sums:
        count = t.value("sub i64 %b1, %b0")
        _call_equations(frame, tile, name, block, start, count)
        return
    for rows in tile.heights:
        end = "%b1"
        if rows > 1:
            end = _end_of_tiles(t, start, rows, borrow=rows == 3)
        loop(t, start, end, rows, _body(frame, tile, panels, block, name, rows))
        start = end


def _call_equations(frame: Frame, tile: Tile, name: str, block: str, row: str, rows: str) -> None:
    t = frame.text
    column = t.value(f"mul i64 {block}, {tile.vectors * t.lanes}")
    t.line(
        f"call void @{name}(ptr %args, i64 %thread, i64 {frame.time}, i64 {row}, i64 {rows}, "
        f"i64 {column}, ptr %sums)"
    )


def _end_of_tiles(t: Text, start: str, rows: int, *, borrow: bool) -> str:
    """Where the tiles of so many rows end; four rows are two tiles of two, not three and one."""
    count = t.value(f"sub i64 %b1, {start}")
    left = t.value(f"urem i64 {count}, {rows}")
    if borrow:
        single = t.value(f"icmp eq i64 {left}, 1")
        enough = t.value(f"icmp sgt i64 {count}, {rows}")
        both = t.value(f"and i1 {single}, {enough}")
        left = t.value(f"select i1 {both}, i64 {rows + 1}, i64 {left}")
    return t.value(f"sub i64 %b1, {left}")


def _body(
    frame: Frame, tile: Tile, panels: Sequence[str], block: str, name: str, rows: int
) -> Callable[[str], None]:
    def emit_tile(row: str) -> None:
        t = frame.text
        each = [row] + [t.value(f"add i64 {row}, {r}") for r in range(1, rows)]
        count = len(tile.phase.sums)
        keys = [(s, r, q) for r in range(rows) for q in range(tile.vectors) for s in range(count)]
        sums = dict.fromkeys(keys, "zeroinitializer")
        for panel, pointer in zip(tile.panels, panels, strict=True):
            _multiply(frame, tile, panel, pointer, block, each, sums)
        for place, key in enumerate(keys):
            t.store(sums[key], t.pointer("%sums", str(place * t.lanes)))
        _call_equations(frame, tile, name, block, row, str(rows))

    return emit_tile


def _multiply(
    frame: Frame,
    tile: Tile,
    panel: Panel,
    pointer: str,
    block: str,
    rows: Sequence[str],
    sums: dict[tuple[int, int, int], str],
) -> None:
    """sums += operand[row, k] * panel[block, k], over k."""
    t = frame.text
    name, part = buffer_of(panel.operand)
    buffer = frame.buffers[name]
    offset = part * panel.depth
    operands = [address(frame, buffer, row, str(offset)) for row in rows]
    width = len(panel.matrices) * tile.vectors * t.lanes
    start = t.value(f"mul i64 {block}, {panel.depth * width}")
    weights = t.pointer(pointer, start)
    keys = [(s, r, q) for s in panel.sums for r in range(len(rows)) for q in range(tile.vectors)]
    before, head, done = t.label("enter"), t.label("k"), t.label("left")
    t.line(f"br label %{before}")
    t.begin(before)
    t.line(f"br label %{head}")
    t.begin(head)
    index, following = f"%{head}.i", f"%{head}.n"
    t.line(f"{index} = phi i64 [0, %{before}], [{following}, %{head}]")
    current = {}
    for n, key in enumerate(dict.fromkeys(keys)):
        name = f"%{head}.s{n}"
        t.line(f"{name} = phi {t.vector} [{sums[key]}, %{before}], [{name}n, %{head}]")
        current[key] = name
    names = dict(current)
    here = t.pointer(weights, t.value(f"mul i64 {index}, {width}"))
    _add_products(t, tile, panel, here, [t.pointer(o, index) for o in operands], current)
    # A phi needs its value's name before the value is there; this gives it that name.
    for key, name in names.items():
        t.line(f"{name}n = select i1 true, {t.vector} {current[key]}, {t.vector} {current[key]}")
        sums[key] = f"{name}n"
    t.line(f"{following} = add i64 {index}, 1")
    more = t.value(f"icmp slt i64 {following}, {panel.depth}")
    t.line(f"br i1 {more}, label %{head}, label %{done}")
    t.begin(done)


def _add_products(
    t: Text,
    tile: Tile,
    panel: Panel,
    weights: str,
    operands: Sequence[str],
    sums: dict[tuple[int, int, int], str],
) -> None:
    """One k: each row's scalar times each weight, added to the sums."""
    # Scalars first, then one weight at a time: with the sums they just fit in the registers.
    scalars = [t.broadcast(t.value(f"load {t.element}, ptr {o}")) for o in operands]
    for m, s in enumerate(panel.sums):
        for q in range(tile.vectors):
            weight = t.load(t.pointer(weights, str((m * tile.vectors + q) * t.lanes)))
            for r, scalar in enumerate(scalars):
                sums[s, r, q] = t.fma(scalar, weight, sums[s, r, q])
