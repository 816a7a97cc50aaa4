"""A loop and its backward loop as compiled code: tensors in, tensors out."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from weft.backends.cpu import threads
from weft.backends.cpu.emit import emit
from weft.backends.cpu.frame import WORDS
from weft.backends.cpu.machine import addresses, host
from weft.backends.cpu.plan import Panel, Plan, Tile, make_plan
from weft.ir import Emission, Loop, Node, Schedule

__all__ = ["Compiled", "Kept", "Masks"]

_ELEMENTS = {torch.float32: "float", torch.float64: "double"}


@dataclass(frozen=True)
class _View:
    """Where a buffer begins, and how far apart its steps, rows and threads' copies lie."""

    tensor: Tensor
    step: int
    row: int
    thread: int = 0


@dataclass(frozen=True)
class Kept:
    """What a forward run leaves for the backward one.

    `states` (T+1, B, size) before and after each step, `saved` values (T, B, size). Where segments
    begin, a state before a step is not the one after the last: `news` (T, B, size) are the latter.
    """

    states: tuple[Tensor, ...]
    saved: tuple[Tensor, ...]
    news: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Masks:
    """Where rows end, (B,) int64, and where their segments begin, (T, B) bool, before each step."""

    lengths: Tensor
    marks: Tensor


@dataclass(frozen=True)
class _Code:
    plan: Plan
    share: int
    rows: int


class Compiled:
    """The loops of a cell (inference, forward, backward), compiled for sizes as they come."""

    def __init__(self, loops: Mapping[str, Loop], schedules: Mapping[str, Schedule]) -> None:
        self.loops, self.schedules = loops, schedules
        self.states = loops["forward"].states
        self._code = functools.cache(self._compile)

    def _compile(
        self, kind: str, sizes: tuple[tuple[str, int], ...], element: str, masked: bool
    ) -> _Code:
        loop, schedule = self.loops[kind], self.schedules[kind]
        plan = make_plan(loop, schedule, dict(sizes), element, host(), masked=masked)
        share, rows = addresses(emit(plan, "loop"), ("loop", "loop.rows"), host())
        return _Code(plan, share, rows)

    def forward(
        self,
        outside: Sequence[Tensor],
        states: Sequence[Tensor],
        sizes: Mapping[str, int],
        steps: int,
        *,
        reverse: bool,
        keep: bool,
        masks: Masks | None = None,
    ) -> tuple[Tensor, Kept]:
        """Run all steps from states (B, size): outputs (T, B, size), and what was kept.

        Without `keep` no values are saved, and the backward loop can't follow.
        """
        kind = "forward" if keep else "inference"
        loop, batch = self.loops[kind], states[0].shape[0]
        element = _ELEMENTS[states[0].dtype]
        code = self._code(kind, tuple(sorted(sizes.items())), element, masks is not None)
        kept = tuple(s.new_empty(steps + 1, *s.shape) for s in states)
        for all_steps, first in zip(kept, states, strict=True):
            all_steps[steps if reverse else 0] = first
        saved = tuple(
            states[0].new_empty(steps, batch, n.shape[0].value(sizes)) for n in loop.saved
        )
        y = states[0].new_empty(steps, *states[0].shape)
        views = self._state_views(kept, reverse, "state", "next")
        views[f"out:{loop.states[0]}"] = _timed(y)
        views |= _outside_views(loop, outside)
        views |= {f"saved:{i}": _timed(s) for i, s in enumerate(saved)}
        views |= self._temporaries(kind, sizes, states[0])
        news = tuple(s.new_empty(steps, *s.shape) for s in states) if masks else ()
        views |= {f"new:{n}": _timed(s) for n, s in zip(loop.states, news, strict=False)}
        self._run(code, views, outside, steps, batch, reverse, masks)
        return y, Kept(kept, saved, news)

    def backward(
        self,
        outside: Sequence[Tensor],
        kept: Kept,
        seed: Tensor,
        adjoints: Sequence[Tensor],
        sizes: Mapping[str, int],
        *,
        reverse: bool,
        masks: Masks | None = None,
    ) -> tuple[list[Tensor | None], list[Tensor]]:
        """Gradients of the outside values and of the first states.

        `seed` (T, B, size) is dL/dy, `adjoints` (B, size) those of the last states; the latter are
        overwritten.
        """
        steps, batch = seed.shape[:2]
        element = _ELEMENTS[seed.dtype]
        code = self._code("backward", tuple(sorted(sizes.items())), element, masks is not None)
        loop = self.loops["backward"]
        gradients = _Gradients(loop, self.schedules["backward"], outside, sizes, seed)
        views = self._state_views(kept.states, reverse, "state", "new")
        views |= _outside_views(loop, outside)
        views |= {f"saved:{i}": _timed(s) for i, s in enumerate(kept.saved)}
        names = self.states
        views |= {f"new:{n}": _timed(s) for n, s in zip(names, kept.news, strict=False)}
        views |= {f"seed:{self.states[0]}": _timed(seed)}
        for name, adjoint in zip(self.states, adjoints, strict=True):
            views[f"adjoint:{name}"] = views[f"next:{name}"] = _View(adjoint, 0, adjoint.shape[1])
        views |= gradients.views()
        views |= self._temporaries("backward", sizes, seed)
        self._run(code, views, outside, steps, batch, not reverse, masks)
        return gradients.collect(kept, reverse), list(adjoints)

    def _state_views(
        self, kept: Sequence[Tensor], reverse: bool, before: str, after: str
    ) -> dict[str, _View]:
        views = {}
        for name, states in zip(self.states, kept, strict=True):
            early, late = _timed(states[:-1]), _timed(states[1:])
            views[f"{before}:{name}"] = late if reverse else early
            views[f"{after}:{name}"] = early if reverse else late
        return views

    def _temporaries(self, kind: str, sizes: Mapping[str, int], like: Tensor) -> dict[str, _View]:
        batch = like.shape[-2]
        views = {}
        for index, size in enumerate(self.schedules[kind].temporaries):
            buffer = like.new_empty(batch, size.value(sizes))
            views[f"temp:{index}"] = _View(buffer, 0, buffer.shape[1])
        return views

    def _run(
        self,
        code: _Code,
        views: Mapping[str, _View],
        outside: Sequence[Tensor],
        steps: int,
        batch: int,
        reverse: bool,
        masks: Masks | None,
    ) -> None:
        if batch == 0 or steps == 0:
            return
        plan = code.plan
        tile = max(t.rows for t in plan.tiles)
        count, each = _shares(batch, tile)
        words = dict.fromkeys(WORDS, 0) | {
            "thread": threads.thread_number(),
            "steps": steps,
            "first": steps - 1 if reverse else 0,
            "direction": -1 if reverse else 1,
            "rows_each": each,
            "batch": batch,
        }
        if masks is not None:
            words["lengths"], words["marks"] = masks.lengths.data_ptr(), masks.marks.data_ptr()
        values = list(words.values())
        for name in plan.buffers:
            view = views[name]
            values += [view.tensor.data_ptr(), view.step, view.row, view.thread]
        packed = [_pack(t, p, outside, plan.lanes) for t in plan.tiles for p in t.panels]
        values += [p.data_ptr() for p in packed]
        args = (ctypes.c_int64 * len(values))(*values)
        threads.run(code.share, code.rows, args, count, each, batch)


