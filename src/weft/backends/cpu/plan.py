"""How a loop is laid over registers and memory: tiles, panels of weights, buffers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from weft.backends.cpu.target import Target
from weft.ir import Loop, Node, Phase, Schedule, in_order

__all__ = ["BLOCK_ROWS", "Matrix", "Modes", "Panel", "Plan", "Tile", "buffer_of", "make_plan"]

BLOCK_ROWS = 48
"""Rows whose sums are held at once, beside the weights that they are multiplied with."""

_LINE = 64  # bytes
_NEAREST_CACHE = 20 * 1024  # bytes of it that a piece of a panel may take
_DOT_COLUMNS = 4


@dataclass(frozen=True)
class Modes:
    """What a call of a loop needs beyond its equations.

    `ragged`: rows are sorted by length, those that have ended are left out, and what belongs to a
    step lies packed. `marked`: states go to zeros where a segment begins. `packed`: the weights
    come re-arranged, which pays from some steps on; otherwise they are read where they lie.
    """

    ragged: bool = False
    marked: bool = False
    packed: bool = True


@dataclass(frozen=True)
class Matrix:
    """Rows of an outside value from `row` on; `transposed` as they multiply."""

    outer: int
    row: int
    transposed: bool


@dataclass(frozen=True)
class Panel:
    """Matrices that multiply one operand, and the sums that each one's product is added to.

    The operand is `depth` elements of each row of a buffer, from `offset` on.

    `form` is how they lie: `packed` as [tile's columns][k][matrix][lane]; `rows`, where they are
    and with k within a row; `columns`, where they are and with k from row to row. A tile of
    registers is `height` rows by `vectors` for each sum; `chunk` is how many k are done for all
    rows before the next ones.
    """

    operand: str
    offset: int
    matrices: tuple[Matrix, ...]
    sums: tuple[int, ...]
    depth: int
    form: str
    height: int
    vectors: int
    chunk: int

    @property
    def heights(self) -> tuple[int, ...]:
        """Rows of the tiles, tall ones first; what they leave over is for the lower ones."""
        found = [self.height]
        while found[-1] > 1:
            found.append((found[-1] + 1) // 2)
        return tuple(found)


@dataclass(frozen=True)
class Tile:
    """A phase cut into blocks of `vectors` registers of columns for each sum of products.

    A block is at least as wide as what memory gives at once, so that stores fill its lines.
    """

    phase: Phase
    panels: tuple[Panel, ...]
    columns: int
    vectors: int


@dataclass(frozen=True)
class Plan:
    """Everything that emitting and calling a loop needs to agree on."""

    tiles: tuple[Tile, ...]
    buffers: tuple[str, ...]
    lanes: int
    element: str
    states: tuple[str, ...]
    modes: Modes
    backward: bool

    @property
    def written_twice(self) -> tuple[str, ...]:
        """Buffers for the new states beside those that the next step starts from."""
        marked = self.modes.marked and not self.backward
        return tuple(f"new:{s}" for s in self.states) if marked else ()

    @property
    def panels(self) -> tuple[tuple[Tile, Panel], ...]:
        """All panels, in the order of the call."""
        return tuple((tile, p) for tile in self.tiles for p in tile.panels)

    @property
    def scratch(self) -> int:
        """Vectors that hold the sums of a block of rows."""
        return BLOCK_ROWS * max(len(t.phase.sums) * t.vectors for t in self.tiles)


def make_plan(
    loop: Loop,
    schedule: Schedule,
    sizes: Mapping[str, int],
    element: str,
    target: Target,
    modes: Modes = Modes(),
) -> Plan:
    """The plan of a loop for these sizes, this element type and this processor."""
    lanes = target.lanes(4 if element == "float" else 8)
    tiles = tuple(_tile(p, sizes, lanes, target, modes) for p in schedule.phases)
    names = dict.fromkeys(n for phase in schedule.phases for n in _buffers(phase))
    if modes.marked and not loop.backward:
        names |= dict.fromkeys(f"{kind}:{s}" for s in loop.states for kind in ("state", "new"))
    return Plan(tiles, tuple(names), lanes, element, loop.states, modes, loop.backward)


def buffer_of(leaf: Node) -> tuple[str, int]:
    """The buffer that a leaf is read from, and its part."""
    if leaf.op in ("outer", "buffer"):
        assert isinstance(leaf.detail, tuple)
        name, part = leaf.detail
        return (f"outer:{name}" if leaf.op == "outer" else str(name)), part or 0
    return f"{leaf.op}:{leaf.detail}", 0


def _buffers(phase: Phase) -> Iterator[str]:
    for node in in_order(tuple(s.node for s in phase.stores)):
        if not node.args and node.op not in ("const", "sum"):
            yield buffer_of(node)[0]
    for products in phase.sums:
        for product in products:
            yield buffer_of(product.args[1])[0]
    for store in phase.stores:
        yield store.buffer


def _tile(phase: Phase, sizes: Mapping[str, int], lanes: int, target: Target, modes: Modes) -> Tile:
    columns = phase.size.value(sizes)
    most = -(-columns // lanes)
    groups: dict[tuple[str, int, int], list[tuple[int, Matrix]]] = {}
    for index, products in enumerate(phase.sums):
        for product in products:
            name, part = buffer_of(product.args[1])
            depth = product.args[1].shape[0].value(sizes)
            matrix = _matrix(product.args[0], sizes)
            groups.setdefault((name, part * depth, depth), []).append((index, matrix))
    if not groups:
        return Tile(phase, (), columns, min(2, most))
    widest = max(len({i for i, _ in group}) for group in groups.values())
    vectors = _shape(widest, most, target.registers)[1]
    panels: list[Panel] = []
    for (name, offset, depth), group in _joined(groups):
        panels += _panels(name, offset, depth, group, vectors, target, modes)
    tiles = min(-(-_LINE // (vectors * target.register_bytes)), -(-most // vectors))
    return Tile(phase, tuple(panels), columns, vectors * tiles)


Group = tuple[tuple[str, int, int], list[tuple[int, Matrix]]]


def _joined(groups: Mapping[tuple[str, int, int], list[tuple[int, Matrix]]]) -> list[Group]:
    """Parts of a buffer beside one another, times rows below one another, are one operand."""
    found: list[Group] = []
    for (name, offset, depth), group in sorted(groups.items(), key=lambda g: g[0]):
        if found:
            (known, begin, length), others = found[-1]
            follows = (known, begin + length) == (name, offset)
            if follows and [(i, m) for i, m in group] == [
                (i, Matrix(m.outer, m.row + length, True)) for i, m in others if m.transposed
            ]:
                found[-1] = ((known, begin, length + depth), others)
                continue
        found.append(((name, offset, depth), group))
    return found


def _shape(sums: int, most: int, registers: int) -> tuple[int, int]:
    """Rows and vectors of a tile: what fits in registers beside a scalar a row and a weight."""
    shapes = []
    for vectors in range(1, min(4, most) + 1):
        rows = max(1, min(6, (registers - 1) // (sums * vectors + 1)))
        shapes.append((rows * sums * vectors, rows, vectors))
    fitting = [s for s in shapes if s[0] + s[1] < registers]
    _, rows, vectors = max(fitting or shapes[:1])
    return rows, vectors


def _height(accumulators: int, registers: int) -> int:
    """Rows of a tile with so many sums a row."""
    return max(1, min(6, (registers - 1) // (accumulators + 1)))


def _panels(
    operand: str,
    offset: int,
    depth: int,
    group: list[tuple[int, Matrix]],
    vectors: int,
    target: Target,
    modes: Modes,
) -> Iterator[Panel]:
    """One packed panel; or, where the weights lie, one for each way that they do."""
    forms = {m: _form(m, modes) for _, m in group}
    for form in dict.fromkeys(forms.values()):
        here = [(i, m) for i, m in group if forms[m] == form]
        sums = tuple(i for i, _ in here)
        height = 3 if form == "rows" else _height(len(set(sums)) * vectors, target.registers)
        width = len(here) * vectors * target.register_bytes
        pieces = max(1, round(depth * width / _NEAREST_CACHE)) if form == "packed" else 1
        matrices = tuple(m for _, m in here)
        yield Panel(
            operand, offset, matrices, sums, depth, form, height, vectors, -(-depth // pieces)
        )


def _form(matrix: Matrix, modes: Modes) -> str:
    if modes.packed:
        return "packed"
    return "columns" if matrix.transposed else "rows"


def _matrix(node: Node, sizes: Mapping[str, int]) -> Matrix:
    inner = node.args[0] if node.op == "transpose" else node
    assert isinstance(inner.detail, tuple)
    outer, part = inner.detail
    return Matrix(outer, (part or 0) * inner.shape[0].value(sizes), node.op == "transpose")
