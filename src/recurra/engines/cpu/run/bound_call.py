"""Compiled code bound to buffers and weights, and run on torch's own threads.

torch has an OpenMP runtime loaded; a region run on it shares torch's pool instead of competing with
it for the cores. Where that runtime can't be found (macOS, Windows), a pool of Python threads
serves: compiled code runs without the interpreter's lock.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from recurra.engines.cpu.emit.frame import WORDS
from recurra.engines.cpu.emit.multiply import tiles_of
from recurra.engines.cpu.emit.time_loop import emit
from recurra.engines.cpu.jit.key import describe
from recurra.engines.cpu.jit.llvm import cached_addresses, host
from recurra.engines.cpu.plan.buffer_layout import View
from recurra.engines.cpu.plan.tiling import LoopPlan, Tile, WeightPanel

__all__ = ["Bound", "CallSteps", "Code", "RaggedSteps", "has_teams", "run_code", "thread_functions"]

_SECOND_CACHE = 512 * 1024
_LEAST_WORK = 200_000  # multiply-adds a step for which threads wait for one another
_LEAST_ALONE = 1_000_000  # those for which they are woken, where there are hardly any steps
_LINE = 16  # elements to which packed panels are aligned

_STEPS, _FIRST, _ARRIVED = (WORDS.index(w) for w in ("steps", "first", "arrived"))
_RAGGED = [WORDS.index(w) for w in ("offsets", "previous_offsets", "counts")]
_MARKS = WORDS.index("marks")


@dataclass(frozen=True)
class RaggedSteps:
    """Rows sorted by length, their steps packed: where each step's rows begin, and how many.

    `previous_offsets` tells where the states before each step lie. All int64, (T,).
    """

    offsets: Tensor
    previous_offsets: Tensor
    counts: Tensor


@dataclass(frozen=True)
class CallSteps:
    """The steps of a call, and its rows. `marks`, a byte a row of each step, begins segments."""

    count: int
    batch: int
    reverse: bool = False
    ragged: RaggedSteps | None = None
    marks: Tensor | None = None


class Code:
    """A plan compiled."""

    plan: LoopPlan
    team: int
    share: int
    pack: int
    pack_share: int
    weights: int
    height: int

    def __init__(self, plan: LoopPlan) -> None:
        self.plan = plan
        entries = ("loop", "loop.share", "loop.pack", "loop.pack.share")
        found = cached_addresses(describe(plan), lambda: emit(plan, "loop"), entries, host())
        self.team, self.share, self.pack, self.pack_share = found
        self.weights = sum(t.columns * p.operand.depth * len(p.matrices) for t, p in plan.panels)
        self.height = max((p.height for _, p in plan.panels), default=1)


class Bound:
    """Code with all that stays the same from call to call: strides, offsets, shares.

    Buffers are views of a call's tensors by name, matrices are loop inputs, the first tensors
    of a call. `available` threads share the work.
    """

    code: Code
    batch: int
    reverse: bool
    shares: int
    threads: int
    packed: list[tuple[int, int]]
    template: ctypes.Array[ctypes.c_int64]

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
        self.code, self.batch, self.reverse = code, batch, reverse
        by_columns = available > 1 and has_teams() and _by_columns(code, batch, available)
        self.shares = 1 if by_columns else max(1, min(available, -(-batch // code.height)))
        self.threads = available if by_columns else self.shares
        words = self._words(by_columns)
        self.pointers: list[tuple[int, int, int]] = []
        for name in plan.buffers:
            view = views[name]
            self.pointers.append((len(words), view.slot, view.offset * element_size))
            words += (0, view.step, view.row, view.thread)
        self.packed = self._lay_out_panels(words, widths, element_size)
        self.template = (ctypes.c_int64 * len(words))(*words)

    def _words(self, by_columns: bool) -> list[int]:
        number, size, give_way = thread_functions()
        words = dict.fromkeys(WORDS, 0) | {
            "thread_number": number,
            "team_size": size,
            "give_way": give_way,
            "direction": -1 if self.reverse else 1,
            "shares": self.shares,
            "rows_each": -(-self.batch // self.shares),
            "batch": self.batch,
            "by_columns": int(by_columns),
            "mark_step": 1 if self.code.plan.modes.ragged else self.batch,
        }
        return [words[name] for name in WORDS]

    def _lay_out_panels(
        self, words: list[int], widths: Mapping[int, int], element_size: int
    ) -> list[tuple[int, int]]:
        """Words for panels and their sources; (word, byte) of packed ones, and the end of all."""
        plan, packed, end = self.code.plan, [], 0
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
        self.room = end
        return packed

    def __call__(self, tensors: Sequence[Tensor | None], steps: CallSteps) -> None:
        """Run all steps."""
        if steps.batch == 0 or steps.count == 0:
            return
        args = type(self.template).from_buffer_copy(self.template)
        args[_STEPS] = steps.count
        args[_FIRST] = steps.count - 1 if self.reverse else 0
        arrived = ctypes.c_int64(0)
        args[_ARRIVED] = ctypes.addressof(arrived)
        if steps.ragged is not None:
            ragged = (steps.ragged.offsets, steps.ragged.previous_offsets, steps.ragged.counts)
            for word, tensor in zip(_RAGGED, ragged, strict=True):
                args[word] = tensor.data_ptr()
        if steps.marks is not None:
            args[_MARKS] = steps.marks.data_ptr()
        for word, slot, offset in self.pointers:
            args[word] = tensors[slot].data_ptr() + offset  # type: ignore[union-attr]
        code = self.code
        if self.packed:
            like = next(t for t in tensors if t is not None)
            packed = like.new_empty(self.room)
            begin = packed.data_ptr()
            for word, offset in self.packed:
                args[word] = begin + offset
            run_code(code.pack, code.pack_share, args, self.threads, self.threads)
        run_code(code.team, code.share, args, self.shares, self.threads)


def _by_columns(code: Code, batch: int, available: int) -> bool:
    """True if threads share the columns: few rows, or more weights than their caches hold."""
    least = _LEAST_WORK if code.plan.modes.packed else _LEAST_ALONE
    if not code.plan.panels or batch * code.weights < least:
        return False
    large = code.weights * (4 if code.plan.element == "float" else 8) > _SECOND_CACHE
    return batch < (8 if large else 2) * available


def _packed_size(tile: Tile, panel: WeightPanel, lanes: int) -> int:
    columns = tile.segments * tiles_of(tile, lanes) * panel.vectors * lanes
    return columns * panel.operand.depth * len(panel.matrices)


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
def thread_functions() -> tuple[int, int, int]:
    """Addresses: a thread's number, its team's size, and what gives the processor to another."""
    library = _openmp()
    if library is None:
        return 0, 0, 0
    names = ("omp_get_thread_num", "omp_get_num_threads")
    found = [getattr(library, name) for name in names]
    found.append(ctypes.CDLL(None).sched_yield if os.name == "posix" else None)
    number, size, give_way = (ctypes.cast(f, ctypes.c_void_p).value or 0 for f in found)
    return number, size, give_way


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="recurra")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child has no threads of its parent


_SHARE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 4)


@functools.cache
def _callable(address: int) -> Any:
    return _SHARE(address)


def run_code(team: int, share: int, args: Any, shares: int, threads: int) -> None:
    """Run emitted code: `team` and `share` are addresses of its functions, `args` its words.

    On one thread it does everything as one share; a pool's threads do a share each; a team's
    threads see to it that all of them are done.
    """
    pointer = ctypes.addressof(args)
    if threads == 1:
        _callable(share)(pointer, 0, 1, 0, 1)
    elif has_teams():
        _openmp().GOMP_parallel(team, pointer, threads, 0)
    else:
        calls = [_pool().submit(_callable(share), pointer, i, shares, 0, 1) for i in range(shares)]
        for call in calls:
            call.result()
