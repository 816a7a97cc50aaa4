"""Where a stamp stands in the hour, the day, the week, the month and the year."""

from collections.abc import Callable

import numpy as np

from recurra.data.series.covariates import Floats
from recurra.data.series.frequency import Frequency
from recurra.data.series.grid import DAY, Months, Stamps, in_nanoseconds, weekdays
from recurra.data.tables.table import Numbers

__all__ = ["calendar_features", "calendar_names"]

_MINUTE, _HOUR = 60_000_000_000, 3_600_000_000_000


def calendar_features(stamps: Stamps, frequency: Frequency) -> Floats:
    """Sine and cosine (n, C) of each cycle in which the frequency has several steps.

    Cycles are the minute, the hour, the day, the week, the month and the year; of months only the
    year. C is 0 for whole numbers and for years.

    >>> from recurra.data.series.frequency import parse_frequency
    >>> noon = np.array(["2024-01-01 12:00"], dtype="datetime64[ns]")
    >>> calendar_features(noon, parse_frequency("h"))[0, :2].round(3).tolist()
    [0.0, -1.0]
    """
    stamps = in_nanoseconds(stamps)
    features = np.empty((len(stamps), 2 * len(_cycles(frequency))), dtype=np.float32)
    for place, cycle in enumerate(_cycles(frequency)):
        angle = 2 * np.pi * _PHASES[cycle](stamps)
        features[:, 2 * place], features[:, 2 * place + 1] = np.sin(angle), np.cos(angle)
    return features


def calendar_names(frequency: Frequency) -> list[str]:
    """What the columns of `calendar_features` are called.

    >>> from recurra.data.series.frequency import parse_frequency
    >>> calendar_names(parse_frequency("MS"))
    ['sin month of year', 'cos month of year']
    """
    return [f"{wave} {cycle}" for cycle in _cycles(frequency) for wave in ("sin", "cos")]


def _cycles(frequency: Frequency) -> list[str]:
    if frequency.whole:
        return []
    step = frequency.grid.nominal
    if isinstance(frequency.grid, Months):
        return ["month of year"] if step < 180 * DAY else []
    return [cycle for cycle, length in _LENGTHS.items() if 2 * step <= length]


def _within(stamps: Stamps, length: int) -> Numbers:
    phase: Numbers = stamps.view(np.int64) % length / length
    return phase


def _day_of_month(stamps: Stamps) -> Numbers:
    return _share_of(stamps, "datetime64[M]")


def _day_of_year(stamps: Stamps) -> Numbers:
    return _share_of(stamps, "datetime64[Y]")


def _share_of(stamps: Stamps, unit: str) -> Numbers:
    """Whole days since that month or year began, as a share of its days."""
    period = stamps.astype(unit)
    first, end = period.astype("datetime64[D]"), (period + 1).astype("datetime64[D]")
    share: Numbers = (stamps.astype("datetime64[D]") - first) / (end - first)
    return share


_LENGTHS = {
    "second of minute": _MINUTE,
    "minute of hour": _HOUR,
    "hour of day": DAY,
    "day of week": 7 * DAY,
    "day of month": 30 * DAY,
    "day of year": 365 * DAY,
}
_PHASES: dict[str, Callable[[Stamps], Numbers]] = {
    "second of minute": lambda stamps: _within(stamps, _MINUTE),
    "minute of hour": lambda stamps: _within(stamps, _HOUR),
    "hour of day": lambda stamps: _within(stamps, DAY),
    "day of week": lambda stamps: weekdays(stamps) / 7,
    "day of month": _day_of_month,
    "day of year": _day_of_year,
    "month of year": lambda stamps: stamps.astype("datetime64[M]").astype(np.int64) % 12 / 12,
}
