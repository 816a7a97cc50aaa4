"""Many series on one grid of time, as flat arrays."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from recurra.data.series.covariates import Floats, Schema
from recurra.data.series.frequency import Frequency
from recurra.data.series.grid import Stamps
from recurra.data.tables.table import Codes, Numbers
from recurra.errors import DataError

__all__ = ["Frame", "Objects", "Panel"]

Objects = np.ndarray[Any, np.dtype[np.object_]]
Frame = Literal["pandas", "polars"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Panel:
    """N series of M values in all, end to end: series n has rows offsets[n]:offsets[n+1].

    Attributes:
        ids: (N,) what the series are called, as given, by first appearance.
        offsets: (N + 1,) int64.
        starts: (N,) the first stamps, datetime64[ns] or int64.
        y: (M,) float64, NaN where a value is missing; gaps between stamps are filled with it.
        past, future: (M, P) and (M, F) float32, covariates as the schema encodes them.
        static: (N, S) float32.
        frequency, schema: the grid of time, and how columns became numbers.
        times_given: the kind of frame that an answer should have.
    """

    ids: Objects
    offsets: Codes
    starts: Stamps
    y: Numbers
    past: Floats
    future: Floats
    static: Floats
    frequency: Frequency
    schema: Schema
    times_given: Frame = "pandas"

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> Codes:
        """(N,) the rows of each series, filled gaps included."""
        return np.diff(self.offsets)

    @property
    def last(self) -> Stamps:
        """(N,) the last stamps."""
        return self.frequency.shift(self.starts, self.lengths - 1)

    def values(self, n: int) -> Numbers:
        """The values of series n: a view."""
        return self.y[self.offsets[n] : self.offsets[n + 1]]

    def stamps(self, n: int) -> Stamps:
        """The stamps of series n."""
        return self.frequency.shift(self.starts[n : n + 1], np.arange(self.lengths[n]))

    def until(self, ends: Codes) -> "Panel":
        """The first ends[n] rows of each series n."""
        ends = np.asarray(ends)
        if ends.shape != (len(self),) or (ends < 0).any() or (ends > self.lengths).any():
            raise DataError(
                "until: the ends must be one a series, from 0 to its length; panel.lengths says "
                "how long each is."
            )
        return self._cut(np.zeros_like(ends), ends)

    def tail(self, steps: int) -> "Panel":
        """The last rows of each series, so many or all that it has."""
        return self._cut(np.maximum(self.lengths - steps, 0), self.lengths)

    def select(self, indices: Codes) -> "Panel":
        """Those series, in that order; `indices` may also be a mask (N,)."""
        chosen = np.arange(len(self))[indices]
        rows, offsets = _ranges(self.offsets[chosen], self.lengths[chosen])
        ids, starts, static = self.ids[chosen], self.starts[chosen], self.static[chosen]
        return self._with(rows, ids=ids, offsets=offsets, starts=starts, static=static)

    def _cut(self, begins: Codes, ends: Codes) -> "Panel":
        rows, offsets = _ranges(self.offsets[:-1] + begins, ends - begins)
        starts = self.frequency.shift(self.starts, begins)
        return self._with(rows, offsets=offsets, starts=starts)

    def _with(self, rows: Codes, **changed: Any) -> "Panel":
        flat = {name: getattr(self, name)[rows] for name in ("y", "past", "future")}
        return dataclasses.replace(self, **flat, **changed)


def _ranges(begins: Codes, lengths: Codes) -> tuple[Codes, Codes]:
    """The rows begins[n] to begins[n] + lengths[n], end to end, and where each n's begin."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return np.arange(offsets[-1]) + np.repeat(begins - offsets[:-1], lengths), offsets
