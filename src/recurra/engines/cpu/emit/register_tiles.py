"""Tiles of registers as functions: some rows of an operand times the weights of some columns.

`@NAME(operand, row stride, sums, first, count, column, weights...)` adds the products of `count`
elements of each row to the sums, which lie in memory before and after; `first` begins those that
are new with zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recurra.engines.cpu.emit.frame import Frame, loop, smaller
from recurra.engines.cpu.emit.llvm_text import WIDE, FunctionText
from recurra.engines.cpu.emit.quantised_tiles import quantised_tile

__all__ = ["Form", "tile_function"]

SumKey = tuple[int, int, int]
Sums = dict[SumKey, str]


@dataclass(frozen=True)
class Form:
    """The parameters of a tile's code.

    `sums` has the sum of each matrix's products, of `count` in all; `fresh` which of them `first`
    begins; `each` is how far apart the sums of two rows lie.
    """

    kind: str
    sums: tuple[int, ...]
    fresh: tuple[bool, ...]
    count: int
    vectors: int
    each: int
    height: int
    depth: int
    columns: int

    @property
    def name(self) -> str:
        """The name of the function."""
        parts = "".join(
            f"{s}{'n' if new else 'o'}" for s, new in zip(self.sums, self.fresh, strict=True)
        )
        size = "" if self.kind == "packed" else f".{self.depth}.{self.columns}"
        return f"{self.kind}.{parts}.{self.count}.{self.vectors}.{self.each}.{self.height}{size}"


def tile_function(frame: Frame, form: Form) -> str:
    """The name of a tile's function, which is added to the frame's where it isn't there."""
    if form.name not in frame.functions:
        if form.kind == "int8":
            frame.functions[form.name] = quantised_tile(frame, form)
        else:
            frame.functions[form.name] = _Tile(frame.text, form).definition()
    return form.name


