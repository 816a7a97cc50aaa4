"""Cells of text as numbers: marks of missing values, and a name for what is not a number."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.transcripts.manifest_rows import read_utf8
from recurra.errors import DataError

__all__ = ["Doubles", "numbers", "text_lines", "to_number", "without_blank_end"]

Doubles = np.ndarray[Any, np.dtype[np.float64]]

_MISSING = {"", "?", "na", "nan", "n/a", "#n/a", "null", "none"}


def to_number(cell: str) -> float | None:
    """NaN for a mark of a missing value; None for any other text that is not a number.

    >>> to_number(" 1e3"), to_number("?"), to_number("1,5")
    (1000.0, nan, None)
    """
    if cell.strip().lower() in _MISSING:
        return float("nan")
    try:
        return float(cell)
    except ValueError:
        return None


def numbers(cells: Sequence[str], first: int = 1) -> Doubles:
    """Numbers (T,), NaN where one is missing; DataError counts cells from `first`."""
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError:
        values = [to_number(cell) for cell in cells]
    if None in values:
        place = values.index(None)
        raise DataError(
            f"value {place + first} is {cells[place].strip()[:40]!r}, where a number is needed; "
            "write numbers with a point, and ? or nothing where one is missing."
        )
    return np.array(values, dtype=np.float64)


def without_blank_end(values: Doubles) -> Doubles:
    """Values (C, T) without the last steps at which all are missing; one step where all are.

    >>> without_blank_end(np.array([[1.0, np.nan, 2.0, np.nan]])).tolist()
    [[1.0, nan, 2.0]]
    """
    present = np.flatnonzero(~np.isnan(values).all(axis=0))
    return values[:, : present[-1] + 1 if len(present) else 1]


def text_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a text file that aren't blank, each with its number, from 1 on.

    DataError where it is missing, empty, damaged, or not UTF-8.
    """
    lines = read_utf8(path).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
