"""Tiles of int8 products: each row is scaled by its largest number, and sums are whole numbers.

    scale = max |row| / 127,  q = round(row * (127 / max |row|))
    sums += (scale * weight scale) * (q . weights)

A panel holds, for each tile of columns: four k of every column to a word of 32 bits, k after k; the
scales of the columns; and 128 times the sum of each one's weights, since the bytes of a row are
q + 128, as the instruction for dot products of bytes takes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from recurra.engines.cpu.emit.frame import Frame, loop
from recurra.engines.cpu.emit.llvm_text import WIDE, FunctionText, literal

if TYPE_CHECKING:
    from recurra.engines.cpu.emit.register_tiles import Form

__all__ = ["EXTRA_LINES", "GROUP", "LEVELS", "quantised_declarations", "quantised_tile"]

GROUP = 4
"""The k of a column that lie in one word."""

EXTRA_LINES = 2
"""Lines of a tile after the weights: scales, and corrections."""

LEVELS = 127
"""The largest whole number that a weight or an element of a row becomes."""

_ROUNDING = 1.5 * 2**23
"""Added to a small float32, it leaves the nearest whole number in the lowest bits."""


def quantised_declarations(lanes: int, byte_dot: str) -> str:
    """The intrinsics that these tiles call."""
    whole = f"<{lanes} x i32>"
    lines = [
        f"declare {whole} @llvm.umax.v{lanes}i32({whole}, {whole})",
        f"declare i32 @llvm.vector.reduce.umax.v{lanes}i32({whole})",
    ]
    if byte_dot:
        lines.append(f"declare {whole} @{byte_dot}({whole}, {whole}, {whole})")
    return "\n".join(lines) + "\n"


def quantised_tile(frame: Frame, form: Form) -> str:
    """The definition of a tile's function."""
    return _QuantisedTile(frame.text, form, frame.plan.byte_dot).definition()


