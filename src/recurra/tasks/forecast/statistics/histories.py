"""Histories of many windows as one matrix, aligned at their ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Histories", "Ints", "Mask", "Outlook", "Vector", "aligned"]

Vector = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, eq=False)
class Histories:
    """W histories of at most T steps: `values` (T, W) end at the origin, NaN where missing.

    `starts` (W,) is the row of each one's first known value, T without any. `phases` (T,) is the
    place of each row in the season, the same for all: the step after the origin has phase 0.
    """

    values: Vector
    starts: Ints
    season: int

    @property
    def phases(self) -> Ints:
        """(T,) the place of each row in the season; the step after the origin has 0."""
        return np.arange(-len(self.values), 0) % self.season

    @property
    def counts(self) -> Ints:
        """(W,) the number of known values."""
        known: Ints = np.isfinite(self.values).sum(0)
        return known

    def part(self, low: int, high: int) -> "Histories":
        """The windows from `low` to `high`, without leading rows that none of them has."""
        starts = self.starts[low:high]
        first = min(int(starts.min(initial=len(self.values))), len(self.values) - 1)
        return Histories(self.values[first:, low:high], starts - first, self.season)


@dataclass(frozen=True, eq=False)
class Outlook:
    """Forecasts of W windows: the points (W, H) and their standard deviations (W, H)."""

    point: Vector
    deviation: Vector


def aligned(histories: Sequence[Vector], season: int, most: int) -> Histories:
    """The last `most` steps of each history (n,), aligned at their ends.

    >>> aligned([np.array([1.0, 2.0]), np.array([3.0])], season=1, most=9).values
    array([[ 1., nan],
           [ 2.,  3.]])
    """
    steps = max(1, min(most, max((len(history) for history in histories), default=1)))
    values = np.full((steps, len(histories)), np.nan)
    for window, history in enumerate(histories):
        tail = history[-steps:]
        values[steps - len(tail) :, window] = tail
    seen = np.isfinite(values)
    starts = np.where(seen.any(0), seen.argmax(0), steps)
    return Histories(values, starts, season)
