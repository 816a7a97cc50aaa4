"""Compiled code bound to buffers and weights, and run on torch's own threads.

torch has an OpenMP runtime loaded; a region run on it shares torch's pool instead of competing with
it for the cores. Where that runtime can't be found (macOS, Windows), a pool of Python threads
serves: compiled code runs without the interpreter's lock.
"""

from __future__ import annotations

import ctypes
import functools
import os
from array import array
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from recurra.engines.cpu.emit.frame import WORDS
from recurra.engines.cpu.emit.multiply import lines_of, tiles_of
from recurra.engines.cpu.emit.time_loop import emit
from recurra.engines.cpu.jit.cache import describe
from recurra.engines.cpu.jit.llvm import cached_addresses, host
from recurra.engines.cpu.plan.buffer_layout import View
from recurra.engines.cpu.plan.tiling import LoopPlan, Tile, WeightPanel

__all__ = [
    "Bound",
    "CallSteps",
    "Code",
    "MachineCode",
    "RaggedSteps",
    "give",
    "has_teams",
    "run_code",
    "take",
    "thread_functions",
]

_SECOND_CACHE = 512 * 1024
_LEAST_WORK = 200_000  # multiply-adds a step for which threads wait for one another
_LEAST_ALONE = 1_000_000  # those for which they are woken, where there are hardly any steps
_LINE = 16  # elements to which packed panels are aligned

_ALONE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_SHARE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 4)
_WORD = 8  # bytes of an argument
_STEPS, _FIRST, _ARRIVED = (WORDS.index(w) for w in ("steps", "first", "arrived"))
_RAGGED = [WORDS.index(w) for w in ("offsets", "previous_offsets", "counts")]
_MARKS = WORDS.index("marks")


class RaggedSteps(NamedTuple):
    """Rows sorted by length, their steps packed: where each step's rows begin, and how many.

    `previous_offsets` tells where the states before each step lie. All int64, (T,).
    """

    offsets: Tensor
    previous_offsets: Tensor
    counts: Tensor


class CallSteps(NamedTuple):
    """The steps of a call, and its rows. `marks`, a byte a row of each step, begins segments."""

    number: int
    batch: int
    reverse: bool = False
    ragged: RaggedSteps | None = None
    marks: Tensor | None = None


class MachineCode:
    """Emitted functions: all the work on a team's threads, or on one; shares of it, in phases."""

    team: int
    alone: Callable[[int], None]
    phases: list[Callable[..., None]]

    def __init__(self, team: int, alone: int, *phases: int) -> None:
        self.team, self.alone = team, _ALONE(alone)
        self.phases = [_SHARE(p) for p in phases]


class Code:
    """A plan compiled."""

    plan: LoopPlan
    entry: MachineCode
    weights: int
    height: int

    def __init__(self, plan: LoopPlan) -> None:
        self.plan = plan
        names = ("loop.team", "loop.alone", "loop.pack.share", "loop.share")
        entries = cached_addresses(describe(plan), lambda: emit(plan, "loop"), names, host())
        self.entry = MachineCode(*entries)
        self.weights = sum(t.columns * p.operand.depth * len(p.matrices) for t, p in plan.panels)
        self.height = max((p.height for _, p in plan.panels), default=1)


