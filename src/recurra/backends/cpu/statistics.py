"""The means and deviations of rows that a phase begins with, as a function.

It reads the row as an earlier phase has left it, twice for a deviation: what is near the mean must
not be lost in squares that are far from it. Where threads share the columns each does all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from recurra.backends.cpu.frame import Frame, address, loop
from recurra.backends.cpu.plan import Plan, Statistic, Tile
from recurra.backends.cpu.text import Text

__all__ = ["statistics"]

_SUMS = 4  # vectors that are added to in turn, since an addition takes as many cycles

Term = Callable[[str, Sequence[bool] | None], str]


def statistics(plan: Plan, tile: Tile, name: str) -> str:
    """The definition of `@NAME(args, share, shares, place, before, row, end)`."""
    frame = Frame.begin(plan)
    loop(frame.text, "%row", "%end", 1, lambda r: _row(frame, tile, frame.row(r)))
    body = "\n".join(frame.text.lines)
    return (
        f"define internal void @{name}(ptr %args, i64 %share, i64 %shares, i64 %place, "
        f"i64 %before, i64 %row, i64 %end) #1 {{\nentry:\n{body}\n  ret void\n}}\n"
    )


def _row(frame: Frame, tile: Tile, row: str) -> None:
    """All statistics of one row; the mean of equal operands is found once."""
    means: dict[object, str] = {}
    for statistic in tile.statistics:
        bases = [
            address(frame, frame.buffers[name], row, str(column))
            for name, column in statistic.operands
        ]
        if statistic.operands not in means:
            means[statistic.operands] = _mean(frame.text, bases, statistic, lambda v, _: v)
        value = means[statistic.operands]
        if statistic.eps is not None:
            value = _rstd(frame.text, bases, statistic, value)
        place = address(frame, frame.buffers[f"statistic:{statistic.index}"], row, "0")
        one = frame.text.value(f"extractelement {frame.text.vector} {value}, i32 0")
        frame.text.line(f"store {frame.text.element} {one}, ptr {place}")


def _rstd(t: Text, bases: Sequence[str], statistic: Statistic, mean: str) -> str:
    def square(value: str, mask: Sequence[bool] | None) -> str:
        centred = t.binary("fsub", value, mean)
        if mask is not None:
            lanes = ", ".join(f"i1 {'true' if on else 'false'}" for on in mask)
            centred = t.select(f"<{lanes}>", centred, t.splat(0.0))
        return t.binary("fmul", centred, centred)

    variance = _mean(t, bases, statistic, square)
    assert statistic.eps is not None
    root = t.call(f"llvm.sqrt.{t.suffix}", t.binary("fadd", variance, t.splat(statistic.eps)))
    return t.binary("fdiv", t.splat(1.0), root)


def _mean(t: Text, bases: Sequence[str], statistic: Statistic, term: Term) -> str:
    """The mean of a term over all elements of the operands, in every lane."""
    sums = [t.splat(0.0)] * _SUMS
    for base in bases:
        sums = _added(t, base, statistic.size, term, sums)
    for value in sums[1:]:
        sums[0] = t.binary("fadd", sums[0], value)
    total = t.broadcast(t.total(sums[0]))
    return t.binary("fdiv", total, t.splat(float(statistic.size * len(bases))))


def _added(t: Text, base: str, size: int, term: Term, sums: list[str]) -> list[str]:
    """The sums with a term of each element of an operand added."""
    wide = _SUMS * t.lanes
    whole = size // wide * wide

    def add(begin: str, i: int, mask: Sequence[bool] | None, total: str) -> str:
        place = t.pointer(base, t.value(f"add i64 {begin}, {i * t.lanes}"))
        return t.binary("fadd", total, term(t.load(place, mask), mask))

    if whole:
        sums = _carried(t, whole, wide, sums, lambda j, i, s: add(j, i, None, s))
    for i, column in enumerate(range(whole, size, t.lanes)):
        lanes = min(t.lanes, size - column)
        mask = None if lanes == t.lanes else [k < lanes for k in range(t.lanes)]
        sums[i] = add(str(whole), i, mask, sums[i])
    return sums


def _carried(
    t: Text, end: int, by: int, sums: list[str], body: Callable[[str, int, str], str]
) -> list[str]:
    """for j from 0 while j < end: each sum i becomes body(j, i, sum)."""
    before, head, done = t.label("before"), t.label("head"), t.label("done")
    t.line(f"br label %{before}")
    t.begin(before)
    t.line(f"br label %{head}")
    t.begin(head)
    index, following = f"%{head}.j", f"%{head}.n"
    t.line(f"{index} = phi i64 [0, %{before}], [{following}, %{head}]")
    place = len(t.lines)
    found = [body(index, i, f"%{head}.s{i}") for i in range(len(sums))]
    t.lines[place:place] = [
        f"  %{head}.s{i} = phi {t.vector} [{start}, %{before}], [{value}, %{head}]"
        for i, (start, value) in enumerate(zip(sums, found, strict=True))
    ]
    t.line(f"{following} = add i64 {index}, {by}")
    more = t.value(f"icmp slt i64 {following}, {end}")
    t.line(f"br i1 {more}, label %{head}, label %{done}")
    t.begin(done)
    return found
