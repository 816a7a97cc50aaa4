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
    """A matrix of an outside value, or one gate's rows of it; `transposed` as it multiplies."""

    outer: int
    part: int | None
    transposed: bool


@dataclass(frozen=True)
class Panel:
    """Matrices that multiply one operand, and the sums that each one's product is added to.

    `form` is how they lie: `packed` as [tile's columns][k][matrix][lane]; `rows`, where they are
    and with k within a row; `columns`, where they are and with k from row to row. A tile of
    registers is `height` rows by `vectors` for each sum; `chunk` is how many k are done for all
    rows before the next ones.
    """

    operand: Node
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
    modes: Modes = Modes(),  # noqa: B008  (frozen)
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


def _tile(
    phase: Phase, sizes: Mapping[str, int], lanes: int, target: Target, modes: Modes
) -> Tile:
    columns = phase.size.value(sizes)
    most = -(-columns // lanes)
    groups: dict[tuple[str, int], list[tuple[int, Node]]] = {}
    for index, products in enumerate(phase.sums):
        for product in products:
            groups.setdefault(buffer_of(product.args[1]), []).append((index, product))
    if not groups:
        return Tile(phase, (), columns, min(2, most))
    widest = max(len({i for i, _ in group}) for group in groups.values())
    vectors = _shape(widest, most, target.registers)[1]
    panels = []
    for group in groups.values():
        panels += _panels(group, sizes, vectors, target, modes)
    tiles = min(-(-_LINE // (vectors * target.register_bytes)), -(-most // vectors))
    return Tile(phase, tuple(panels), columns, vectors * tiles)


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
    group: list[tuple[int, Node]],
    sizes: Mapping[str, int],
    vectors: int,
    target: Target,
    modes: Modes,
) -> Iterator[Panel]:
    """One packed panel; or, where the weights lie, one for each way that they do."""
    matrices = [_matrix(product.args[0]) for _, product in group]
    forms = {m: _form(m, modes) for m in matrices}
    operand = group[0][1].args[1]
    depth = operand.shape[0].value(sizes)
    for form in dict.fromkeys(forms.values()):
        here = [(i, m) for (i, _), m in zip(group, matrices, strict=True) if forms[m] == form]
        sums = tuple(i for i, _ in here)
        registers = len(set(sums)) * vectors
        height = 3 if form == "rows" else _height(registers, target.registers)
        width = len(here) * vectors * target.register_bytes
        pieces = max(1, round(depth * width / _NEAREST_CACHE)) if form == "packed" else 1
        chunk = -(-depth // pieces)
        yield Panel(operand, tuple(m for _, m in here), sums, depth, form, height, vectors, chunk)


def _form(matrix: Matrix, modes: Modes) -> str:
    if modes.packed:
        return "packed"
    return "columns" if matrix.transposed else "rows"


def _matrix(node: Node) -> Matrix:
    inner = node.args[0] if node.op == "transpose" else node
    assert isinstance(inner.detail, tuple)
    return Matrix(inner.detail[0], inner.detail[1], node.op == "transpose")
