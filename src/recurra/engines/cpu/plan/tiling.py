"""A loop laid over registers and memory: tiles, panels of weights, buffers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from recurra.engines.cpu.plan.operands import MatrixRows, Operand, ProductTerm, buffer_of, operands
from recurra.engines.cpu.plan.target import Target
from recurra.ir import Loop, LoopInput, Phase, Schedule, in_order

__all__ = [
    "BLOCK_ROWS",
    "LoopPlan",
    "Modes",
    "Statistic",
    "Tile",
    "WeightPanel",
    "make_plan",
]

BLOCK_ROWS = 48
"""Rows whose sums are held at once, beside the weights that they are multiplied with."""

_LINE = 64  # bytes
_NEAREST_CACHE = 20 * 1024  # bytes of it that a piece of a panel may take
_DOT_COLUMNS = 4


@dataclass(frozen=True)
class Modes:
    """The requirements of a call beyond the loop's equations.

    `ragged`: rows are sorted by length, those that have ended are left out, and what belongs to a
    step lies packed. `marked`: states go to zeros where a segment begins. `packed`: the weights
    come re-arranged, which pays from some steps on; otherwise they are read where they lie.
    `quantised`: packed weights are int8, and what they multiply is rounded to int8 at each step.
    """

    ragged: bool = False
    marked: bool = False
    packed: bool = True
    quantised: bool = False


@dataclass(frozen=True)
class WeightPanel:
    """Matrices that multiply one operand, and the sums that each one's product is added to.

    `form` is how they lie: `packed` as [tile's columns][k][matrix][lane]; `rows`, where they are
    and with k within a row; `columns`, where they are and with k from row to row; `int8`, packed
    and quantised. A tile of registers is `height` rows by `vectors` for each sum; `chunk` is how
    many k are done for all rows before the next ones.
    """

    operand: Operand
    matrices: tuple[MatrixRows, ...]
    sums: tuple[int, ...]
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
class Statistic:
    """A mean over a row or, with `eps`, the reciprocal of its deviation.

    `operands` are the buffers that hold the row, and from which column on; each has `size` columns.
    """

    index: int
    operands: tuple[tuple[str, int], ...]
    size: int
    eps: float | None


@dataclass(frozen=True)
class Tile:
    """A phase cut into blocks of `vectors` registers of columns for each sum of products.

    A block is at least as wide as what memory gives at once, so that stores fill its lines. It ends
    where one of the `segments` does that block-diagonal matrices cut the columns into.
    """

    phase: Phase
    panels: tuple[WeightPanel, ...]
    columns: int
    vectors: int
    segments: int = 1
    statistics: tuple[Statistic, ...] = ()

    @property
    def width(self) -> int:
        """Columns of a segment."""
        return self.columns // self.segments


@dataclass(frozen=True)
class LoopPlan:
    """Everything that emitting and calling a loop needs to agree on."""

    tiles: tuple[Tile, ...]
    buffers: tuple[str, ...]
    lanes: int
    element: str
    states: tuple[str, ...]
    modes: Modes
    backward: bool
    byte_dot: str = ""

    @property
    def written_twice(self) -> tuple[str, ...]:
        """Buffers for the new states beside those that the next step starts from."""
        marked = self.modes.marked and not self.backward
        return tuple(f"new:{s}" for s in self.states) if marked else ()

    @property
    def panels(self) -> tuple[tuple[Tile, WeightPanel], ...]:
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
) -> LoopPlan:
    """The plan of a loop for these sizes, this element type and this processor."""
    lanes = target.lanes(4 if element == "float" else 8)
    tiles = tuple(
        replace(
            _tile(p, loop.inputs, sizes, lanes, target, modes), statistics=_statistics(p, sizes)
        )
        for p in schedule.phases
    )
    dot = target.byte_dot if modes.quantised else ""
    names = dict.fromkeys(n for phase in schedule.phases for n in _buffers(phase))
    if modes.marked and not loop.backward:
        names |= dict.fromkeys(f"{kind}:{s}" for s in loop.states for kind in ("state", "new"))
    return LoopPlan(tiles, tuple(names), lanes, element, loop.states, modes, loop.backward, dot)


def _buffers(phase: Phase) -> Iterator[str]:
    for node in in_order(tuple(s.node for s in phase.stores)):
        if not node.args and node.op not in ("const", "sum"):
            yield buffer_of(node)[0]
    for products in phase.sums:
        for product in products:
            yield buffer_of(product.args[1])[0]
    for index, node in phase.statistics:
        yield f"statistic:{index}"
        for arg in node.args:
            yield buffer_of(arg)[0]
    for store in phase.stores:
        yield store.buffer


def _statistics(phase: Phase, sizes: Mapping[str, int]) -> tuple[Statistic, ...]:
    found = []
    for index, node in phase.statistics:
        size = node.args[0].shape[0].value(sizes)
        places = (buffer_of(a) for a in node.args)
        operands = tuple((name, part * size) for name, part in places)
        eps = node.detail if isinstance(node.detail, float) else None
        found.append(Statistic(index, operands, size, eps))
    return tuple(found)


def _tile(
    phase: Phase,
    inputs: tuple[LoopInput, ...],
    sizes: Mapping[str, int],
    lanes: int,
    target: Target,
    modes: Modes,
) -> Tile:
    columns = phase.size.value(sizes)
    groups = operands(phase.sums, inputs, sizes)
    segments = math.lcm(*(operand.blocks for operand, _ in groups))
    most = -(-columns // segments // lanes)
    if not groups:
        return Tile(phase, (), columns, min(2, most))
    widest = max(len({i for i, _ in terms}) for _, terms in groups)
    vectors = _shape(widest, most, target.registers)[1]
    panels: list[WeightPanel] = []
    for operand, terms in groups:
        panels += _panels(operand, terms, vectors, target, modes)
    tiles = min(-(-_LINE // (vectors * target.register_bytes)), -(-most // vectors))
    return Tile(phase, tuple(panels), columns, vectors * tiles, segments)


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
    operand: Operand, terms: list[ProductTerm], vectors: int, target: Target, modes: Modes
) -> Iterator[WeightPanel]:
    """One packed panel; or, where the weights lie, one for each way that they do."""
    forms = {m: _form(m, modes) for _, m in terms}
    for form in dict.fromkeys(forms.values()):
        here = [(i, m) for i, m in terms if forms[m] == form]
        sums = tuple(i for i, _ in here)
        height = 3 if form == "rows" else _height(len(set(sums)) * vectors, target.registers)
        width = len(here) * vectors * target.register_bytes
        share = operand.depth * width / _NEAREST_CACHE if form == "packed" else 1
        chunk = -(-operand.depth // max(1, round(share)))
        yield WeightPanel(operand, tuple(m for _, m in here), sums, form, height, vectors, chunk)


def _form(matrix: MatrixRows, modes: Modes) -> str:
    if modes.packed:
        return "int8" if modes.quantised else "packed"
    return "columns" if matrix.transposed else "rows"
