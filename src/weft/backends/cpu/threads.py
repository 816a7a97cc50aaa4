"""Running compiled code on torch's own threads.

torch has an OpenMP runtime loaded; a region run on it shares torch's pool instead of fighting it
for the cores. Where that runtime can't be found (macOS, Windows), a pool of Python threads serves:
compiled code runs without the interpreter's lock.
"""

from __future__ import annotations

import ctypes
import functools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

__all__ = ["run"]


@functools.cache
def _openmp() -> Any:
    folder = Path(torch.__file__).parent / "lib"
    for file in sorted(folder.glob("libgomp*.so*")):
        library = ctypes.CDLL(str(file))
        library.GOMP_parallel.argtypes = [ctypes.c_void_p] * 2 + [ctypes.c_uint] * 2
        library.GOMP_parallel.restype = None
        return library
    return None


@functools.cache
def thread_number() -> int:
    """The address of the function that says which thread it is called on; 0 without OpenMP."""
    library = _openmp()
    if library is None:
        return 0
    return ctypes.cast(library.omp_get_thread_num, ctypes.c_void_p).value or 0


_UNLIMITED = 2**31 - 1


def _has_whole_teams() -> bool:
    """Whether OpenMP gives as many threads as are asked for: each does its own rows, and no others.

    OMP_THREAD_LIMIT, OMP_DYNAMIC and an enclosing parallel region make teams smaller.
    """
    library = _openmp()
    if library is None or library.omp_get_dynamic() or library.omp_in_parallel():
        return False
    return bool(library.omp_get_thread_limit() == _UNLIMITED)


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="weft")


_ROWS = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)


def run(share: int, rows: int, args: Any, threads: int, rows_each: int, batch: int) -> None:
    """Run a loop for all rows: `share` and `rows` are its two addresses, `args` its words."""
    pointer = ctypes.addressof(args)
    if threads == 1:
        _ROWS(rows)(pointer, 0, 0, batch)
    elif _has_whole_teams():
        _openmp().GOMP_parallel(share, pointer, threads, 0)
    else:
        starts = [(i, i * rows_each) for i in range(threads)]
        calls = [
            _pool().submit(_ROWS(rows), pointer, i, b0, min(b0 + rows_each, batch))
            for i, b0 in starts
        ]
        for call in calls:
            call.result()
