"""Calendar features: the place of a stamp in its hour, day, week, month and year."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from recurra.data.series.encoding import Features
from recurra.data.series.frequency import Frequency
from recurra.data.series.grid import DAY, MonthGrid, Stamps, in_nanoseconds, weekdays
from recurra.data.series.panel import Panel
from recurra.data.tables.table import Floats, Ints

__all__ = [
    "CalendarTable",
    "calendar_cycles",
    "calendar_features",
    "calendar_names",
    "calendar_table",
    "repeated_cycles",
]

_MINUTE, _HOUR = 60_000_000_000, 3_600_000_000_000


_REPEATS = 2
"""The times that a panel covers a cycle before anything can be learnt of it: once tells the season
from nothing else, and a network extrapolates it wildly. Not tuned."""


def calendar_features(
    stamps: Stamps, frequency: Frequency, cycles: Sequence[str] | None = None
) -> Features:
    """Sine and cosine (n, C) of each cycle named, or each in which the frequency has several steps.

    Cycles are the minute, the hour, the day, the week, the month and the year; for months only the
    year. C is 0 for whole numbers and for years.

    >>> from recurra.data.series.frequency import parse_frequency
    >>> noon = np.array(["2024-01-01 12:00"], dtype="datetime64[ns]")
    >>> calendar_features(noon, parse_frequency("h"))[0, :2].round(3).tolist()
    [0.0, -1.0]
    """
    stamps = in_nanoseconds(stamps)
    cycles = calendar_cycles(frequency) if cycles is None else cycles
    features = np.empty((len(stamps), 2 * len(cycles)), dtype=np.float32)
    for place, cycle in enumerate(cycles):
        angle = 2 * np.pi * _PHASES[cycle](stamps)
        features[:, 2 * place], features[:, 2 * place + 1] = np.sin(angle), np.cos(angle)
    return features


def calendar_names(frequency: Frequency) -> list[str]:
    """The names of the columns of `calendar_features`.

    >>> from recurra.data.series.frequency import parse_frequency
    >>> calendar_names(parse_frequency("MS"))
    ['sin month of year', 'cos month of year']
    """
    return [f"{wave} {cycle}" for cycle in calendar_cycles(frequency) for wave in ("sin", "cos")]


def repeated_cycles(panel: Panel) -> tuple[str, ...]:
    """The cycles that a panel covers at least twice, from its first stamp to its last."""
    there = panel.lengths > 0
    if not there.any() or panel.frequency.whole:
        return ()
    first, last = panel.starts[there].min(), panel.last[there].max()
    span = int(last.astype(np.int64)) - int(first.astype(np.int64))
    span += panel.frequency.grid.nominal
    return tuple(
        cycle for cycle in calendar_cycles(panel.frequency) if span >= _REPEATS * _SPANS[cycle]
    )


def calendar_cycles(frequency: Frequency) -> list[str]:
    """The cycles in which a frequency has several steps."""
    if frequency.whole:
        return []
    step = frequency.grid.nominal
    if isinstance(frequency.grid, MonthGrid):
        return ["month of year"] if step < 180 * DAY else []
    return [cycle for cycle, length in _LENGTHS.items() if 2 * step <= length]


def _within(stamps: Stamps, length: int) -> Floats:
    phase: Floats = stamps.view(np.int64) % length / length
    return phase


def _day_of_month(stamps: Stamps) -> Floats:
    return _share_of(stamps, "M")


def _day_of_year(stamps: Stamps) -> Floats:
    return _share_of(stamps, "Y")


def _share_of(stamps: Stamps, unit: Literal["M", "Y"]) -> Floats:
    """Whole days since the start of that month or year, as a share of its days."""
    period = stamps.astype(f"datetime64[{unit}]")
    after = period + np.timedelta64(1, unit)
    first, end = period.astype("datetime64[D]"), after.astype("datetime64[D]")
    share: Floats = (stamps.astype("datetime64[D]") - first) / (end - first)
    return share


_LENGTHS = {
    "second of minute": _MINUTE,
    "minute of hour": _HOUR,
    "hour of day": DAY,
    "day of week": 7 * DAY,
    "day of month": 30 * DAY,
    "day of year": 365 * DAY,
}
_SPANS = _LENGTHS | {"month of year": 365 * DAY}
"""The lengths of all cycles; those of months are averages."""

_PHASES: dict[str, Callable[[Stamps], Floats]] = {
    "second of minute": lambda stamps: _within(stamps, _MINUTE),
    "minute of hour": lambda stamps: _within(stamps, _HOUR),
    "hour of day": lambda stamps: _within(stamps, DAY),
    "day of week": lambda stamps: weekdays(stamps) / 7,
    "day of month": _day_of_month,
    "day of year": _day_of_year,
    "month of year": lambda stamps: stamps.astype("datetime64[M]").astype(np.int64) % 12 / 12,
}


@dataclass(frozen=True)
class CalendarTable:
    """Features (G, C) of cycles by step of a panel's common grid, and (N,) the first step of each
    series.
    """

    features: Features
    begins: Ints
    cycles: tuple[str, ...]

    def of_stamps(self, stamps: Stamps, frequency: Frequency) -> Features:
        """The features (..., C) of any stamps, in the table or not."""
        if not self.features.shape[1]:
            return np.zeros((*stamps.shape, 0), np.float32)
        features = calendar_features(stamps.ravel(), frequency, self.cycles)
        return features.reshape(*stamps.shape, -1)

    def at(self, series: Ints, rows: Ints) -> Features:
        """The features (..., C) of steps (rows) of series."""
        features: Features = self.features[self.begins[series] + rows]
        return features


def calendar_table(panel: Panel, horizon: int, cycles: Sequence[str]) -> CalendarTable:
    """The table of a panel's series up to `horizon` steps after their ends, of these cycles.

    Series between the steps of one another (at half past, say) have a part each.
    """
    begins, cycles = np.zeros(len(panel), np.int64), tuple(cycles)
    if not cycles or not len(panel):
        most = int(panel.lengths.max(initial=0)) + horizon
        return CalendarTable(np.zeros((most, 2 * len(cycles)), np.float32), begins, cycles)
    parts, size, waiting = [], 0, np.arange(len(panel))
    while len(waiting):
        first = np.array([panel.starts[waiting].min()])
        steps = panel.frequency.positions(panel.starts[waiting], first.repeat(len(waiting)))
        together = waiting[steps >= 0]
        begins[together] = size + steps[steps >= 0]
        length = int((steps[steps >= 0] + panel.lengths[together]).max()) + horizon
        stamps = np.concatenate([first, panel.frequency.after(first, length - 1)[0]])
        parts.append(calendar_features(stamps, panel.frequency, cycles))
        size, waiting = size + length, waiting[steps < 0]
    return CalendarTable(np.concatenate(parts), begins, cycles)