def _shares(batch: int, tile: int) -> tuple[int, int]:
    """How many threads share the rows, and how many rows each has."""
    wanted = max(1, min(torch.get_num_threads(), -(-batch // tile)))
    each = -(-batch // wanted)
    return -(-batch // each), each


def _timed(tensor: Tensor) -> _View:
    return _View(tensor, tensor.stride(0), tensor.stride(1))


def _outside_views(loop: Loop, outside: Sequence[Tensor]) -> dict[str, _View]:
    return {
        f"outer:{i}": _timed(tensor) if value.timed else _View(tensor, 0, 0)
        for i, (value, tensor) in enumerate(zip(loop.outside, outside, strict=True))
    }


def _pack(tile: Tile, panel: Panel, outside: Sequence[Tensor], lanes: int) -> Tensor:
    """A panel's matrices as [column block][k][matrix][lane], zeros where there is no column."""
    wide = tile.vectors * lanes
    blocks = -(-tile.columns // wide)
    packed = outside[panel.matrices[0][0]].new_zeros(
        len(panel.matrices), blocks * wide, panel.depth
    )
    for row, (index, part, transposed) in zip(packed, panel.matrices, strict=True):
        matrix = outside[index]
        if part is not None:
            size = panel.depth if transposed else tile.columns
            matrix = matrix[part * size : (part + 1) * size]
        row[: tile.columns] = matrix.t() if transposed else matrix
    shaped = packed.view(len(panel.matrices), blocks, wide, panel.depth)
    return shaped.permute(1, 3, 0, 2).contiguous()


class _Gradients:
    """The buffers that the backward loop writes gradients to, and what becomes of them."""

    def __init__(
        self,
        loop: Loop,
        schedule: Schedule,
        outside: Sequence[Tensor],
        sizes: Mapping[str, int],
        seed: Tensor,
    ) -> None:
        self.loop, self.schedule, self.outside = loop, schedule, outside
        self.steps, self.batch = seed.shape[:2]
        self.sizes, self.seed = sizes, seed
        self.buffers: dict[str, Tensor] = {}
        for index, emission in enumerate(loop.emissions):
            self._allocate(index, emission)

    def _allocate(self, index: int, emission: Emission) -> None:
        size = emission.node.shape[0].value(self.sizes)
        outer = emission.outer[0]
        wide = size * self.loop.outside[outer].parts
        if emission.kind == "matrix":
            name = f"matrix:{index}"
            if self.schedule.places[index][0] == name:
                self.buffers[name] = self.seed.new_empty(self.steps, self.batch, size)
            return
        name = f"grad:{outer}"
        if name in self.buffers:
            return
        if emission.kind != "timed":
            self.buffers[name] = self.seed.new_zeros(torch.get_num_threads(), wide)
            return
        written = sum(e.kind == "timed" and e.outer[0] == outer for e in self.loop.emissions)
        make = self.seed.new_empty if written == wide // size else self.seed.new_zeros
        self.buffers[name] = make(self.steps, self.batch, wide)

    def views(self) -> dict[str, _View]:
        """The buffers as the compiled code sees them."""
        return {
            name: _timed(b) if b.dim() == 3 else _View(b, 0, 0, b.shape[1])
            for name, b in self.buffers.items()
        }

    def collect(self, kept: Kept, reverse: bool) -> list[Tensor | None]:
        """The gradient of each outside value, None where the loop doesn't depend on it."""
        found: list[Tensor | None] = [None] * len(self.outside)
        for index, tensor in enumerate(self.outside):
            buffer = self.buffers.get(f"grad:{index}")
            if buffer is not None:
                found[index] = buffer if buffer.dim() == 3 else buffer.sum(0)
                if tensor.dim() == 0:
                    found[index] = buffer.sum()
        matrices: dict[int, list[int]] = {}
        for index, emission in enumerate(self.loop.emissions):
            if emission.kind == "matrix":
                matrices.setdefault(emission.outer[0], []).append(index)
        for outer, indices in matrices.items():
            found[outer] = self._matrix(outer, indices, kept, reverse)
        return found

    def _matrix(self, outer: int, indices: list[int], kept: Kept, reverse: bool) -> Tensor:
        total = torch.zeros_like(self.outside[outer])
        emissions = [self.loop.emissions[i] for i in indices]
        whole = self._stacked(emissions, indices, total)
        operands = {self._key(e) for e in emissions}
        if whole is not None and len(operands) == 1:
            return whole.flatten(0, 1).t() @ self._operand(emissions[0], kept, reverse)
        for index, emission in zip(indices, emissions, strict=True):
            size = emission.node.shape[0].value(self.sizes)
            buffer, part = self.schedule.places[index]
            gradient = self.buffers[buffer][..., part * size : (part + 1) * size]
            rows = (emission.outer[1] or 0) * size
            product = gradient.flatten(0, 1).t() @ self._operand(emission, kept, reverse)
            total[rows : rows + size] += product
        return total

    def _stacked(
        self, emissions: list[Emission], indices: list[int], total: Tensor
    ) -> Tensor | None:
        """The one buffer in which all parts' gradients lie as the parts do, if there is one."""
        pairs = list(zip(emissions, indices, strict=True))
        places = {e.outer[1]: self.schedule.places[i] for e, i in pairs}
        names = {name for name, _ in places.values()}
        parts = self.loop.outside[emissions[0].outer[0]].parts
        if len(names) != 1 or len(emissions) != parts:
            return None
        (name,) = names
        same = all(part == (outer or 0) for outer, (_, part) in places.items())
        buffer = self.buffers[name]
        return buffer if same and buffer.shape[-1] == total.shape[0] else None

    def _key(self, emission: Emission) -> object:
        assert emission.operand is not None
        return emission.operand.op, emission.operand.detail

    def _operand(self, emission: Emission, kept: Kept, reverse: bool) -> Tensor:
        assert emission.operand is not None
        node: Node = emission.operand
        if node.op == "state":
            states = kept.states[self.loop.states.index(str(node.detail))]
            return (states[1:] if reverse else states[:-1]).flatten(0, 1)
        assert isinstance(node.detail, int)
        return kept.saved[node.detail].flatten(0, 1)