class Bound:
    """Code with all that stays the same from call to call: strides, offsets, shares.

    Buffers are views of a call's memory by name, matrices are loop inputs, the first blocks of a
    call's memory. `available` threads share the work.
    """

    plan: LoopPlan
    entry: MachineCode
    batch: int
    reverse: bool
    by_columns: bool
    shares: int
    threads: int
    room: int
    packed: list[tuple[int, int]]
    template: array[int]

    def __init__(
        self,
        code: Code,
        views: Mapping[str, View],
        widths: Mapping[int, int],
        batch: int,
        element_size: int,
        available: int,
        *,
        reverse: bool,
    ) -> None:
        plan = code.plan
        self.plan, self.entry, self.batch, self.reverse = plan, code.entry, batch, reverse
        self.by_columns = by_columns = (
            available > 1 and has_teams() and _by_columns(code, batch, available)
        )
        self.shares = 1 if by_columns else max(1, min(available, -(-batch // code.height)))
        self.threads = available if by_columns else self.shares
        words = self._words(by_columns)
        self.pointers: list[tuple[int, int, int]] = []
        for name in plan.buffers:
            view = views[name]
            self.pointers.append((len(words), view.slot, view.offset * element_size))
            words += (0, view.step, view.row, view.thread)
        self.packed = self._lay_out_panels(words, widths, element_size)
        self.template = array("q", [*words, 0])  # the last counts arrivals at barriers

    def _words(self, by_columns: bool) -> list[int]:
        words = dict.fromkeys(WORDS, 0) | {
            **thread_functions(),
            "direction": -1 if self.reverse else 1,
            "shares": self.shares,
            "rows_each": -(-self.batch // self.shares),
            "batch": self.batch,
            "by_columns": int(by_columns),
            "mark_step": 1 if self.plan.modes.ragged else self.batch,
        }
        return [words[name] for name in WORDS]

    def _lay_out_panels(
        self, words: list[int], widths: Mapping[int, int], element_size: int
    ) -> list[tuple[int, int]]:
        """Words for panels and their sources; (word, byte) of packed ones, and the end of all."""
        plan, packed, end = self.plan, [], 0
        if plan.modes.packed:
            for tile, panel in plan.panels:
                packed.append((len(words), end * element_size))
                words.append(0)
                end += -(-_packed_size(tile, panel, plan.lanes) // _LINE) * _LINE
        for _, panel in plan.panels:
            for matrix in panel.matrices:
                offset = matrix.row * widths[matrix.outer] * element_size
                self.pointers.append((len(words), matrix.outer, offset))
                words.append(0)
        self.room = end * element_size
        return packed

    def __call__(self, addresses: Sequence[int], steps: CallSteps) -> None:
        """Run all steps; `addresses` are those of the memory that the views lie in."""
        if steps.batch == 0 or steps.number == 0:
            return
        args = self.template[:]
        pointer = args.buffer_info()[0]
        args[_STEPS] = steps.number
        if self.reverse:
            args[_FIRST] = steps.number - 1
        if self.by_columns:
            args[_ARRIVED] = pointer + _WORD * (len(args) - 1)
        if steps.ragged is not None:
            for index, tensor in zip(_RAGGED, steps.ragged, strict=True):
                args[index] = tensor.data_ptr()
        if steps.marks is not None:
            args[_MARKS] = steps.marks.data_ptr()
        for index, slot, offset in self.pointers:
            args[index] = addresses[slot] + offset
        if not self.packed:
            run_code(self.entry, pointer, self.threads)
            return
        memory = take(self.room)
        begin = memory.data_ptr()
        for index, offset in self.packed:
            args[index] = begin + offset
        run_code(self.entry, pointer, self.threads)
        give(memory)


def take(size: int) -> Tensor:
    """Memory of at least so many bytes, for the time of a call; `give` keeps it for the next."""
    try:
        # Off the list meanwhile: another thread, or a call within this one, takes another.
        memory = _FREE.pop()
    except IndexError:
        memory = _NOTHING
    if memory.nbytes < size:
        memory = torch.empty(size, dtype=torch.uint8, device="cpu")
    return memory


def give(memory: Tensor) -> None:
    """Keep memory that is free again, unless it is large, or there is enough of it."""
    if memory.nbytes <= _MOST_KEPT and len(_FREE) < _MOST_BLOCKS:
        _FREE.append(memory)


_NOTHING = torch.empty(0, dtype=torch.uint8)
_FREE: list[Tensor] = []
_MOST_KEPT = 2**24  # bytes of one block
_MOST_BLOCKS = 8


def _by_columns(code: Code, batch: int, available: int) -> bool:
    """True if threads share the columns: few rows, or more weights than their caches hold."""
    least = _LEAST_WORK if code.plan.modes.packed else _LEAST_ALONE
    if not code.plan.panels or batch * code.weights < least:
        return False
    large = code.weights * (4 if code.plan.element == "float" else 8) > _SECOND_CACHE
    return batch < (8 if large else 2) * available


def _packed_size(tile: Tile, panel: WeightPanel, lanes: int) -> int:
    columns = tile.segments * tiles_of(tile, lanes) * panel.vectors * lanes
    return columns * lines_of(panel) * len(panel.matrices)


@functools.cache
def _openmp() -> Any:
    folder = Path(torch.__file__).parent / "lib"
    for file in sorted(folder.glob("libgomp*.so*")):
        library = ctypes.CDLL(str(file))
        library.GOMP_parallel.argtypes = [ctypes.c_void_p] * 2 + [ctypes.c_uint] * 2
        library.GOMP_parallel.restype = None
        return library
    return None


def has_teams() -> bool:
    """True if all threads of a call run at once, so that they may wait for one another."""
    return _openmp() is not None


@functools.cache
def thread_functions() -> dict[str, int]:
    """Addresses of functions that emitted code calls on threads, 0 without teams."""
    names = ("thread_number", "team_size", "give_way", "barrier")
    library, found = _openmp(), dict[str, Any].fromkeys(names)
    if library is not None:
        found["thread_number"] = library.omp_get_thread_num
        found["team_size"] = library.omp_get_num_threads
        found["barrier"] = library.GOMP_barrier
        found["give_way"] = ctypes.CDLL(None).sched_yield if os.name == "posix" else None
    pointers = {name: ctypes.cast(f or 0, ctypes.c_void_p) for name, f in found.items()}
    return {name: pointer.value or 0 for name, pointer in pointers.items()}


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="recurra")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child has no threads of its parent


def run_code(entry: MachineCode, args: int, threads: int) -> None:
    """Run emitted code on so many threads; `args` is the address of its words."""
    if threads == 1:
        entry.alone(args)
    elif has_teams():
        _openmp().GOMP_parallel(entry.team, args, threads, 0)
    else:
        for share in entry.phases:
            calls = [_pool().submit(share, args, i, threads, 0, 1) for i in range(threads)]
            for call in calls:
                call.result()
