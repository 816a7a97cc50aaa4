"""Sums of products of a block of rows: tiles of registers over rows, columns and k."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set

from weft.backends.cpu.frame import Frame, address, loop, smaller
from weft.backends.cpu.plan import Panel, Tile, buffer_of
from weft.backends.cpu.text import Text

__all__ = ["multiply"]

Key = tuple[int, int, int]
Sums = dict[Key, str]


def multiply(
    frame: Frame,
    tile: Tile,
    panel: Panel,
    pointers: Sequence[str],
    place: tuple[str, str],
    rows: tuple[str, str],
    seen: Set[int],
) -> None:
    """Add a panel's products with a block of rows to their sums; those not `seen` start at zero.

    `place` is the first column of the block, and which of its tiles this is.
    """
    tiles = _Tiles(frame, tile, panel, pointers, place, rows[0], seen)
    t = frame.text
    if panel.form == "rows":
        _over_rows(t, panel, rows, tiles.dots)
        return

    def piece(start: str) -> None:
        end = smaller(t, t.value(f"add i64 {start}, {panel.chunk}"), str(panel.depth))
        _over_rows(t, panel, rows, lambda each: tiles.products(each, start, end))

    loop(t, "0", str(panel.depth), panel.chunk, piece)


def _over_rows(
    t: Text, panel: Panel, rows: tuple[str, str], body: Callable[[Sequence[str]], None]
) -> None:
    """The tiles of a block of rows, tall ones first."""
    start, last = rows

    def tile(height: int) -> Callable[[str], None]:
        return lambda row: body(
            [row] + [t.value(f"add i64 {row}, {r}") for r in range(1, height)]
        )

    for height in panel.heights:
        end = last if height == 1 else _end_of_tiles(t, start, last, height)
        loop(t, start, end, height, tile(height))
        start = end


def _end_of_tiles(t: Text, start: str, last: str, height: int) -> str:
    """Where the tiles of so many rows end; four rows are two tiles of two, not three and one."""
    count = t.value(f"sub i64 {last}, {start}")
    left = t.value(f"urem i64 {count}, {height}")
    if height == 3:
        single = t.value(f"icmp eq i64 {left}, 1")
        enough = t.value(f"icmp sgt i64 {count}, {height}")
        both = t.value(f"and i1 {single}, {enough}")
        left = t.value(f"select i1 {both}, i64 {height + 1}, i64 {left}")
    return t.value(f"sub i64 {last}, {left}")


class _Tiles:
    """What the tiles of one panel and one block of rows have in common."""

    def __init__(
        self,
        frame: Frame,
        tile: Tile,
        panel: Panel,
        pointers: Sequence[str],
        place: tuple[str, str],
        start: str,
        seen: Set[int],
    ) -> None:
        t = frame.text
        self.frame, self.tile, self.panel = frame, tile, panel
        self.pointers, self.start, self.seen = pointers, start, seen
        self.count = len(tile.phase.sums)
        self.wide = panel.vectors * t.lanes
        self.column = t.value(f"add i64 {place[0]}, {t.value(f'mul i64 {place[1]}, {self.wide}')}")
        first = t.value(f"mul i64 {place[1]}, {self.wide * self.count}")
        self.scratch = t.pointer("%sums", first)

    def products(self, rows: Sequence[str], start: str, end: str) -> None:
        """sums += operand[row, k] * panel[k] for start <= k < end."""
        t, panel = self.frame.text, self.panel
        operands = self._operands(rows)
        places = [self._sums(row) for row in rows]
        first = t.value(f"icmp eq i64 {start}, 0")
        sums: Sums = {}
        for s in dict.fromkeys(panel.sums):
            for r in range(len(rows)):
                for q in range(self.panel.vectors):
                    place = self._vector(places[r], q, s)
                    if s not in self.seen:
                        place = t.value(f"select i1 {first}, ptr @zeros, ptr {place}")
                    sums[s, r, q] = t.load(place)
        self._over_k(operands, start, end, sums)
        for (s, r, q), value in sums.items():
            t.store(value, self._vector(places[r], q, s))

    def _operands(self, rows: Sequence[str]) -> list[str]:
        name, part = buffer_of(self.panel.operand)
        buffer = self.frame.buffers[name]
        offset = str(part * self.panel.depth)
        return [address(self.frame, buffer, self.frame.row(r), offset) for r in rows]

    def _sums(self, row: str) -> str:
        t = self.frame.text
        inside = t.value(f"sub i64 {row}, {self.start}")
        each = self.tile.vectors * t.lanes * self.count
        return t.pointer(self.scratch, t.value(f"mul i64 {inside}, {each}"))

    def _vector(self, place: str, q: int, s: int) -> str:
        return self.frame.text.pointer(place, str((q * self.count + s) * self.frame.text.lanes))

    def _over_k(self, operands: Sequence[str], start: str, end: str, sums: Sums) -> None:
        t = self.frame.text
        before, head, done = t.label("enter"), t.label("k"), t.label("left")
        t.line(f"br label %{before}")
        t.begin(before)
        t.line(f"br label %{head}")
        t.begin(head)
        index, following = f"%{head}.i", f"%{head}.n"
        t.line(f"{index} = phi i64 [{start}, %{before}], [{following}, %{head}]")
        names = {key: f"%{head}.s{n}" for n, key in enumerate(sums)}
        for key, name in names.items():
            t.line(f"{name} = phi {t.vector} [{sums[key]}, %{before}], [{name}n, %{head}]")
        sums.update(names)
        self._add_products(operands, index, sums)
        # A phi needs its value's name before the value is there; this gives it that name.
        for key, name in names.items():
            t.line(f"{name}n = select i1 true, {t.vector} {sums[key]}, {t.vector} {sums[key]}")
            sums[key] = f"{name}n"
        t.line(f"{following} = add i64 {index}, 1")
        more = t.value(f"icmp slt i64 {following}, {end}")
        t.line(f"br i1 {more}, label %{head}, label %{done}")
        t.begin(done)

    def _add_products(self, operands: Sequence[str], k: str, sums: Sums) -> None:
        """One k: each row's scalar times each weight, added to the sums."""
        # Scalars first, then one weight at a time: with the sums they just fit in the registers.
        t = self.frame.text
        scalars = [
            t.broadcast(t.value(f"load {t.element}, ptr {t.pointer(o, k)}")) for o in operands
        ]
        weights = self._packed(k) if self.panel.form == "packed" else self._columns(k)
        for m, s in enumerate(self.panel.sums):
            for q in range(self.panel.vectors):
                weight = weights(m, q)
                for r, scalar in enumerate(scalars):
                    sums[s, r, q] = t.fma(scalar, weight, sums[s, r, q])

    def _packed(self, k: str) -> Callable[[int, int], str]:
        t, panel = self.frame.text, self.panel
        width = len(panel.matrices) * self.wide
        begin = t.value(f"mul i64 {self.column}, {panel.depth * len(panel.matrices)}")
        line = t.value(f"add i64 {begin}, {t.value(f'mul i64 {k}, {width}')}")
        here = t.pointer(self.pointers[0], line)
        return lambda m, q: t.load(t.pointer(here, str((m * panel.vectors + q) * t.lanes)))

    def _columns(self, k: str) -> Callable[[int, int], str]:
        """Weights where they lie; past the last column, others that no one looks at."""
        t, columns = self.frame.text, self.tile.columns
        line = t.value(f"mul i64 {k}, {columns}")

        def weight(m: int, q: int) -> str:
            column = t.value(f"add i64 {self.column}, {q * t.lanes}")
            return t.load_until(t.pointer(self.pointers[m], line), column, str(columns))

        return weight

    def dots(self, rows: Sequence[str]) -> None:
        """The same for weights with k within a row: products along k, then their sums."""
        fresh = set(self.panel.sums) - set(self.seen)
        for m, s in enumerate(self.panel.sums):
            self._dots_of(m, s, rows, fresh=s in fresh)
            fresh.discard(s)

    def _dots_of(self, m: int, s: int, rows: Sequence[str], *, fresh: bool) -> None:
        t = self.frame.text
        group = min(4, t.lanes)

        def columns(inside: str) -> None:
            column = t.value(f"add i64 {self.column}, {inside}")
            weights = []
            for c in range(group):
                at = smaller(t, t.value(f"add i64 {column}, {c}"), str(self.tile.columns - 1))
                line = t.value(f"mul i64 {at}, {self.panel.depth}")
                weights.append(t.pointer(self.pointers[m], line))
            totals = self._dot_loop(weights, self._operands(rows))
            for r, row in enumerate(rows):
                place = self._dot_place(row, s, inside)
                values = [totals[c, r] for c in range(group)]
                _store_scalars(t, values, place, fresh=fresh)

        loop(t, "0", str(self.wide), group, columns)

    def _dot_place(self, row: str, s: int, inside: str) -> str:
        """Where the sum of a row and a column of the block lies."""
        t = self.frame.text
        q = t.value(f"udiv i64 {inside}, {t.lanes}")
        lane = t.value(f"urem i64 {inside}, {t.lanes}")
        vector = t.value(f"mul i64 {q}, {self.count * t.lanes}")
        at = t.value(f"add i64 {t.value(f'add i64 {vector}, {lane}')}, {s * t.lanes}")
        return t.pointer(self._sums(row), at)

    def _dot_loop(
        self, weights: Sequence[str], operands: Sequence[str]
    ) -> dict[tuple[int, int], str]:
        """Each weight row times each operand, summed over k."""
        t, depth = self.frame.text, self.panel.depth
        whole = depth - depth % t.lanes
        keys = [(c, r) for c in range(len(weights)) for r in range(len(operands))]
        totals = dict.fromkeys(keys, "zeroinitializer")
        if whole:
            totals = self._whole_vectors(weights, operands, whole)
        if depth % t.lanes:
            mask = [i < depth % t.lanes for i in range(t.lanes)]
            ws = [t.load(t.pointer(w, str(whole)), mask) for w in weights]
            os = [t.load(t.pointer(o, str(whole)), mask) for o in operands]
            totals = {(c, r): t.fma(ws[c], os[r], v) for (c, r), v in totals.items()}
        return {key: t.total(v) for key, v in totals.items()}

    def _whole_vectors(
        self, weights: Sequence[str], operands: Sequence[str], whole: int
    ) -> dict[tuple[int, int], str]:
        t = self.frame.text
        before, head, done = t.label("enter"), t.label("dot"), t.label("summed")
        t.line(f"br label %{before}")
        t.begin(before)
        t.line(f"br label %{head}")
        t.begin(head)
        index, following = f"%{head}.i", f"%{head}.n"
        t.line(f"{index} = phi i64 [0, %{before}], [{following}, %{head}]")
        keys = [(c, r) for c in range(len(weights)) for r in range(len(operands))]
        names = {key: f"%{head}.s{n}" for n, key in enumerate(keys)}
        for name in names.values():
            t.line(f"{name} = phi {t.vector} [zeroinitializer, %{before}], [{name}n, %{head}]")
        given = [t.load(t.pointer(o, index)) for o in operands]
        for c, line in enumerate(weights):
            weight = t.load(t.pointer(line, index))
            for r, operand in enumerate(given):
                name = names[c, r]
                total = t.fma(weight, operand, name)
                t.line(f"{name}n = select i1 true, {t.vector} {total}, {t.vector} {total}")
        t.line(f"{following} = add i64 {index}, {t.lanes}")
        more = t.value(f"icmp slt i64 {following}, {whole}")
        t.line(f"br i1 {more}, label %{head}, label %{done}")
        t.begin(done)
        return {key: f"{name}n" for key, name in names.items()}


def _store_scalars(t: Text, values: Sequence[str], place: str, *, fresh: bool) -> None:
    for c, value in enumerate(values):
        here = t.pointer(place, str(c))
        if not fresh:
            known = t.value(f"load {t.element}, ptr {here}")
            value = t.value(f"fadd {t.element} {known}, {value}")
        t.line(f"store {t.element} {value}, ptr {here}")
