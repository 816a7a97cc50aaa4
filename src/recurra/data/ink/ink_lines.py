"""Ink from files of JSON lines: one object a line, with its strokes and its text."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from recurra.data import check_exists
from recurra.data.ink.ink import COLUMNS, MAX_POINTS, Ink, Points, ink_of
from recurra.errors import DataError

__all__ = ["InkLine", "ink_from_json", "read_ink_lines"]

_BY_WIDTH = {2: COLUMNS[0], 3: COLUMNS[1], 4: COLUMNS[3]}
"""The columns of a point given as a list, unless "columns" says others."""

_KEYS = {"x": "x", "y": "y", "p": "pressure", "pressure": "pressure", "t": "time", "time": "time"}
"""The column of each key of a point given as an object."""

_LONGEST = 200 * MAX_POINTS
"""Characters of a line; a point of four long numbers takes fewer than 100."""

_FORM = '{"strokes": [[[x, y], ...], ...], "text": ...}'


class InkLine(NamedTuple):
    """One item of a file: its ink, its text if any, all its other keys, and its line, from 1."""

    ink: Ink
    text: str | None
    extra: dict[str, Any]
    line: int


def read_ink_lines(
    path: str | Path, on_error: Callable[[DataError], None] | None = None
) -> Iterator[InkLine]:
    r"""Read a file of JSON lines, in UTF-8, compressed by gzip where its name ends in `.gz`.

    Every line is an object; blank lines are passed over:

        {"strokes": [[[x, y], [x, y], ...], ...], "text": "word", "writer": "w7"}

    A stroke is a list of points in writing order, from pen down to pen up. A point is [x, y],
    [x, y, pressure] or [x, y, pressure, time]; with "columns": ["x", "y", "time"] in the object
    it is [x, y, time]. An object {"x": 1, "y": 2, "p": 0.5, "t": 80} will do as well. The y axis
    points downwards. "text" may be absent; all other keys are handed on.

    Args:
        path: the file.
        on_error: called with the error of each line that can't be used, and reading goes on;
            None raises it.

    Raises:
        DataError: the file is missing, damaged or not UTF-8; or, naming the line, it is not JSON,
            or its ink can't be used.
    """
    path = Path(path)
    for number, text in _lines(path):
        try:
            yield _item(text, number)
        except DataError as error:
            named = DataError(f"{path}:{number}: {error}")
            if on_error is None:
                raise named from error
            on_error(named)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    check_exists(path)
    number = 0
    try:
        with _opened(path) as file:
            while line := file.readline(_LONGEST):
                number += 1
                if len(line) >= _LONGEST:
                    raise DataError(
                        f"{path}:{number}: a line of more than {_LONGEST:,} characters; put one "
                        "item on each line."
                    )
                if line.strip():
                    yield number, line
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}:{number + 1}: is not UTF-8 text (byte 0x{error.object[error.start]:02x}); "
            f"give JSON lines: {_FORM}."
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: cannot be read after line {number} ({error}); copy it again, and name "
            "compressed files .gz."
        ) from error


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return path.open(encoding="utf-8-sig")


def _item(text: str, number: int) -> InkLine:
    try:
        item = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"is not JSON ({error}); each line is {_FORM}.") from error
    if not isinstance(item, dict):
        raise DataError(f"is a JSON {type(item).__name__}, not an object; each line is {_FORM}.")
    label = item.pop("text", None)
    if not isinstance(label, str | None):
        raise DataError(f'"text" is {_shown(label)}; give a string, or leave it out.')
    ink = ink_from_json(item.pop("strokes", None), item.pop("columns", None))
    return InkLine(ink, label, item, number)


def ink_from_json(strokes: object, columns: object = None) -> Ink:
    """The ink of strokes as `read_ink_lines` finds them in an object; DataError where it can't be.

    >>> ink_from_json([[[0, 0, 0.5], [2, 1, 0.7]]]).columns
    ('x', 'y', 'pressure')
    """
    if not isinstance(strokes, list):
        given = "is missing" if strokes is None else f"is {_shown(strokes)}"
        raise DataError(f'"strokes" {given}; give a list of strokes: {_FORM}.')
    if not all(isinstance(stroke, list) for stroke in strokes):
        raise DataError(
            f'"strokes" holds {_shown(next(s for s in strokes if not isinstance(s, list)))}; a '
            "stroke is a list of points [[x, y], ...]."
        )
    pairs = [_stroke(stroke, number) for number, stroke in enumerate(strokes, 1)]
    names = _columns({found for _, found in pairs if found}, columns)
    return ink_of([points for points, _ in pairs], names)


def _stroke(stroke: list[Any], number: int) -> tuple[Points, tuple[str, ...]]:
    """The points of one stroke, and the columns that they seem to have; none where it is empty."""
    if not stroke:
        return np.empty((0, 2)), ()
    if isinstance(stroke[0], dict):
        return _from_objects(stroke, number)
    if not all(isinstance(point, list) and 2 <= len(point) <= 4 for point in stroke):
        raise DataError(
            f"stroke {number} holds {_shown(next(p for p in stroke if not _is_point(p)))}; a point "
            'is [x, y], [x, y, pressure], [x, y, pressure, time] or {"x": x, "y": y}, and a '
            "stroke a list of points."
        )
    width = len(stroke[0])
    return _numbers(stroke, number, width), _BY_WIDTH[width]


def _is_point(point: object) -> bool:
    return isinstance(point, list) and 2 <= len(point) <= 4


def _from_objects(stroke: list[Any], number: int) -> tuple[Points, tuple[str, ...]]:
    names = tuple(_KEYS[key] for key in stroke[0] if key in _KEYS)
    columns = next((found for found in COLUMNS if sorted(found) == sorted(names)), None)
    if columns is None:
        raise DataError(
            f"stroke {number} holds a point with the keys {', '.join(map(str, stroke[0]))}; give "
            "x and y, and p and t where known."
        )
    keys = {_KEYS[key]: key for key in stroke[0] if key in _KEYS}
    try:
        rows = [[point[keys[name]] for name in columns] for point in stroke]
    except (KeyError, TypeError) as error:
        raise DataError(
            f"stroke {number} mixes points of different keys ({error}); give all the same."
        ) from error
    return _numbers(rows, number, len(columns)), columns


def _numbers(rows: list[Any], number: int, width: int) -> Points:
    wrong = next((row for row in rows if len(row) != width), None)
    if wrong is not None:
        raise DataError(
            f"stroke {number} mixes points of {width} and of {len(wrong)} numbers; give all the "
            "same columns."
        )
    kinds = {type(value) for row in rows for value in row}
    if not kinds <= {int, float}:
        odd = next(v for row in rows for v in row if type(v) not in (int, float))
        raise DataError(f"stroke {number} holds {_shown(odd)} in a point; give numbers.")
    try:
        return np.array(rows, dtype=np.float64)
    except OverflowError as error:
        raise DataError(f"stroke {number} holds a number too large for a float.") from error


def _columns(found: set[tuple[str, ...]], given: object) -> tuple[str, ...]:
    """The columns of an ink: those given, which must be as many as its points have."""
    if len(found) > 1:
        kinds = " and ".join(sorted("-".join(columns) for columns in found))
        raise DataError(f"the strokes have different columns ({kinds}); give all the same.")
    seen = next(iter(found), COLUMNS[0])
    if given is None:
        return seen
    columns = tuple(given) if isinstance(given, list) else ()
    if columns not in COLUMNS or len(columns) != len(seen):
        known = ", ".join(json.dumps(columns) for columns in COLUMNS)
        raise DataError(
            f'"columns" is {_shown(given)} and points have {len(seen)} numbers; give one of {known}'
            " of that length."
        )
    return columns


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
