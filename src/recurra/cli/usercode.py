"""Tells a failure in a user's own cell (`--cell`) from one in Recurra or its dependencies."""

import sys
import traceback
from pathlib import Path

__all__ = ["users_line"]

_OURS = Path(__file__).parents[1]
_INSTALLED = ("site-packages", "dist-packages")


def users_line(error: Exception) -> str | None:
    """`file:line` where an error left the user's code, or None where it never was there."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = reversed(traceback.extract_tb(error.__traceback__))
    return next((f"{f.filename}:{f.lineno}" for f in frames if _is_users(f.filename)), None)


def _is_users(name: str) -> bool:
    path = Path(name)
    python = (Path(sys.prefix), Path(sys.base_prefix), _OURS)
    return (
        path.is_file()
        and not any(path.is_relative_to(folder) for folder in python)
        and not any(folder in path.parts for folder in _INSTALLED)
    )
