"""Grids of time: arithmetic on stamps, in whole arrays of numpy."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

__all__ = [
    "DAY",
    "BusinessDayGrid",
    "EvenGrid",
    "MonthGrid",
    "Stamps",
    "Steps",
    "TimeGrid",
    "day_of_month",
    "in_nanoseconds",
    "weekdays",
]

Stamps = np.ndarray[Any, np.dtype[Any]]
"""datetime64[ns], or int64 where stamps are whole numbers."""
Steps = np.ndarray[Any, np.dtype[np.int64]]

DAY = 86_400_000_000_000
"""Nanoseconds."""
_MONTH = 2_629_746_000_000_000  # a twelfth of the Gregorian year


def in_nanoseconds(stamps: Stamps) -> Stamps:
    """Dates of any unit in nanoseconds, the unit of all arithmetic here; numbers unchanged.

    >>> in_nanoseconds(np.array(["2024-01-01"], "datetime64[s]")).dtype
    dtype('<M8[ns]')
    """
    return stamps.astype("datetime64[ns]", copy=False) if stamps.dtype.kind == "M" else stamps


class TimeGrid(Protocol):
    """The unit that a frequency counts in."""

    @property
    def nominal(self) -> int:
        """The average length of a step, in nanoseconds, or in units for whole numbers."""

    def shift(self, stamps: Stamps, by: Steps) -> Stamps:
        """The stamps that many steps later; the two broadcast."""

    def positions(self, stamps: Stamps, starts: Stamps) -> Steps:
        """Steps from the starts; -1 for a stamp off the grid or before its start."""


@dataclass(frozen=True)
class EvenGrid:
    """Steps of equal length: nanoseconds, or units where `whole`; on one weekday if it is given."""

    nominal: int
    whole: bool = False
    weekday: int | None = None

    def shift(self, stamps: Stamps, by: Steps) -> Stamps:
        shifted: Stamps = stamps.view(np.int64) + by * self.nominal
        return shifted if self.whole else shifted.view("datetime64[ns]")

    def positions(self, stamps: Stamps, starts: Stamps) -> Steps:
        steps, rest = np.divmod(stamps.view(np.int64) - starts.view(np.int64), self.nominal)
        off = (rest != 0) | (steps < 0)
        if self.weekday is not None:
            off |= weekdays(stamps) != self.weekday
        steps[off] = -1
        return steps


@dataclass(frozen=True)
class BusinessDayGrid:
    """Days from Monday to Friday, every `count`-th of them."""

    count: int

    @property
    def nominal(self) -> int:
        return DAY * 7 // 5 * self.count

    def shift(self, stamps: Stamps, by: Steps) -> Stamps:
        days, time = _split(stamps)
        shifted: Stamps = np.busday_offset(days, by * self.count, roll="backward") + time
        return shifted

    def positions(self, stamps: Stamps, starts: Stamps) -> Steps:
        days, time = _split(stamps)
        first, start_time = _split(starts)
        steps, rest = np.divmod(np.busday_count(first, days), self.count)
        on = np.is_busday(days) & np.is_busday(first) & (time == start_time)
        steps = steps.astype(np.int64)
        steps[~on | (rest != 0) | (days < first)] = -1
        return steps


@dataclass(frozen=True)
class MonthGrid:
    """Every `count`-th month: its first or last day, or its first or last from Monday to Friday.

    `phase` (month, period) requires months since January to be `month` modulo `period`.
    """

    count: int
    day: str
    phase: tuple[int, int] | None = None

    @property
    def nominal(self) -> int:
        return _MONTH * self.count

    def shift(self, stamps: Stamps, by: Steps) -> Stamps:
        months = stamps.astype("datetime64[M]") + by * self.count
        shifted: Stamps = day_of_month(months, self.day) + _split(stamps)[1]
        return shifted

    def positions(self, stamps: Stamps, starts: Stamps) -> Steps:
        months, first = stamps.astype("datetime64[M]"), starts.astype("datetime64[M]")
        steps, rest = np.divmod((months - first).astype(np.int64), self.count)
        days, time = _split(stamps)
        off = (rest != 0) | (steps < 0) | (time != _split(starts)[1])
        off |= day_of_month(months, self.day) != days
        if self.phase is not None:
            month, period = self.phase
            off |= (months.astype(np.int64) - month) % period != 0
        positions: Steps = np.where(off, -1, steps)
        return positions


def day_of_month(months: Stamps, day: str) -> Stamps:
    """That day of each month (datetime64[M]); `day` is MS, ME, BMS or BME, as in pandas."""
    first = months.astype("datetime64[D]")
    after = months + np.timedelta64(1, "M")
    last = after.astype("datetime64[D]") - np.timedelta64(1, "D")
    if day in ("MS", "ME"):
        ends: Stamps = first if day == "MS" else last
        return ends
    start, roll = (first, "forward") if day == "BMS" else (last, "backward")
    days: Stamps = np.busday_offset(start, 0, roll=roll)  # type: ignore[call-overload]
    return days


def weekdays(stamps: Stamps) -> Steps:
    """0 for Monday to 6 for Sunday."""
    days: Steps = (stamps.astype("datetime64[D]").astype(np.int64) + 3) % 7
    return days


def _split(stamps: Stamps) -> tuple[Stamps, Stamps]:
    """The day, and the time since it began."""
    days = stamps.astype("datetime64[D]")
    return days, stamps - days
