"""Frequencies: pandas' names for steps in time, their seasons, and inference from stamps."""

import difflib
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recurra.data.series.grid import (
    DAY,
    BusinessDayGrid,
    EvenGrid,
    MonthGrid,
    Stamps,
    Steps,
    TimeGrid,
    day_of_month,
    in_nanoseconds,
    weekdays,
)
from recurra.data.tables.table import load_pandas
from recurra.errors import ConfigError, DataError

__all__ = ["Frequency", "infer_frequency", "parse_frequency"]

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
    "D": DAY,
    "W": 7 * DAY,
}
_PERIODS = {"M": 1, "Q": 3, "Y": 12}
_MONTHLY = [f"{business}{p}{end}" for business in ("", "B") for p in _PERIODS for end in "SE"]
_WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_YEAR = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_LATEST = 0.998 * np.iinfo(np.int64).max


@dataclass(frozen=True)
class Frequency:
    """The step between the stamps of a series; frequencies of one name are equal.

    Attributes:
        name: pandas' alias ("h", "15min", "D", "B", "W-SUN", "MS"), or a whole number as text
            where stamps are whole numbers.
        season: steps in the natural season: 24 for hours, 7 for days, 12 for months.
    """

    name: str
    season: int = field(compare=False)
    grid: TimeGrid = field(compare=False, repr=False)

    @property
    def whole(self) -> bool:
        """True where stamps are whole numbers."""
        return isinstance(self.grid, EvenGrid) and self.grid.whole

    def shift(self, stamps: Stamps, by: Steps | int) -> Stamps:
        """The stamps that many steps later, or earlier where negative; the two broadcast.

        Raises DataError for dates outside the years 1678 to 2261, the range of nanoseconds.
        """
        stamps, by = in_nanoseconds(stamps), np.asarray(by, dtype=np.int64)
        if stamps.size and by.size and not self.whole:
            ends = stamps.view(np.int64) + by * float(self.grid.nominal)
            if np.abs(ends).max() > _LATEST:
                raise DataError(
                    f"{int(np.abs(by).max()):,} steps of {self.name!r} from {stamps.max()} leave "
                    "the years 1678 to 2261, the range of stamps; use fewer steps."
                )
        return self.grid.shift(stamps, by)

    def after(self, last: Stamps, steps: int) -> Stamps:
        """The stamps that follow the last ones (N,), as (N, steps).

        >>> last = np.array(["2024-01-31"], "datetime64[ns]")
        >>> parse_frequency("ME").after(last, 2).astype("datetime64[D]")
        array([['2024-02-29', '2024-03-31']], dtype='datetime64[D]')
        """
        return self.shift(last[:, None], np.arange(1, steps + 1))

    def positions(self, stamps: Stamps, starts: Stamps) -> Steps:
        """Steps (M,) of each stamp from its start; -1 where it is off the grid or before it."""
        return self.grid.positions(in_nanoseconds(stamps), in_nanoseconds(starts))

    def elapsed(self, stamps: Stamps) -> Steps:
        """Whole steps (M,) from the earliest of the stamps to each, on its grid or off it.

        >>> stamps = np.array(["2024-01-01T00", "2024-01-01T05"], "datetime64[ns]")
        >>> parse_frequency("2h").elapsed(stamps)
        array([0, 2])
        """
        stamps = in_nanoseconds(stamps)
        first = np.full(stamps.shape, stamps.min())
        count: Steps = (stamps - first).astype(np.int64) // self.grid.nominal
        # A nominal step is an average: months and weeks of working days differ from it.
        while (late := self.shift(first, count) > stamps).any():
            count = count - late
        while (early := self.shift(first, count + 1) <= stamps).any():
            count = count + early
        return count


def parse_frequency(text: str | int) -> Frequency:
    """The frequency of an alias of pandas, or of a whole number.

    "W", "QS" and "YS" without a day or a month leave it open; "W-SUN" and "QS-FEB" hold the data to
    it. Raises ConfigError for any other text, MissingExtra for an alias where pandas is absent.

    >>> parse_frequency("60min").name, parse_frequency("15min").season, parse_frequency(1).whole
    ('h', 96, True)
    """
    text = str(text)
    if text.isascii() and text.isdigit() and int(text):
        return Frequency(str(int(text)), 1, EvenGrid(int(text), whole=True))
    offset = _offset_of(text)
    unit, _, anchor = offset.base.freqstr.partition("-") if offset is not None else ("", "", "")
    anchor = anchor if "-" in text else ""  # pandas completes "W" to "W-SUN"
    count = 0 if offset is None else offset.n
    if unit in _UNITS:
        return _even(count * _UNITS[unit], _WEEKDAYS.index(anchor) if anchor else None)
    if unit == "B":
        season = 5 // count if 5 % count == 0 else 1
        return Frequency(_numbered(count, "B"), season, BusinessDayGrid(count))
    if unit in _MONTHLY:
        months = count * _PERIODS[unit.removeprefix("B")[0]]
        return _monthly(months, unit, _YEAR.index(anchor) if anchor else None)
    raise _unknown(text)


_GONE = frozenset({"H", "T", "S", "L", "U", "N", "BH", "CBH"})
"""Aliases of pandas 2 that pandas 3 has no more."""


def _offset_of(text: str) -> Any:
    """pandas' offset of a positive number of steps; None for any other text."""
    if text.lstrip("0123456789") in _GONE:
        return None
    pandas = load_pandas("Reading a frequency")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of aliases that are deprecated
        try:
            offset = pandas.tseries.frequencies.to_offset(text)
        except ValueError:
            return None
    return offset if offset is not None and offset.n > 0 else None


