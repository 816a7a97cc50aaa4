"""The places of a call's buffers in its tensors, worked out once for sizes and strides.

Tensors of a forward call: loop inputs, kept states, saved values, temporaries, new states where
segments begin. Of a backward one: loop inputs, kept states, saved values, new states, seeds,
adjoints, gradients by row, gradients by thread, temporaries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from recurra.engines.cpu.plan.tiling import Modes
from recurra.ir import Emission, Loop, Schedule, Size, in_order
from recurra.passes import Lowered

__all__ = [
    "BufferLayout",
    "SizeValues",
    "TensorShapes",
    "View",
    "backward_layout",
    "forward_layout",
    "is_replaced_in_place",
]

SizeValues = tuple[tuple[str, int], ...]
TensorShapes = tuple[tuple[int, ...] | None, ...]


@dataclass(frozen=True)
class View:
    """A buffer in the tensor `slot` of a call: where it begins, in elements, and how far apart its
    steps, rows and threads' copies lie."""

    slot: int
    offset: int
    step: int
    row: int
    thread: int = 0


@dataclass(frozen=True)
class BufferLayout:
    """Views by name, and the widths of the tensors that hold several buffers side by side.

    `columns` tells where a gradient begins in `block`, (R, ...), or `accumulators`, (threads, ...).
    `has_gaps` says that the loop doesn't write all of the block.
    """

    views: Mapping[str, View]
    sizes: SizeValues
    saved: int = 0
    temporary: int = 0
    block: int = 0
    accumulators: int = 0
    columns: Mapping[str, int] = field(default_factory=dict)
    has_gaps: bool = False


@dataclass
class _ViewMaker:
    """Views for a batch whose rows follow one another, or are ragged."""

    loop: Loop
    sizes: dict[str, int]
    batch: int
    modes: Modes

    def rows(self, slot: int, width: int, offset: int = 0) -> View:
        """A tensor (R, width)."""
        step = width if self.modes.ragged else self.batch * width
        return View(slot, offset, step, width)

    def given(self, slot: int, strides: tuple[int, ...]) -> View:
        """A tensor (T, B, size) or (R, size) of these strides, but for the last."""
        if len(strides) == 2:
            return View(slot, 0, *strides)
        (row,) = strides
        return View(slot, 0, row if self.modes.ragged else self.batch * row, row)

    def inputs(self, strides: TensorShapes) -> dict[str, View]:
        """Loop inputs; affine ones are computed by row."""
        found = {}
        for index, (value, known) in enumerate(zip(self.loop.inputs, strides, strict=True)):
            if not value.timed:
                found[f"outer:{index}"] = View(index, 0, 0, 0)
            elif known is None:
                width = value.node.shape[0].value(self.sizes)
                found[f"outer:{index}"] = self.rows(index, width)
            else:
                found[f"outer:{index}"] = self.given(index, known)
        return found

    def states(
        self, slot: int, after: str, in_place: Sequence[bool], *, reverse: bool
    ) -> dict[str, View]:
        """States before and after each step: a step's are one batch on, or the very same."""
        found: dict[str, View] = {}
        for i, (name, size, once) in enumerate(
            zip(self.loop.states, self.loop.state_sizes, in_place, strict=True)
        ):
            width = size.value(self.sizes)
            if once:
                early = late = View(slot + i, 0, 0, width)
            else:
                early = self.rows(slot + i, width)
                late = self.rows(slot + i, width, self.batch * width)
            if reverse:
                early, late = late, early
            found |= {f"state:{name}": early, f"{after}:{name}": late}
        return found

    def single(self, before: int, after: int, name: str) -> dict[str, View]:
        """States before and after a single step."""
        found = {}
        pairs = zip(self.loop.states, self.loop.state_sizes, strict=True)
        for i, (state, size) in enumerate(pairs):
            width = size.value(self.sizes)
            found[f"state:{state}"] = View(before + i, 0, 0, width)
            found[f"{name}:{state}"] = View(after + i, 0, 0, width)
        return found

    def new_states(self, slot: int) -> dict[str, View]:
        """New states kept apart."""
        pairs = zip(self.loop.states, self.loop.state_sizes, strict=True)
        return {
            f"new:{name}": self.rows(slot + i, size.value(self.sizes))
            for i, (name, size) in enumerate(pairs)
        }

    def side_by_side(
        self, slot: int, kind: str, widths: Sequence[Size], statistics: int = 0
    ) -> tuple[dict[str, View], int]:
        """Buffers by number in one tensor, and its width; after them a column a statistic."""
        total = sum(size.value(self.sizes) for size in widths) + statistics
        found, column = {}, 0
        for index, size in enumerate(widths):
            whole = self.rows(slot, total, column)
            found[f"{kind}:{index}"] = whole if kind == "saved" else View(slot, column, 0, total)
            column += size.value(self.sizes)
        for index in range(statistics):
            found[f"statistic:{index}"] = View(slot, column + index, 0, total)
        return found, total


