"""Running compiled code on torch's own threads.

torch has an OpenMP runtime loaded; a region run on it shares torch's pool instead of fighting it
for the cores. Where that runtime can't be found (macOS, Windows), a pool of Python threads serves:
compiled code runs without the interpreter's lock.
"""

from __future__ import annotations

import ctypes
import functools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

__all__ = ["functions", "has_teams", "run"]


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
    """Whether all threads of a call run at once, so that they may wait for one another."""
    return _openmp() is not None


@functools.cache
def functions() -> tuple[int, int, int]:
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


def run(team: int, share: int, args: Any, shares: int, threads: int) -> None:
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
