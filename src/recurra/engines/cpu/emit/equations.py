"""The equations of a phase as functions: statistics of rows first, then the element-wise rest.

A statistic reads the row as an earlier phase has left it, twice for a deviation: what is near the
mean must not be lost in squares that are far from it. Where threads share the columns each does all
of it. The element-wise equations go from sums of products and loads to stores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from recurra.engines.cpu.emit.frame import Frame, address, is_marked, loop
from recurra.engines.cpu.emit.llvm_text import FunctionText, literal
from recurra.engines.cpu.plan.operands import buffer_of
from recurra.engines.cpu.plan.tiling import LoopPlan, Statistic, Tile
from recurra.ir import Node

__all__ = ["RULES", "equations", "statistics"]

RULES: dict[str, Callable[..., str]] = {
    "neg": lambda t, a: t.binary("fsub", t.splat(-0.0), a),
    "sigmoid": lambda t, a: t.call("recurra.sigmoid", a),
    "tanh": lambda t, a: t.call("recurra.tanh", a),
    "relu": lambda t, a: t.select(t.compare("olt", a, t.splat(0.0)), t.splat(0.0), a),
    "exp": lambda t, a: t.call("recurra.exp", a),
    "expm1": lambda t, a: t.call("recurra.expm1", a),
    "log": lambda t, a: t.call("recurra.log", a),
    "log1p": lambda t, a: t.call("recurra.log1p", a),
    "sqrt": lambda t, a: t.call(f"llvm.sqrt.{t.suffix}", a),
    "bounded_sqrt": lambda t, a: t.call(f"llvm.sqrt.{t.suffix}", a),
    "softplus": lambda t, a: t.call("recurra.softplus", a),
    "log_sigmoid": lambda t, a: t.call("recurra.log_sigmoid", a),
    "abs": lambda t, a: t.call(f"llvm.fabs.{t.suffix}", a),
    "add": lambda t, a, b: t.binary("fadd", a, b),
    "sub": lambda t, a, b: t.binary("fsub", a, b),
    "mul": lambda t, a, b: t.binary("fmul", a, b),
    "div": lambda t, a, b: t.binary("fdiv", a, b),
    "maximum": lambda t, a, b: _extreme(t, "ogt", a, b),
    "minimum": lambda t, a, b: _extreme(t, "olt", a, b),
    "where_positive": lambda t, a, b, c: t.select(t.compare("ogt", a, t.splat(0.0)), b, c),
    "zero_up_to": lambda t, a, b, g: t.select(t.compare("ole", a, b), t.splat(0.0), g),
    "zero_below": lambda t, a, b, g: t.select(t.compare("olt", a, b), t.splat(0.0), g),
}


def _extreme(t: FunctionText, how: str, a: str, b: str) -> str:
    """The larger or smaller; a NaN of either is the result, as torch has it."""
    chosen = t.select(t.compare(how, a, b), a, b)
    return t.select(t.compare("ord", a, a), chosen, a)


def equations(plan: LoopPlan, tile: Tile, name: str, columns: int) -> str:
    """The definition of `@NAME(args, share, shares, place, before, row, rows, column, end, sums)`.

    It works from a row and a column on, `columns` columns at a time, as many as the tile has or, at
    the end, fewer; `sums` are vectors, for each row those of each register beside one another.
    Where there are none a row is done up to the column `end` before the next one, since what lies
    side by side is read fastest so.
    """
    frame = Frame.begin(plan)

    def row(index: str) -> None:
        if tile.panels:
            _row(frame, tile, columns, index, "%column")
        else:
            loop(
                frame.text, "%column", "%end", columns,
                lambda c: _row(frame, tile, columns, index, c),
            )  # fmt: skip

    loop(frame.text, "0", "%rows", 1, row)
    body = "\n".join(frame.text.lines)
    return (
        f"define internal void @{name}(ptr %args, i64 %share, i64 %shares, i64 %place, "
        f"i64 %before, i64 %row, i64 %rows, i64 %column, i64 %end, ptr %sums) #1 {{\n"
        f"entry:\n{body}\n  ret void\n}}\n"
    )


def _row(frame: Frame, tile: Tile, columns: int, index: str, begin: str) -> None:
    """One row from a column on: vector by vector, all loads of one before its stores."""
    t = frame.text
    row = frame.row(t.value(f"add i64 %row, {index}"))
    sums = len(tile.phase.sums)
    each = tile.vectors * sums * t.lanes
    first = t.pointer("%sums", t.value(f"mul i64 {index}, {each}"))
    for q in range(-(-columns // t.lanes)):
        lanes = min(t.lanes, columns - q * t.lanes)
        mask = None if lanes == t.lanes else [i < lanes for i in range(t.lanes)]
        column = t.value(f"add i64 {begin}, {q * t.lanes}")
        place = _RowVector(frame, tile.columns, row, column, mask)
        known = {s: t.load(t.pointer(first, str((q * sums + s) * t.lanes))) for s in range(sums)}
        values = [place.value(s.node, known) for s in tile.phase.stores]
        if frame.plan.modes.marked and frame.plan.backward:
            stores = zip(tile.phase.stores, values, strict=True)
            values = [place.cut(s.buffer, v) for s, v in stores]
        for store, value in zip(tile.phase.stores, values, strict=True):
            place.store(store.buffer, store.part, value, add=store.add)
            kind, _, state = store.buffer.partition(":")
            # The next step may clear what `next` has written, at the start of a segment.
            if kind == "next" and f"new:{state}" in frame.plan.written_twice:
                place.store(f"new:{state}", 0, value, add=False)


class _RowVector:
    """One vector of one row: what is computed there is computed once."""

    def __init__(
        self, frame: Frame, columns: int, row: str, column: str, mask: Sequence[bool] | None
    ) -> None:
        self.frame, self.columns, self.mask = frame, columns, mask
        self.row, self.column = row, column
        self.known: dict[Node, str] = {}

    def value(self, node: Node, sums: dict[int, str]) -> str:
        """The value of a node here."""
        found = self.known.get(node)
        if found is None:
            t = self.frame.text
            if node.op == "const":
                assert isinstance(node.detail, float)
                found = t.splat(node.detail)
            elif node.op == "sum":
                assert isinstance(node.detail, int)
                found = sums[node.detail]
            elif not node.args:
                found = self._load(node)
            else:
                found = RULES[node.op](t, *(self.value(a, sums) for a in node.args))
            self.known[node] = found
        return found

    def _load(self, node: Node) -> str:
        t = self.frame.text
        name, part = buffer_of(node)
        if node.op == "statistic":
            place = address(self.frame, self.frame.buffers[name], self.row, "0")
            return t.broadcast(t.value(f"load {t.element}, ptr {place}"))
        if not node.shape:
            scalar = t.value(f"load {t.element}, ptr {self.frame.buffers[name].base}")
            return t.broadcast(scalar)
        return t.load(self._pointer(name, part), self.mask)

    def _pointer(self, name: str, part: int) -> str:
        t = self.frame.text
        column = t.value(f"add i64 {self.column}, {part * self.columns}")
        return address(self.frame, self.frame.buffers[name], self.row, column)

    def cut(self, name: str, value: str) -> str:
        """The gradient that leaves a step: zero where a segment begins with it."""
        if not name.startswith("next:"):
            return value
        marked = is_marked(self.frame, self.row)
        vector = self.frame.text.vector
        return self.frame.text.value(
            f"select i1 {marked}, {vector} zeroinitializer, {vector} {value}"
        )

    def store(self, name: str, part: int, value: str, *, add: bool) -> None:
        """Write a value to a buffer, or add it to what is there."""
        t = self.frame.text
        pointer = self._pointer(name, part)
        if add:
            value = t.binary("fadd", t.load(pointer, self.mask), value)
        t.store(value, pointer, self.mask)


_SUMS = 4  # vectors that are added to in turn, since an addition takes as many cycles

StatisticTerm = Callable[[str, Sequence[bool] | None], str]


def statistics(plan: LoopPlan, tile: Tile, name: str) -> str:
    """The definition of `@NAME(args, share, shares, place, before, row, end)`."""
    frame = Frame.begin(plan)
    loop(frame.text, "%row", "%end", 1, lambda r: _statistics_of_row(frame, tile, frame.row(r)))
    body = "\n".join(frame.text.lines)
    return (
        f"define internal void @{name}(ptr %args, i64 %share, i64 %shares, i64 %place, "
        f"i64 %before, i64 %row, i64 %end) #1 {{\nentry:\n{body}\n  ret void\n}}\n"
    )


def _statistics_of_row(frame: Frame, tile: Tile, row: str) -> None:
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
        place = address(frame, frame.buffers[f"statistic:{statistic.index}"], row, "0")
        if statistic.eps is None:
            _store_one(frame.text, value, place)
        else:
            _store_rstd(frame.text, bases, statistic, value, place)


def _store_one(t: FunctionText, value: str, place: str) -> None:
    one = t.value(f"extractelement {t.vector} {value}, i32 0")
    t.line(f"store {t.element} {one}, ptr {place}")


_SCALES = {"float": 2.0**-96, "double": 2.0**-768}  # of rows whose squares have no room


def _store_rstd(
    t: FunctionText, bases: Sequence[str], statistic: Statistic, mean: str, place: str
) -> None:
    """The reciprocal deviation; of a row too wide for the sum of its squares, of the row scaled."""
    assert statistic.eps is not None
    variance = _variance(t, bases, statistic, mean, None)
    root = t.call(f"llvm.sqrt.{t.suffix}", t.binary("fadd", variance, t.splat(statistic.eps)))
    _store_one(t, t.binary("fdiv", t.splat(1.0), root), place)
    wide, done = t.label("wide"), t.label("after")
    one = t.value(f"extractelement {t.vector} {variance}, i32 0")
    is_wide = t.value(f"fcmp oeq {t.element} {one}, {literal(math.inf, t.element)}")
    t.line(f"br i1 {is_wide}, label %{wide}, label %{done}")
    t.begin(wide)
    scale = t.splat(_SCALES[t.element])
    root = t.call(f"llvm.sqrt.{t.suffix}", _variance(t, bases, statistic, mean, scale))
    _store_one(t, t.binary("fdiv", scale, root), place)
    t.line(f"br label %{done}")
    t.begin(done)


def _variance(
    t: FunctionText, bases: Sequence[str], statistic: Statistic, mean: str, scale: str | None
) -> str:
    def square(value: str, mask: Sequence[bool] | None) -> str:
        centred = t.binary("fsub", value, mean)
        if mask is not None:
            lanes = ", ".join(f"i1 {'true' if on else 'false'}" for on in mask)
            centred = t.select(f"<{lanes}>", centred, t.splat(0.0))
        centred = centred if scale is None else t.binary("fmul", centred, scale)
        return t.binary("fmul", centred, centred)

    return _mean(t, bases, statistic, square)


def _mean(t: FunctionText, bases: Sequence[str], statistic: Statistic, term: StatisticTerm) -> str:
    """The mean of a term over all elements of the operands, in every lane."""
    sums = [t.splat(0.0)] * _SUMS
    for base in bases:
        sums = _added(t, base, statistic.size, term, sums)
    for value in sums[1:]:
        sums[0] = t.binary("fadd", sums[0], value)
    total = t.broadcast(t.total(sums[0]))
    return t.binary("fdiv", total, t.splat(float(statistic.size * len(bases))))


def _added(
    t: FunctionText, base: str, size: int, term: StatisticTerm, sums: list[str]
) -> list[str]:
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
    t: FunctionText, end: int, by: int, sums: list[str], body: Callable[[str, int, str], str]
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
