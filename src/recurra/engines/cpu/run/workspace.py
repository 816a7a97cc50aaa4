"""Large tensors whose memory is kept for the next of their size.

The system gives large blocks page by page and takes them back at once: a training step would wait
for thousands of pages that it had a moment ago. Here they come back when their tensor is freed, and
are given out again. What is kept unused has a limit.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import threading
import weakref
from collections import OrderedDict
from math import prod

import torch
from torch import Tensor

from recurra.processes import machine_memory

__all__ = ["LEAST", "empty"]

LEAST = 2**20
"""Bytes below which the C library keeps memory well."""

_PAGE = 2**21  # a large page


def empty(like: Tensor, *shape: int) -> Tensor:
    """A tensor of that shape and the dtype of `like`, not initialised, and a view of none."""
    memory = _POOL.take(prod(shape) * like.element_size())
    flat = torch.frombuffer(memory, dtype=like.dtype, count=prod(shape))
    return like.new_empty(0).set_(flat.untyped_storage()).resize_(shape)


class _Pool:
    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.free: OrderedDict[int, mmap.mmap] = OrderedDict()
        self.kept = 0
        self.lock = threading.RLock()

    def take(self, size: int) -> ctypes.Array[ctypes.c_char]:
        """Memory of at least this size, which comes back when nothing refers to it any more."""
        rounded = _rounded(size)
        with self.lock:
            # The one that came back last is the likeliest to be in a cache still.
            found = next((k for k in reversed(self.free) if len(self.free[k]) == rounded), None)
            memory = None if found is None else self.free.pop(found)
            self.kept -= 0 if memory is None else rounded
        if memory is None:
            memory = _mapped(rounded)
        lease = (ctypes.c_char * rounded).from_buffer(memory)
        weakref.finalize(lease, self.give, memory).atexit = False
        return lease

    def give(self, memory: mmap.mmap) -> None:
        """Keep memory that is free again, and drop the oldest above the limit."""
        with self.lock:
            self.free[id(memory)] = memory
            self.kept += len(memory)
            while self.kept > self.limit:
                _, oldest = self.free.popitem(last=False)
                self.kept -= len(oldest)


def _rounded(size: int) -> int:
    """Up to a multiple of an eighth of the power of two below: sizes that differ little are one."""
    step = max(_PAGE, 1 << max(0, size.bit_length() - 4))
    return -(-size // step) * step


def _mapped(size: int) -> mmap.mmap:
    if os.name != "posix":
        return mmap.mmap(-1, size)
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _limit() -> int:
    """A part of the machine's memory."""
    return (machine_memory() or 2**33) // 32


_POOL = _Pool(_limit())