def forward_layout(
    loop: Loop,
    schedule: Schedule,
    sizes: SizeValues,
    batch: int,
    strides: TensorShapes,
    modes: Modes,
    *,
    single: bool,
    reverse: bool,
    in_place: Sequence[bool],
) -> BufferLayout:
    """The layout of a forward call; `in_place` states are replaced where they lie."""
    make, slot = _ViewMaker(loop, dict(sizes), batch, modes), len(loop.inputs)
    count = len(loop.states)
    views = make.inputs(strides) | make.states(slot, "next", in_place, reverse=reverse)
    if single:
        views |= make.single(slot, slot + count + 2, "next")
    saved, width = make.side_by_side(slot + count, "saved", [n.shape[0] for n in loop.saved])
    temporary, room = make.side_by_side(
        slot + count + 1, "temp", schedule.temporaries, schedule.statistics
    )
    views |= saved | temporary | make.new_states(slot + count + 2)
    return BufferLayout(views, sizes, saved=width, temporary=room)


def backward_layout(
    lowered: Lowered,
    kind: str,
    sizes: SizeValues,
    batch: int,
    strides: TensorShapes,
    seed_strides: Sequence[tuple[int, ...]],
    modes: Modes,
    *,
    single: bool,
    reverse: bool,
) -> BufferLayout:
    """The layout of a backward call, for a forward one in that direction."""
    loop, schedule = lowered.loops[kind], lowered.schedules[kind]
    make, slot = _ViewMaker(loop, dict(sizes), batch, modes), len(loop.inputs)
    count = len(loop.states)
    views = make.inputs(strides)
    views |= make.states(slot, "new", [False] * count, reverse=reverse)
    slot += count
    kept = [n.shape[0] for n in lowered.loops["forward"].saved]
    views |= make.side_by_side(slot, "saved", kept)[0]
    slot += 1
    if single:
        views |= make.single(slot - count - 1, slot, "new")
    if modes.marked:
        views |= make.new_states(slot)
    if single or modes.marked:
        slot += count
    for name, strides_of_seed in zip(loop.states, seed_strides, strict=True):
        views[f"seed:{name}"] = make.given(slot, strides_of_seed)
        slot += 1
    for i, (name, size) in enumerate(zip(loop.states, loop.state_sizes, strict=True)):
        view = View(slot + i, 0, 0, size.value(make.sizes))
        views |= {f"adjoint:{name}": view, f"next:{name}": view}
    slot += count
    gradients = _GradientViews(make, schedule, slot)
    temporary, room = make.side_by_side(slot + 2, "temp", schedule.temporaries, schedule.statistics)
    return BufferLayout(
        views | gradients.views() | temporary,
        sizes,
        temporary=room,
        block=gradients.block,
        accumulators=gradients.accumulators,
        columns=gradients.columns,
        has_gaps=gradients.has_gaps,
    )


class _GradientViews:
    """The place of each emission: by row in one tensor, or summed by thread in another."""

    def __init__(self, make: _ViewMaker, schedule: Schedule, slot: int) -> None:
        self.make, self.slot = make, slot
        self.block = self.accumulators = 0
        self.columns: dict[str, int] = {}
        self.by_row: set[str] = set()
        stores = [s for phase in schedule.phases for s in phase.stores]
        parts: dict[str, int] = {}
        for store in stores:
            parts[store.buffer] = max(store.part + 1, parts.get(store.buffer, 0))
        for emission, (buffer, _) in zip(make.loop.emissions, schedule.places, strict=True):
            self._place(emission, buffer, parts)
        written = (s.node.shape[0].value(make.sizes) for s in stores if s.buffer in self.by_row)
        self.has_gaps = sum(written) < self.block

    def _place(self, emission: Emission, buffer: str, parts: Mapping[str, int]) -> None:
        size = emission.node.shape[0].value(self.make.sizes)
        name = f"grad:{emission.outer[0]}"
        wide = size * self.make.loop.inputs[emission.outer[0]].parts
        if emission.kind == "matrix":
            if not buffer.startswith("matrix:"):
                return
            name, wide = buffer, size * parts[buffer]
        if name in self.columns:
            return
        if emission.kind in ("matrix", "timed"):
            self.by_row.add(name)
            self.columns[name], self.block = self.block, self.block + wide
        else:
            self.columns[name], self.accumulators = self.accumulators, self.accumulators + wide

    def views(self) -> dict[str, View]:
        """The views of all that is written."""
        found = {}
        for name, column in self.columns.items():
            if name in self.by_row:
                found[name] = self.make.rows(self.slot, self.block, column)
            else:
                found[name] = View(self.slot + 1, column, 0, 0, self.accumulators)
        return found


def is_replaced_in_place(schedule: Schedule, state: str) -> bool:
    """True if no product reads a state, and the rest reads it only where it is replaced."""
    replaced = False
    for phase in schedule.phases:
        operands = [p.args[1] for group in phase.sums for p in group]
        operands += [arg for _, node in phase.statistics for arg in node.args]
        read = [n for n in in_order(tuple(s.node for s in phase.stores)) if n.op == "state"]
        if any(n.op == "state" and n.detail == state for n in operands):
            return False
        if replaced and any(n.detail == state for n in read):
            return False
        replaced |= any(s.buffer == f"next:{state}" for s in phase.stores)
    return True
