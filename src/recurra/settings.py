"""The one place that reads the environment.

| variable       | meaning                                                                         |
|----------------|---------------------------------------------------------------------------------|
| RECURRA_ENGINE | engine of layers that are made without `engine=`: auto (the default), cpu,      |
|                | torch or interp                                                                 |
| RECURRA_TARGET | compiled code's instructions: avx2 or avx512; unset: the widest of this machine |
| RECURRA_DEBUG  | 0 silent; 1 which engine runs and why; 3 also each cell's graph as equations,   |
|                | and every pass of the compiler is held to its promise                           |
| RECURRA_CACHE  | the folder that keeps compiled code; unset: the user's own; off: none           |
| RECURRA_DATA   | the folder of real data that tests and benchmarks read; unset: they skip        |
| RANK, WORLD_SIZE, LOCAL_RANK | set by torchrun: which of how many processes of a training    |
|                | this is, and which of those on this machine                                     |
"""

import functools
import logging
import os
import sys
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "Launched",
    "c_compiler",
    "cache_folder",
    "data_folder",
    "debug_level",
    "default_engine",
    "launched",
    "pin_threads",
    "show_log",
    "target_name",
]


class Launched(NamedTuple):
    """The place of this process among those that torchrun started, or of one process alone."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0


def default_engine() -> str:
    """The engine of layers that are made without `engine=`."""
    return os.environ.get("RECURRA_ENGINE", "auto")


def target_name() -> str | None:
    """The instructions that compiled code is to use, or None for the widest of this machine."""
    return os.environ.get("RECURRA_TARGET") or None


def debug_level() -> int:
    """The verbosity of the `recurra` logger, from 0 to 3."""
    text = os.environ.get("RECURRA_DEBUG", "0")
    if not text.isdigit():
        raise ValueError(f"RECURRA_DEBUG={text!r} is not a number; use 0, 1 or 3.")
    return int(text)


def data_folder() -> Path | None:
    """The folder of real data, or None where RECURRA_DATA is unset."""
    text = os.environ.get("RECURRA_DATA")
    return Path(text) if text else None


@functools.cache  # it is asked for several times a step, and stays the same
def launched() -> Launched:
    """The place that torchrun gave this process."""
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        return Launched()
    texts = {name: os.environ.get(name, "0") for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    for name, text in texts.items():
        if not text.isdigit():
            raise ValueError(f"{name}={text!r} is not a number; torchrun sets it.")
    return Launched(*map(int, texts.values()))


def cache_folder() -> Path | None:
    """The folder of compiled code, or None where RECURRA_CACHE is off or there is no home folder.

    Unset, it is `recurra` in what the platform has for caches: $XDG_CACHE_HOME or ~/.cache,
    ~/Library/Caches on macOS, %LOCALAPPDATA% on Windows.
    """
    text = os.environ.get("RECURRA_CACHE")
    if text:
        return None if text == "off" else Path(text).expanduser()
    variable, otherwise = _CACHES.get(sys.platform, ("XDG_CACHE_HOME", "~/.cache"))
    folder = Path(os.environ.get(variable) or os.path.expanduser(otherwise))
    # XDG: a relative path is invalid; so is a `~` that no home folder could replace.
    return folder / "recurra" if folder.is_absolute() else None


_CACHES = {
    "darwin": ("", "~/Library/Caches"),
    "win32": ("LOCALAPPDATA", "~/AppData/Local"),
}


def c_compiler() -> str | None:
    """The C compiler that $CC names, or None."""
    return os.environ.get("CC") or None


def pin_threads(count: int) -> None:
    """Give BLAS and OpenMP so many threads, unless the user has; before they are loaded."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, str(count))


def show_log() -> None:
    """Send the messages of the `recurra` logger to stderr, where RECURRA_DEBUG asks for it."""
    log = logging.getLogger("recurra")
    if debug_level() >= 1 and not log.handlers:
        log.addHandler(logging.StreamHandler())
        log.setLevel(logging.INFO)