def _unknown(text: str) -> ConfigError:
    aliases = [*_UNITS, "B", *_MONTHLY]
    words = {"hour": "h", "day": "D", "dai": "D", "week": "W", "month": "MS", "quarter": "QS"}
    words |= {"year": "YS", "annual": "YS", "minute": "min", "second": "s", "business": "B"}
    near = [alias for word, alias in words.items() if word in text.lower()]
    lower = {alias.lower(): alias for alias in aliases}
    name = text.lower().lstrip("0123456789 ")
    near += [lower[n] for n in difflib.get_close_matches(name, lower, 2)]
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return ConfigError(
        f"freq={text!r} is not a frequency.{hint} Give one of {', '.join(aliases)}, with a number "
        "before it (15min) or a day or month after it (W-SUN, QS-FEB), or 1 where stamps are whole "
        "numbers."
    )


def _numbered(count: int, unit: str) -> str:
    return unit if count == 1 else f"{count}{unit}"


def _even(length: int, weekday: int | None) -> Frequency:
    """Steps of that many nanoseconds, named by the largest unit that divides them."""
    unit = max((u for u in _UNITS if length % _UNITS[u] == 0), key=lambda u: _UNITS[u])
    name = _numbered(length // _UNITS[unit], unit)
    name += f"-{_WEEKDAYS[weekday]}" if weekday is not None else ""
    return Frequency(name, _season(length), EvenGrid(length, weekday=weekday))


def _season(length: int) -> int:
    """Steps in the shortest natural cycle that has several of them, 1 without such a cycle."""
    second, minute, hour = _UNITS["s"], _UNITS["min"], _UNITS["h"]
    if length % (7 * DAY) == 0:
        weeks = length // (7 * DAY)
        return 52 // weeks if 52 % weeks == 0 else 1
    bounds = ((second, minute), (minute, hour), (hour, DAY), (DAY - 1, DAY), (DAY, 7 * DAY))
    cycle = next((cycle for shortest, cycle in bounds if length <= shortest), length)
    return cycle // length if length >= second and cycle % length == 0 else 1


def _monthly(count: int, unit: str, anchor: int | None) -> Frequency:
    day = ("B" if unit.startswith("B") else "") + ("MS" if unit.endswith("S") else "ME")
    period = next(p for p in (12, 3, 1) if count % p == 0)
    family = day.replace("M", {12: "Y", 3: "Q", 1: "M"}[period])
    name = _numbered(count // period, family) + (f"-{_YEAR[anchor]}" if anchor is not None else "")
    phase = (anchor % period, period) if anchor is not None else None
    return Frequency(name, 12 // count if 12 % count == 0 else 1, MonthGrid(count, day, phase))


def infer_frequency(stamps: Stamps, offsets: Steps) -> Frequency:
    """The frequency of series laid end to end: series n has stamps offsets[n]:offsets[n+1], sorted.

    It is the step between at least half of all neighbours, so gaps, which pandas.infer_freq
    refuses, don't disturb it. Raises DataError where no series has two stamps, or no step is that
    common.
    """
    stamps, within = in_nanoseconds(stamps), np.ones(len(stamps), dtype=bool)
    within[offsets[:-1][offsets[:-1] < len(stamps)]] = False
    steps = _differences(stamps.view(np.int64), within)
    if stamps.dtype.kind != "M":
        return parse_frequency(_commonest(steps))
    if len(steps) and steps.min() >= 27 * DAY:
        monthly = _infer_monthly(stamps, within)
        if monthly is not None:
            return monthly
    step = _commonest(steps)
    if step % DAY:
        return _even(step, None)
    days = weekdays(stamps)
    if step == DAY and days.max() < 5 and (steps == 3 * DAY).any():
        return parse_frequency("B")
    return _even(step, int(days[0]) if step % (7 * DAY) == 0 and np.ptp(days) == 0 else None)


def _differences(values: Steps, within: Stamps) -> Steps:
    differences: Steps = (values[1:] - values[:-1])[within[1:]]
    return differences


def _commonest(steps: Steps) -> int:
    values, counts = np.unique(steps, return_counts=True)
    if not len(values):
        raise DataError(
            "the frequency can't be inferred, since no series has two stamps; give freq ('h' or "
            "'D', say)."
        )
    if 2 * counts.max() < len(steps):
        raise DataError(
            f"the frequency can't be inferred, since of {len(steps):,} steps between stamps at "
            f"most {counts.max():,} are of one length; give freq ('h' or 'D', say), or correct the "
            "stamps."
        )
    return int(values[counts.argmax()])


def _infer_monthly(stamps: Stamps, within: Stamps) -> Frequency | None:
    """A frequency of months where every stamp is on the same kind of day of its month."""
    months, days = stamps.astype("datetime64[M]"), stamps.astype("datetime64[D]")
    kinds = ("MS", "ME", "BMS", "BME")
    day = next((kind for kind in kinds if (day_of_month(months, kind) == days).all()), None)
    if day is None:
        return None
    count = _commonest(_differences(months.astype(np.int64), within))
    period = next(p for p in (12, 3, 1) if count % p == 0)
    phases = months.astype(np.int64) % period
    usual = 0 if day.endswith("S") else period - 1
    anchor = None if np.ptp(phases) or phases[0] == usual else int(phases[0])
    return _monthly(count, day, anchor)
