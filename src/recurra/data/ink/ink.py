"""Ink: the strokes of a pen in writing order, checked once when they are made."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from recurra.errors import DataError

__all__ = ["COLUMNS", "MAX_POINTS", "Box", "Floats", "Ink", "Points", "drawn_ink", "ink_of"]

Points = np.ndarray[Any, np.dtype[np.float64]]
"""Points of one stroke (N, columns), in the order they were written."""

Floats = np.ndarray[Any, np.dtype[np.float32]]

COLUMNS = (("x", "y"), ("x", "y", "pressure"), ("x", "y", "time"), ("x", "y", "pressure", "time"))
"""The columns that points may have."""

MAX_POINTS = 100_000
"""The most points of one ink; a line of text has some hundreds, a page some ten thousands."""

LARGEST = 1e18
"""The largest magnitude of a value; time stamps in nanoseconds stay below it for years."""


class Box(NamedTuple):
    """The smallest box around an ink, in the ink's own units."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """The extent in x."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """The extent in y."""
        return self.bottom - self.top


@dataclass(frozen=True, eq=False)
class Ink:
    """Strokes of a pen in writing order, each an array (N, columns) of float64, N at least 1.

    The y axis points downwards, as on screens and tablets. A stroke of one point is a dot.

    Args:
        strokes: at least one.
        columns: one of `COLUMNS`; pressure and time have any unit, the same in a whole data set.
        notes: remarks of the reader ("2 strokes without points left out").

    Raises:
        DataError: no stroke, an array of another shape, a value that is not finite, or more than
            `MAX_POINTS` points.

    >>> ink = Ink((np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[9.0, 1.0]])))
    >>> ink.points, ink.box.width, ink.has("time")
    (3, 9.0, False)
    """

    strokes: tuple[Points, ...]
    columns: tuple[str, ...] = ("x", "y")
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.columns not in COLUMNS:
            known = ", ".join("-".join(columns) for columns in COLUMNS)
            raise DataError(f"ink with columns {'-'.join(self.columns)}; give one of {known}.")
        if not self.strokes:
            raise DataError("the ink is empty; give at least one stroke of one point.")
        if self.points > MAX_POINTS:
            raise DataError(
                f"the ink has {self.points:,} points, and one item may have {MAX_POINTS:,}; split "
                "it into lines, or leave out every second point."
            )
        for number, stroke in enumerate(self.strokes, 1):
            _check(stroke, number, self.columns)

    @property
    def points(self) -> int:
        """The number of points of all strokes."""
        return sum(map(len, self.strokes))

    @property
    def box(self) -> Box:
        """The smallest box around all points."""
        places = np.concatenate([stroke[:, :2] for stroke in self.strokes])
        return Box(*map(float, (*places.min(axis=0), *places.max(axis=0))))

    def has(self, column: str) -> bool:
        """Whether the points have this column."""
        return column in self.columns

    def with_strokes(self, strokes: Sequence[Points]) -> "Ink":
        """Other strokes with the same columns and notes."""
        return Ink(tuple(strokes), self.columns, self.notes)


def _check(stroke: Points, number: int, columns: tuple[str, ...]) -> None:
    if stroke.ndim != 2 or stroke.shape[1] != len(columns) or stroke.dtype != np.float64:
        raise DataError(
            f"stroke {number} is {stroke.dtype} {stroke.shape}; strokes are float64 (points, "
            f"{len(columns)}): {', '.join(columns)}."
        )
    if not len(stroke):
        raise DataError(f"stroke {number} has no point; leave it out.")
    if not (np.abs(stroke) <= LARGEST).all():
        point, column = np.argwhere(~(np.abs(stroke) <= LARGEST))[0]
        raise DataError(
            f"stroke {number}, point {point + 1}: {columns[column]} is {stroke[point, column]}; "
            f"values must be finite and at most {LARGEST:g}: leave that point out."
        )


def ink_of(
    strokes: Sequence[Points], columns: tuple[str, ...] = ("x", "y"), notes: Sequence[str] = ()
) -> Ink:
    """An ink of the strokes that have points; the others are left out with a note."""
    written = tuple(stroke for stroke in strokes if len(stroke))
    empty = len(strokes) - len(written)
    if empty and written:
        word = "stroke" if empty == 1 else "strokes"
        notes = [*notes, f"{empty} {word} without points left out"]
    return Ink(written, columns, tuple(notes))


def drawn_ink(ink: Ink, height: int = 80) -> Floats:
    """A picture (height, width) of the ink, 0 for black and 1 for white, its strokes 2 pixels wide.

    It is as high as asked for, with a margin; one that would be wider than 2,000 pixels is lower.
    """
    box, margin = ink.box, 4
    scale = min((height - 2 * margin) / max(box.height, 1e-9), 2000 / max(box.width, 1e-9), 1e6)
    rows, columns = (max(1, round(side * scale)) + 2 * margin for side in (box.height, box.width))
    picture = np.ones((rows, columns), np.float32)
    for stroke in ink.strokes:
        at = (stroke[:, :2] - (box.left, box.top)) * scale + margin
        for start, end in zip(at, at[1:] if len(at) > 1 else at, strict=False):
            steps = int(np.abs(end - start).max()) + 2
            x, y = np.linspace(start, end, steps).round().astype(int).T
            for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
                picture[np.clip(y + dy, 0, rows - 1), np.clip(x + dx, 0, columns - 1)] = 0
    return picture
