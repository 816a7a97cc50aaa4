"""Panels: many series on one grid of time as flat arrays, and the schema of their table."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from recurra.data.series.encoding import Encoding, Features
from recurra.data.series.frequency import Frequency
from recurra.data.series.grid import Stamps
from recurra.data.tables.columns import TableColumns
from recurra.data.tables.table import Floats, Ints
from recurra.errors import DataError

__all__ = ["FrameKind", "Panel", "Schema", "SeriesIds"]

SeriesIds = np.ndarray[Any, np.dtype[np.object_]]
FrameKind = Literal["pandas", "polars"]

_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Schema:
    """Roles and encodings of a training table's columns: enough to read another table alike."""

    columns: TableColumns
    frequency: str
    past: tuple[Encoding, ...] = ()
    future: tuple[Encoding, ...] = ()
    static: tuple[Encoding, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The schema as values of JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Schema":
        """The schema of values that `to_json` gave."""
        kinds = {kind: _encodings(values[kind]) for kind in ("past", "future", "static")}
        columns = TableColumns(**values["columns"])
        return cls(columns=columns, frequency=values["frequency"], **kinds)


def _encodings(values: list[dict[str, Any]]) -> tuple[Encoding, ...]:
    def one(value: dict[str, Any]) -> Encoding:
        categories = value["categories"]
        return Encoding(
            **{**value, "categories": None if categories is None else tuple(categories)}
        )

    return tuple(one(value) for value in values)


@dataclass(frozen=True, eq=False, kw_only=True)
class Panel:
    """N series of M values in all, end to end: series n has rows offsets[n]:offsets[n+1].

    Attributes:
        ids: (N,) the names of the series, by first appearance.
        offsets: (N + 1,) int64.
        starts: (N,) the first stamps, datetime64[ns] or int64.
        y: (M,) float64, NaN where a value is missing; gaps between stamps are filled with it.
        past, future: (M, P) and (M, F) float32, covariates as the schema encodes them.
        static: (N, S) float32.
        frequency, schema: the grid of time, and the encodings of the columns.
        frame_kind: the kind of frame that the data came as, and answers should have.
    """

    ids: SeriesIds
    offsets: Ints
    starts: Stamps
    y: Floats
    past: Features
    future: Features
    static: Features
    frequency: Frequency
    schema: Schema
    frame_kind: FrameKind = "pandas"

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> Ints:
        """(N,) the rows of each series, filled gaps included."""
        return np.diff(self.offsets)

    @property
    def last(self) -> Stamps:
        """(N,) the last stamps."""
        return self.frequency.shift(self.starts, self.lengths - 1)

    def values(self, n: int) -> Floats:
        """The values of series n: a view."""
        return self.y[self.offsets[n] : self.offsets[n + 1]]

    def stamps(self, n: int) -> Stamps:
        """The stamps of series n."""
        return self.frequency.shift(self.starts[n : n + 1], np.arange(self.lengths[n]))

    def until(self, ends: Ints) -> "Panel":
        """The first ends[n] rows of each series n."""
        ends = np.asarray(ends)
        if ends.shape != (len(self),) or (ends < 0).any() or (ends > self.lengths).any():
            raise DataError(
                "until: the ends must be one a series, from 0 to its length, which panel.lengths "
                "has."
            )
        return self._cut(np.zeros_like(ends), ends)

    def tail(self, steps: int) -> "Panel":
        """The last `steps` rows of each series, or all where it has fewer."""
        return self._cut(np.maximum(self.lengths - steps, 0), self.lengths)

    def select(self, indices: Ints) -> "Panel":
        """The series of these indices, in their order; `indices` may also be a mask (N,)."""
        chosen = np.arange(len(self))[indices]
        rows, offsets = _ranges(self.offsets[chosen], self.lengths[chosen])
        ids, starts, static = self.ids[chosen], self.starts[chosen], self.static[chosen]
        return self._with(rows, ids=ids, offsets=offsets, starts=starts, static=static)

    def naming(self, chosen: np.ndarray[Any, np.dtype[np.bool_]]) -> str:
        """The series of a mask (N,) in words: "2 series (a, b)"; of many the first five."""
        ids = [str(i) for i in self.ids[chosen][:_NAMED]]
        more = ", ..." if chosen.sum() > _NAMED else ""
        return f"{chosen.sum()} series ({', '.join(ids)}{more})"

    def _cut(self, begins: Ints, ends: Ints) -> "Panel":
        rows, offsets = _ranges(self.offsets[:-1] + begins, ends - begins)
        starts = self.frequency.shift(self.starts, begins)
        return self._with(rows, offsets=offsets, starts=starts)

    def _with(self, rows: Ints, **changed: Any) -> "Panel":
        flat = {name: getattr(self, name)[rows] for name in ("y", "past", "future")}
        return dataclasses.replace(self, **flat, **changed)


def _ranges(begins: Ints, lengths: Ints) -> tuple[Ints, Ints]:
    """The rows begins[n] to begins[n] + lengths[n], end to end, and the offset of each n."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return np.arange(offsets[-1]) + np.repeat(begins - offsets[:-1], lengths), offsets