class _Tile:
    def __init__(self, like: FunctionText, form: Form) -> None:
        self.t, self.form = FunctionText(like.element, like.lanes), form
        self.rows = range(form.height)
        matrices = 1 if form.kind == "packed" else len(form.sums)
        self.weights = [f"%w{m}" for m in range(matrices)]

    def definition(self) -> str:
        """The function."""
        t = self.t
        operands = [t.pointer("%operand", t.value(f"mul i64 %stride, {r}")) for r in self.rows]
        sums = [t.pointer("%sums", str(r * self.form.each)) for r in self.rows]
        if self.form.kind == "rows":
            self._dots(operands, sums)
        else:
            self._products(operands, sums)
        body = "\n".join(t.lines)
        weights = ", ".join(f"ptr noalias {w}" for w in self.weights)
        return (
            f"define internal void @{self.form.name}(ptr %operand, i64 %stride, ptr %sums, "
            f"i1 %first, i64 %count, i64 %column, {weights}) noinline {WIDE} {{\n"
            f"entry:\n{body}\n  ret void\n}}\n"
        )

    def _vector(self, place: str, q: int, s: int) -> str:
        return self.t.pointer(place, str((q * self.form.count + s) * self.t.lanes))

    def _products(self, operands: Sequence[str], places: Sequence[str]) -> None:
        """sums += operand[row, k] * weights[k]."""
        t, form = self.t, self.form
        sums: Sums = {}
        new = dict(zip(form.sums, form.fresh, strict=True))
        for s, is_new in new.items():
            for r in self.rows:
                for q in range(form.vectors):
                    place = self._vector(places[r], q, s)
                    if is_new:
                        place = t.value(f"select i1 %first, ptr @zeros, ptr {place}")
                    sums[s, r, q] = t.load(place)
        self._over_k(operands, sums)
        for (s, r, q), value in sums.items():
            t.store(value, self._vector(places[r], q, s))

    def _over_k(self, operands: Sequence[str], sums: Sums) -> None:
        t = self.t
        t.line("br label %k")
        t.begin("k")
        t.line("%i = phi i64 [0, %entry], [%i.n, %k]")
        names = {key: f"%s{n}" for n, key in enumerate(sums)}
        for key, name in names.items():
            t.line(f"{name} = phi {t.vector} [{sums[key]}, %entry], [{name}n, %k]")
        sums.update(names)
        self._add_products(operands, sums)
        # A phi needs its value's name before the value is there; this gives it that name.
        for key, name in names.items():
            t.line(f"{name}n = select i1 true, {t.vector} {sums[key]}, {t.vector} {sums[key]}")
            sums[key] = f"{name}n"
        t.line("%i.n = add i64 %i, 1")
        t.line("%more = icmp slt i64 %i.n, %count")
        t.line("br i1 %more, label %k, label %done")
        t.begin("done")

    def _add_products(self, operands: Sequence[str], sums: Sums) -> None:
        """One k: each row's scalar times each weight, added to the sums."""
        # Scalars first, then one weight at a time: with the sums they just fit in the registers.
        t = self.t
        scalars = [
            t.broadcast(t.value(f"load {t.element}, ptr {t.pointer(o, '%i')}")) for o in operands
        ]
        weights = self._packed() if self.form.kind == "packed" else self._columns()
        for m, s in enumerate(self.form.sums):
            for q in range(self.form.vectors):
                weight = weights(m, q)
                for r, scalar in enumerate(scalars):
                    sums[s, r, q] = t.fma(scalar, weight, sums[s, r, q])

    def _packed(self) -> Callable[[int, int], str]:
        t, vectors = self.t, self.form.vectors
        width = len(self.form.sums) * vectors * t.lanes
        here = t.pointer("%w0", t.value(f"mul i64 %i, {width}"))
        return lambda m, q: t.load(t.pointer(here, str((m * vectors + q) * t.lanes)))

    def _columns(self) -> Callable[[int, int], str]:
        """Weights where they lie, zeros past the last column."""
        t, columns = self.t, self.form.columns
        line = t.value(f"mul i64 %i, {columns}")

        def weight(m: int, q: int) -> str:
            column = t.value(f"add i64 %column, {q * t.lanes}")
            return t.load_until(t.pointer(self.weights[m], line), column, str(columns))

        return weight

    def _dots(self, operands: Sequence[str], places: Sequence[str]) -> None:
        """The same for weights with k within a row: products along k, then their sums."""
        new = {s for s, is_new in zip(self.form.sums, self.form.fresh, strict=True) if is_new}
        for m, s in enumerate(self.form.sums):
            self._dots_of(m, s, operands, places, is_new=s in new)
            new.discard(s)

    def _dots_of(
        self, m: int, s: int, operands: Sequence[str], places: Sequence[str], *, is_new: bool
    ) -> None:
        t, form = self.t, self.form
        group = min(4, t.lanes)

        def columns(inside: str) -> None:
            column = t.value(f"add i64 %column, {inside}")
            weights = []
            for c in range(group):
                at = smaller(t, t.value(f"add i64 {column}, {c}"), str(form.columns - 1))
                line = t.value(f"mul i64 {at}, {form.depth}")
                weights.append(t.pointer(self.weights[m], line))
            totals = self._dot_loop(weights, operands)
            for r in self.rows:
                place = self._place(places[r], s, inside)
                self._store([totals[c, r] for c in range(group)], place, is_new=is_new)

        loop(t, "0", str(form.vectors * t.lanes), group, columns)

    def _place(self, row: str, s: int, inside: str) -> str:
        """The address of the sum of a row and a column of the tile."""
        t = self.t
        q = t.value(f"udiv i64 {inside}, {t.lanes}")
        lane = t.value(f"urem i64 {inside}, {t.lanes}")
        vector = t.value(f"mul i64 {q}, {self.form.count * t.lanes}")
        at = t.value(f"add i64 {t.value(f'add i64 {vector}, {lane}')}, {s * t.lanes}")
        return t.pointer(row, at)

    def _store(self, values: Sequence[str], place: str, *, is_new: bool) -> None:
        t = self.t
        for c, value in enumerate(values):
            here = t.pointer(place, str(c))
            known = t.value(f"load {t.element}, ptr {here}")
            if is_new:
                zero = f"{t.element} 0.0"
                known = t.value(f"select i1 %first, {zero}, {t.element} {known}")
            total = t.value(f"fadd {t.element} {known}, {value}")
            t.line(f"store {t.element} {total}, ptr {here}")

    def _dot_loop(
        self, weights: Sequence[str], operands: Sequence[str]
    ) -> dict[tuple[int, int], str]:
        """Each weight row times each operand, summed over k."""
        t, depth = self.t, self.form.depth
        whole = depth - depth % t.lanes
        keys = [(c, r) for c in range(len(weights)) for r in self.rows]
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
        t = self.t
        before, head, done = t.label("enter"), t.label("dot"), t.label("summed")
        t.line(f"br label %{before}")
        t.begin(before)
        t.line(f"br label %{head}")
        t.begin(head)
        index, following = f"%{head}.i", f"%{head}.n"
        t.line(f"{index} = phi i64 [0, %{before}], [{following}, %{head}]")
        keys = [(c, r) for c in range(len(weights)) for r in self.rows]
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
