"""How a loop is laid over registers and memory: tiles, packed panels, buffers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from weft.backends.cpu.target import Target
from weft.ir import Loop, Node, Phase, Schedule, in_order

__all__ = ["Panel", "Plan", "Tile", "buffer_of", "make_plan"]


@dataclass(frozen=True)
class Panel:
    """Matrices that multiply one operand, packed as [column block][k][matrix][lane].

    `matrices` are (outside index, part, transposed), `sums` where each one's product is added.
    """

    operand: Node
    matrices: tuple[tuple[int, int | None, bool], ...]
    sums: tuple[int, ...]
    depth: int


@dataclass(frozen=True)
class Tile:
    """A phase cut into tiles of `rows` x `vectors` registers for each sum of products."""

    phase: Phase
    panels: tuple[Panel, ...]
    columns: int
    rows: int
    vectors: int

    @property
    def heights(self) -> tuple[int, ...]:
        """Rows of the tiles, tall ones first; what they leave over is for the lower ones."""
        return tuple(dict.fromkeys((self.rows, (self.rows + 1) // 2, 1)))


@dataclass(frozen=True)
class Plan:
    """Everything that emitting and calling a loop needs to agree on."""

    tiles: tuple[Tile, ...]
    buffers: tuple[str, ...]
    lanes: int
    element: str
    states: tuple[str, ...]
    masked: bool
    backward: bool

    @property
    def written_twice(self) -> tuple[str, ...]:
        """Buffers for the new states beside those that the next step starts from."""
        marked = self.masked and not self.backward
        return tuple(f"new:{s}" for s in self.states) if marked else ()

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels, in the order of the call."""
        return tuple(p for tile in self.tiles for p in tile.panels)


def make_plan(
    loop: Loop,
    schedule: Schedule,
    sizes: Mapping[str, int],
    element: str,
    target: Target,
    *,
    masked: bool = False,
) -> Plan:
    """The plan of a loop for these sizes, this element type and this processor.

    A masked one heeds lengths and resets.
    """
    lanes = target.lanes(4 if element == "float" else 8)
    tiles = tuple(_tile(p, sizes, lanes, target) for p in schedule.phases)
    names = dict.fromkeys(n for phase in schedule.phases for n in _buffers(phase))
    if masked:
        kind = "adjoint" if loop.backward else "state"
        names |= dict.fromkeys(f"{kind}:{s}" for s in loop.states)
        if not loop.backward:
            names |= dict.fromkeys(f"new:{s}" for s in loop.states)
    return Plan(tiles, tuple(names), lanes, element, loop.states, masked, loop.backward)


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


def _tile(phase: Phase, sizes: Mapping[str, int], lanes: int, target: Target) -> Tile:
    columns = phase.size.value(sizes)
    by_operand: dict[tuple[str, int], list[tuple[int, Node]]] = {}
    for index, products in enumerate(phase.sums):
        for product in products:
            by_operand.setdefault(buffer_of(product.args[1]), []).append((index, product))
    panels = tuple(_panel(group, sizes) for group in by_operand.values())
    most = -(-columns // lanes)
    sums = len(phase.sums)
    if not sums:
        return Tile(phase, panels, columns, 1, min(2, most))
    rows, vectors = _height_and_width(sums, most, target.registers)
    return Tile(phase, panels, columns, rows, vectors)


def _height_and_width(sums: int, most: int, registers: int) -> tuple[int, int]:
    """Rows and vectors of a tile: what fits in registers beside a scalar a row and a weight."""
    shapes = []
    for vectors in range(1, min(4, most) + 1):
        rows = max(1, min(6, (registers - 1) // (sums * vectors + 1)))
        shapes.append((rows * sums * vectors, rows, vectors))
    fitting = [s for s in shapes if s[0] + s[1] < registers]
    _, rows, vectors = max(fitting or shapes[:1])
    return rows, vectors


def _panel(group: list[tuple[int, Node]], sizes: Mapping[str, int]) -> Panel:
    operand = group[0][1].args[1]
    matrices = tuple(_matrix(product.args[0]) for _, product in group)
    depth = operand.shape[0].value(sizes)
    return Panel(operand, matrices, tuple(i for i, _ in group), depth)


def _matrix(node: Node) -> tuple[int, int | None, bool]:
    inner = node.args[0] if node.op == "transpose" else node
    assert isinstance(inner.detail, tuple)
    return inner.detail[0], inner.detail[1], node.op == "transpose"
