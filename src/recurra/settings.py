"""The one place that reads the environment.

| variable       | meaning                                                                         |
|----------------|---------------------------------------------------------------------------------|
| RECURRA_ENGINE | engine of layers built without `engine=`: auto (the default), cpu or interp     |
| RECURRA_TARGET | compiled code's instructions: avx2 or avx512; unset: the widest of this machine |
| RECURRA_DEBUG  | 0 silent; 1 which engine runs and why; 3 also each cell's graph as equations,   |
|                | and every pass of the compiler is held to its promise                           |
| RECURRA_CACHE  | the folder that keeps compiled code; unset: the user's own; off: none           |
| RECURRA_DATA   | the folder of real data that tests and benchmarks read; unset: they skip        |
"""

import logging
import os
import sys
from pathlib import Path

__all__ = [
    "cache_folder",
    "data_folder",
    "debug_level",
    "default_engine",
    "show_log",
    "target_name",
]


def default_engine() -> str:
    """The engine of layers built without `engine=`."""
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


def show_log() -> None:
    """Send the messages of the `recurra` logger to stderr, where RECURRA_DEBUG asks for it."""
    log = logging.getLogger("recurra")
    if debug_level() >= 1 and not log.handlers:
        log.addHandler(logging.StreamHandler())
        log.setLevel(logging.INFO)
