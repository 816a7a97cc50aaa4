"""Readers, vocabularies and batching: from files to tensors, with no model in sight."""

import os
from pathlib import Path

from recurra.errors import DataError

__all__ = ["check_exists"]


def check_exists(path: str | os.PathLike[str]) -> None:
    """Raise DataError where there is no such file."""
    if not Path(path).exists():
        shown = os.fspath(path)
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
        raise DataError(f"{shown}: no such file; check the name and the folder.")


_SHOWN = 200