class _QuantisedTile:
    def __init__(self, like: FunctionText, form: Form, byte_dot: str) -> None:
        self.t, self.form, self.byte_dot = FunctionText(like.element, like.lanes), form, byte_dot
        self.lanes = like.lanes
        self.width = len(form.sums) * form.vectors * self.lanes
        self.groups = -(-form.depth // GROUP)
        # Without an instruction for bytes, pairs of k are summed apart until the end.
        self.slots = self.lanes if byte_dot else 2 * self.lanes

    def definition(self) -> str:
        """The function, with the arguments of every tile."""
        t, form = self.t, self.form
        rows, places = range(form.height), range(len(form.sums) * form.vectors)
        room = -(-form.depth // self.lanes) * self.lanes
        for row in rows:
            t.line(f"%bytes{row} = alloca [{room} x i8], align 64")
            t.line(f"%peak{row} = alloca {t.integers}, align 64")
            for place in places:
                t.line(f"%dot{row}.{place} = alloca <{self.slots} x i32>, align 64")
        scales = [self._quantise(row) for row in rows]
        for row in rows:
            for place in places:
                t.line(f"store <{self.slots} x i32> zeroinitializer, ptr %dot{row}.{place}")
        loop(t, "0", str(self.groups), 1, self._group)
        for row, scale in zip(rows, scales, strict=True):
            self._add(row, scale)
        body = "\n".join(t.lines)
        return (
            f"define internal void @{form.name}(ptr %operand, i64 %stride, ptr %sums, "
            f"i1 %first, i64 %count, i64 %column, ptr noalias %w0) noinline {WIDE} {{\n"
            f"entry:\n{body}\n  ret void\n}}\n"
        )

    def _quantise(self, row: int) -> str:
        """The bytes of a row; its scale. NaN and infinity are larger than any number, as bits."""
        t, depth = self.t, str(self.form.depth)
        operand = t.pointer("%operand", t.value(f"mul i64 %stride, {row}"))
        t.line(f"store {t.integers} zeroinitializer, ptr %peak{row}")

        def largest(k: str) -> None:
            bits = self._bits(t.load_until(operand, k, depth))
            size = t.value(f"and {t.integers} {bits}, {t.integer_splat(0x7FFFFFFF)}")
            before = t.value(f"load {t.integers}, ptr %peak{row}")
            after = t.value(
                f"call {t.integers} @llvm.umax.v{t.lanes}i32({t.integers} {before}, "
                f"{t.integers} {size})"
            )
            t.line(f"store {t.integers} {after}, ptr %peak{row}")

        loop(t, "0", depth, t.lanes, largest)
        peak = t.value(f"load {t.integers}, ptr %peak{row}")
        bits = t.value(f"call i32 @llvm.vector.reduce.umax.v{t.lanes}i32({t.integers} {peak})")
        most = t.value(f"bitcast i32 {bits} to float")
        levels = literal(LEVELS, "float")
        scale = t.value(f"fdiv float {most}, {levels}")
        inverse = t.broadcast(t.value(f"fdiv float {levels}, {most}"))

        def write(k: str) -> None:
            scaled = t.binary("fmul", t.load_until(operand, k, depth), inverse)
            rounded = self._bits(t.binary("fadd", scaled, t.splat(_ROUNDING)))
            low = t.value(f"trunc {t.integers} {rounded} to <{t.lanes} x i8>")
            sign = "<" + ", ".join(["i8 -128"] * t.lanes) + ">"
            moved = t.value(f"xor <{t.lanes} x i8> {low}, {sign}")
            place = t.value(f"getelementptr i8, ptr %bytes{row}, i64 {k}")
            t.line(f"store <{t.lanes} x i8> {moved}, ptr {place}, align 1")

        loop(t, "0", depth, t.lanes, write)
        return scale

    def _bits(self, vector: str) -> str:
        return self.t.value(f"bitcast {self.t.vector} {vector} to {self.t.integers}")

    def _group(self, group: str) -> None:
        """Four k: each row's bytes times those of every column."""
        t, kind = self.t, f"<{self.slots} x i32>"
        offset = t.value(f"mul i64 {group}, {GROUP}")
        rows = []
        for row in range(self.form.height):
            place = t.value(f"getelementptr i8, ptr %bytes{row}, i64 {offset}")
            word = t.value(f"load i32, ptr {place}, align 1")
            one = t.value(f"insertelement {t.integers} poison, i32 {word}, i32 0")
            rows.append(
                t.value(
                    f"shufflevector {t.integers} {one}, {t.integers} poison, {t.integers} "
                    "zeroinitializer"
                )
            )
        line = t.pointer("%w0", t.value(f"mul i64 {group}, {self.width}"))
        for slot in range(len(self.form.sums) * self.form.vectors):
            weights = t.value(
                f"load {t.integers}, ptr {t.pointer(line, str(slot * t.lanes))}, align 4"
            )
            for row, given in enumerate(rows):
                before = t.value(f"load {kind}, ptr %dot{row}.{slot}")
                after = self._dot(before, given, weights)
                t.line(f"store {kind} {after}, ptr %dot{row}.{slot}")

    def _dot(self, total: str, given: str, weights: str) -> str:
        t = self.t
        if self.byte_dot:
            return t.value(
                f"call {t.integers} @{self.byte_dot}({t.integers} {total}, {t.integers} {given}, "
                f"{t.integers} {weights})"
            )
        kind = f"<{self.slots} x i32>"
        products = []
        halves = [self._pairs(given, "zext"), self._pairs(weights, "sext")]
        for x, w in zip(*halves, strict=True):
            products.append(t.value(f"mul {kind} {x}, {w}"))
        return t.value(f"add {kind} {total}, {t.value(f'add {kind} {products[0]}, {products[1]}')}")

    def _pairs(self, words: str, widen: str) -> list[str]:
        """The even and the odd bytes of words, as whole numbers of 32 bits."""
        t, count = self.t, GROUP * self.lanes
        single = t.value(f"bitcast {t.integers} {words} to <{count} x i8>")
        wide = t.value(f"{widen} <{count} x i8> {single} to <{count} x i16>")
        found = []
        for first in (0, 1):
            every = ", ".join(f"i32 {i}" for i in range(first, count, 2))
            half = t.value(
                f"shufflevector <{count} x i16> {wide}, <{count} x i16> poison, "
                f"<{self.slots} x i32> <{every}>"
            )
            found.append(t.value(f"sext <{self.slots} x i16> {half} to <{self.slots} x i32>"))
        return found

    def _add(self, row: int, scale: str) -> None:
        """The whole numbers of a row, scaled, to its sums."""
        t, form = self.t, self.form
        end = t.pointer("%w0", str(self.groups * self.width))
        below = t.pointer(end, str(self.width))
        scale, fresh = t.broadcast(scale), dict(zip(form.sums, form.fresh, strict=True))
        begin = t.pointer("%sums", str(row * form.each))
        for m, s in enumerate(form.sums):
            is_new = fresh.pop(s, False)
            for q in range(form.vectors):
                place = m * form.vectors + q
                at = str(place * t.lanes)
                extra = t.value(f"load {t.integers}, ptr {t.pointer(below, at)}, align 4")
                exact = t.value(f"sub {t.integers} {self._total(row, place)}, {extra}")
                number = t.value(f"sitofp {t.integers} {exact} to {t.vector}")
                both = t.binary("fmul", scale, t.load(t.pointer(end, at)))
                target = t.pointer(begin, str((q * form.count + s) * t.lanes))
                source = (
                    t.value(f"select i1 %first, ptr @zeros, ptr {target}") if is_new else target
                )
                t.store(t.binary("fadd", t.load(source), t.binary("fmul", number, both)), target)

    def _total(self, row: int, place: int) -> str:
        t, kind = self.t, f"<{self.slots} x i32>"
        total = t.value(f"load {kind}, ptr %dot{row}.{place}")
        if self.slots == self.lanes:
            return total
        halves = []
        for first in (0, 1):
            every = ", ".join(f"i32 {i}" for i in range(first, self.slots, 2))
            halves.append(
                t.value(f"shufflevector {kind} {total}, {kind} poison, <{t.lanes} x i32> <{every}>")
            )
        return t.value(f"add {t.integers} {halves[0]}, {halves[1]}")
