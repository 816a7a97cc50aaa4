"""Gradients of weights in emitted code: the products of two tall matrices, summed over their rows.

    for block:
      for piece of rows:
        copy X as [column block][row][lane]
        for gate: for some tiles of columns of G:
          copy them as [tile][row][lane], add up the bias's gradient
          for column block of X: for tile:      registers: tile x vectors
            for row in piece: sums += G[row, tile] * X[row, block]
            W[tile, block] += sums

`W += G' X` for G (rows, m) and X (rows, n): every size is an argument, so that one module serves
all cells. Rows of X lie a stride apart or, where `row_offsets` is given, wherever that says. Of a
block-diagonal matrix m and n are a block's; the next block's columns follow in G and X, its rows in
W, and those of the next gate come `gate` columns and rows later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recurra.engines.cpu.emit.frame import (
    SIGNATURE,
    choose,
    each_thread,
    loop,
    smaller,
    whole,
    word,
)
from recurra.engines.cpu.emit.llvm_text import WIDE, FunctionText
from recurra.engines.cpu.emit.maths import declarations
from recurra.engines.cpu.plan.target import Target

__all__ = ["GRADIENT_WORDS", "GradientTiling", "emit_gradient", "shape_for"]

GRADIENT_WORDS = (
    "thread_number",
    "team_size",
    "rows",
    "g",
    "g_stride",
    "m",
    "x",
    "x_stride",
    "row_offsets",
    "n",
    "w",
    "w_stride",
    "bias",
    "room",
    "room_stride",
    "blocks",
    "gates",
    "gate",
)


@dataclass(frozen=True)
class GradientTiling:
    """The cut of the product: rows a piece, columns of G a tile, tiles at once, vectors of X."""

    lanes: int
    element: str
    tile: int
    vectors: int
    rows: int = 512
    tiles: int = 12

    def room(self, n: int) -> int:
        """Elements that a thread needs for its copies."""
        wide = self.vectors * self.lanes
        return self.rows * (-(-n // wide) * wide + self.tiles * self.lanes)


def shape_for(element: str, target: Target) -> GradientTiling:
    """The cut that fills a processor's registers."""
    lanes = target.lanes(4 if element == "float" else 8)
    tile = min(lanes, (target.registers - 3) // 2)
    return GradientTiling(lanes, element, tile, 2)


def emit_gradient(shape: GradientTiling) -> str:
    """The module's text, with `@gradient.team(args)`, `@gradient.alone` and `@gradient.share`."""
    body = "\n".join(_Emitter(shape).body())
    return (
        f"{declarations(shape.element, shape.lanes)}"
        f"define void @gradient.share({SIGNATURE}) {WIDE} {{\n"
        f"entry:\n{body}\n  ret void\n}}\n{each_thread('gradient')}{whole('gradient')}"
    )


@dataclass(frozen=True)
class _MatrixStarts:
    """Addresses at which the matrices of a block and a gate begin."""

    g: str
    x: str
    w: str
    bias: str


class _Emitter:
    def __init__(self, shape: GradientTiling) -> None:
        self.shape = shape
        self.t = FunctionText(shape.element, shape.lanes)
        self.wide = shape.vectors * shape.lanes
        words = {}
        for index, name in enumerate(GRADIENT_WORDS):
            pointers = ("g", "x", "row_offsets", "w", "bias", "room")
            words[name] = word(self.t, index, "ptr" if name in pointers else "i64")
        self.words = words
        self.place = _MatrixStarts(words["g"], words["x"], words["w"], words["bias"])
        moved = self.t.value(f"mul i64 {words['room_stride']}, %share")
        self.x_copy = self.t.pointer(words["room"], moved)
        self.blocks = self._parts_of(words["n"], self.wide)
        size = self.t.value(f"mul i64 {self.blocks}, {self.wide * shape.rows}")
        self.g_copy = self.t.pointer(self.x_copy, size)

    def _parts_of(self, size: str, each: int) -> str:
        return self.t.value(f"sdiv i64 {self.t.value(f'add i64 {size}, {each - 1}')}, {each}")

    def body(self) -> list[str]:
        """Every block, each thread its part of all tiles of columns of G."""
        t, words = self.t, self.words
        tiles = self._parts_of(words["m"], self.shape.tile)
        of_block = t.value(f"mul i64 {tiles}, {words['gates']}")
        every = t.value(f"mul i64 {of_block}, {words['blocks']}")
        ends = [t.value(f"mul i64 {p}, {every}") for p in ("%share", t.value("add i64 %share, 1"))]
        mine = [t.value(f"sdiv i64 {e}, %shares") for e in ends]

        def block(number: str) -> None:
            first, last = self._within(mine, t.value(f"mul i64 {number}, {of_block}"), of_block)
            some = t.value(f"icmp slt i64 {first}, {last}")
            self.place = self._of_block(number)
            choose(t, some, lambda: self._pieces((first, last), tiles), lambda: None)

        loop(t, "0", words["blocks"], 1, block)
        return t.lines

    def _within(self, ends: Sequence[str], begin: str, count: str) -> tuple[str, str]:
        """The part of a range that lies in `count` from `begin` on, counted from there."""
        t = self.t
        first, last = (t.value(f"sub i64 {e}, {begin}") for e in ends)
        early = t.value(f"icmp slt i64 {first}, 0")
        return t.value(f"select i1 {early}, i64 0, i64 {first}"), smaller(t, last, count)

    def _of_block(self, number: str) -> _MatrixStarts:
        t, words = self.t, self.words
        columns = t.value(f"mul i64 {number}, {words['m']}")
        x = t.pointer(words["x"], t.value(f"mul i64 {number}, {words['n']}"))
        return self._moved(_MatrixStarts(words["g"], x, words["w"], words["bias"]), columns)

    def _moved(self, place: _MatrixStarts, columns: str) -> _MatrixStarts:
        """So many columns of G and rows of W later."""
        t = self.t
        w = t.pointer(place.w, t.value(f"mul i64 {columns}, {self.words['w_stride']}"))
        return _MatrixStarts(
            t.pointer(place.g, columns), place.x, w, t.pointer(place.bias, columns)
        )

    def _pieces(self, mine: tuple[str, str], tiles: str) -> None:
        """A block piece by piece of rows, for this thread's tiles."""
        t, words, of_block = self.t, self.words, self.place

        def piece(start: str) -> None:
            left = t.value(f"sub i64 {words['rows']}, {start}")
            count = smaller(t, left, str(self.shape.rows))
            self._copy_x(start, count)

            def gate(number: str) -> None:
                first, last = self._within(mine, t.value(f"mul i64 {number}, {tiles}"), tiles)
                self.place = self._moved(of_block, t.value(f"mul i64 {number}, {words['gate']}"))
                some = self.shape.tiles
                loop(t, first, last, some, lambda i: self._tiles(start, count, i, last))

            loop(t, "0", words["gates"], 1, gate)

        loop(t, "0", words["rows"], self.shape.rows, piece)

    def _copy_x(self, start: str, count: str) -> None:
        t, words = self.t, self.words
        given = t.value(f"icmp ne ptr {words['row_offsets']}, null")

        def row(r: str) -> None:
            at = t.value(f"add i64 {start}, {r}")
            here = self._row_of_x(at, given)
            to = t.pointer(self.x_copy, t.value(f"mul i64 {r}, {self.wide}"))
            loop(t, "0", self.blocks, 1, lambda j: self._copy_block(here, to, j))

        loop(t, "0", count, 1, row)

    def _row_of_x(self, at: str, given: str) -> str:
        t, words = self.t, self.words
        look, plain, found = t.label("look"), t.label("plain"), t.label("found")
        t.line(f"br i1 {given}, label %{look}, label %{plain}")
        t.begin(look)
        place = t.value(f"getelementptr i64, ptr {words['row_offsets']}, i64 {at}")
        offset = t.value(f"load i64, ptr {place}")
        t.line(f"br label %{found}")
        t.begin(plain)
        moved = t.value(f"mul i64 {at}, {words['x_stride']}")
        t.line(f"br label %{found}")
        t.begin(found)
        return t.pointer(self.place.x, t.value(f"phi i64 [{offset}, %{look}], [{moved}, %{plain}]"))

    def _copy_block(self, row: str, to: str, block: str) -> None:
        t = self.t
        first = t.value(f"mul i64 {block}, {self.wide}")
        target = t.pointer(to, t.value(f"mul i64 {first}, {self.shape.rows}"))
        for q in range(self.shape.vectors):
            column = t.value(f"add i64 {first}, {q * t.lanes}")
            value = t.load_until(row, column, self.words["n"])
            t.store(value, t.pointer(target, str(q * t.lanes)))

    def _tiles(self, start: str, count: str, first: str, last: str) -> None:
        t = self.t
        end = smaller(t, t.value(f"add i64 {first}, {self.shape.tiles}"), last)

        def copy_of(tile: str) -> str:
            inside = t.value(f"sub i64 {tile}, {first}")
            return t.pointer(self.g_copy, t.value(f"mul i64 {inside}, {self.shape.rows * t.lanes}"))

        self._copy_g(start, count, first, end, copy_of)
        loop(t, first, end, 1, lambda tile: self._add_bias(count, tile, copy_of(tile)))

        def block(j: str) -> None:
            loop(t, first, end, 1, lambda tile: self._product(start, count, tile, j, copy_of(tile)))

        loop(t, "0", self.blocks, 1, block)

    def _copy_g(
        self, start: str, count: str, first: str, end: str, copy_of: Callable[[str], str]
    ) -> None:
        """Row by row, as rows that lie a power of two apart share few places of a cache."""
        t, words = self.t, self.words

        def row(r: str) -> None:
            at = t.value(f"add i64 {start}, {r}")
            here = t.pointer(self.place.g, t.value(f"mul i64 {at}, {words['g_stride']}"))
            line = t.value(f"mul i64 {r}, {t.lanes}")

            def copy(tile: str) -> None:
                column = t.value(f"mul i64 {tile}, {self.shape.tile}")
                value = t.load_until(here, column, words["m"])
                t.store(value, t.pointer(copy_of(tile), line))

            loop(t, first, end, 1, copy)

        loop(t, "0", count, 1, row)

    def _add_bias(self, count: str, tile: str, g_copy: str) -> None:
        """The sums of a tile's columns, where a bias wants them."""
        t, words = self.t, self.words
        given = t.value(f"icmp ne ptr {words['bias']}, null")

        def add() -> None:
            column = t.value(f"mul i64 {tile}, {self.shape.tile}")
            end = smaller(t, t.value(f"add i64 {column}, {self.shape.tile}"), words["m"])
            known = t.load_until(self.place.bias, column, end)
            total = t.binary("fadd", known, self._sum_columns(count, g_copy))
            t.store_until(total, self.place.bias, column, end)

        choose(t, given, add, lambda: None)

    def _sum_columns(self, count: str, g_copy: str) -> str:
        t = self.t
        before, head, done = t.label("enter"), t.label("add"), t.label("added")
        t.line(f"br label %{before}")
        t.begin(before)
        t.line(f"br label %{head}")
        t.begin(head)
        t.line(f"%{head}.i = phi i64 [0, %{before}], [%{head}.n, %{head}]")
        t.line(f"%{head}.s = phi {t.vector} [zeroinitializer, %{before}], [%{head}.sn, %{head}]")
        value = t.load(t.pointer(g_copy, t.value(f"mul i64 %{head}.i, {t.lanes}")))
        t.line(f"%{head}.sn = fadd {t.vector} %{head}.s, {value}")
        t.line(f"%{head}.n = add i64 %{head}.i, 1")
        more = t.value(f"icmp slt i64 %{head}.n, {count}")
        t.line(f"br i1 {more}, label %{head}, label %{done}")
        t.begin(done)
        return f"%{head}.sn"

    def _product(self, start: str, count: str, tile: str, block: str, g_copy: str) -> None:
        t = self.t
        first = t.value(f"mul i64 {block}, {self.wide}")
        x_copy = t.pointer(self.x_copy, t.value(f"mul i64 {first}, {self.shape.rows}"))
        sums = self._sum_rows(count, g_copy, x_copy)
        row = t.value(f"mul i64 {tile}, {self.shape.tile}")
        fresh = t.value(f"icmp eq i64 {start}, 0")
        for i in range(self.shape.tile):
            here, skip = t.label("line"), t.label("next")
            at = t.value(f"add i64 {row}, {i}")
            inside = t.value(f"icmp slt i64 {at}, {self.words['m']}")
            t.line(f"br i1 {inside}, label %{here}, label %{skip}")
            t.begin(here)
            line = t.pointer(self.place.w, t.value(f"mul i64 {at}, {self.words['w_stride']}"))
            for q in range(self.shape.vectors):
                column = t.value(f"add i64 {first}, {q * t.lanes}")
                known = t.load_until(line, column, self.words["n"])
                known = t.value(
                    f"select i1 {fresh}, {t.vector} zeroinitializer, {t.vector} {known}"
                )
                total = t.binary("fadd", known, sums[i, q])
                t.store_until(total, line, column, self.words["n"])
            t.line(f"br label %{skip}")
            t.begin(skip)

    def _sum_rows(self, count: str, g_copy: str, x_copy: str) -> dict[tuple[int, int], str]:
        t = self.t
        keys = [(i, q) for i in range(self.shape.tile) for q in range(self.shape.vectors)]
        before, head, done = t.label("enter"), t.label("row"), t.label("summed")
        t.line(f"br label %{before}")
        t.begin(before)
        t.line(f"br label %{head}")
        t.begin(head)
        t.line(f"%{head}.i = phi i64 [0, %{before}], [%{head}.n, %{head}]")
        names = {key: f"%{head}.s{n}" for n, key in enumerate(keys)}
        for name in names.values():
            t.line(f"{name} = phi {t.vector} [zeroinitializer, %{before}], [{name}n, %{head}]")
        x = t.pointer(x_copy, t.value(f"mul i64 %{head}.i, {self.wide}"))
        values = [t.load(t.pointer(x, str(q * t.lanes))) for q in range(self.shape.vectors)]
        g = t.pointer(g_copy, t.value(f"mul i64 %{head}.i, {t.lanes}"))
        for i in range(self.shape.tile):
            scalar = t.broadcast(t.value(f"load {t.element}, ptr {t.pointer(g, str(i))}"))
            for q, value in enumerate(values):
                total = t.fma(scalar, value, names[i, q])
                t.line(f"{names[i, q]}n = select i1 true, {t.vector} {total}, {t.vector} {total}")
        t.line(f"%{head}.n = add i64 %{head}.i, 1")
        more = t.value(f"icmp slt i64 %{head}.n, {count}")
        t.line(f"br i1 {more}, label %{head}, label %{done}")
        t.begin(done)
        return {key: f"{name}n" for key, name in names.items()}
