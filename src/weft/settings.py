"""The one place that reads the environment.

| variable    | meaning                                                                      |
|-------------|------------------------------------------------------------------------------|
| WEFT_ENGINE | engine of layers built without `engine=`: auto (the default), cpu or interp  |
| WEFT_DEBUG  | 0 silent; 1 which engine runs and why; 3 also each cell's graph as equations |
| WEFT_DATA   | the folder of real data that tests and benchmarks read; unset: they skip     |
"""

import logging
import os
from pathlib import Path

__all__ = ["data_folder", "debug_level", "default_engine", "show_log"]


def default_engine() -> str:
    """The engine of layers built without `engine=`."""
    return os.environ.get("WEFT_ENGINE", "auto")


def debug_level() -> int:
    """How much Weft tells on the `weft` logger, from 0 to 3."""
    text = os.environ.get("WEFT_DEBUG", "0")
    if not text.isdigit():
        raise ValueError(f"WEFT_DEBUG={text!r} is not a number; use 0, 1 or 3.")
    return int(text)


def data_folder() -> Path | None:
    """Where the real data lies, or None where WEFT_DATA is unset."""
    text = os.environ.get("WEFT_DATA")
    return Path(text) if text else None


def show_log() -> None:
    """Send what the `weft` logger tells to stderr, where WEFT_DEBUG asks for it."""
    log = logging.getLogger("weft")
    if debug_level() >= 1 and not log.handlers:
        log.addHandler(logging.StreamHandler())
        log.setLevel(logging.INFO)
