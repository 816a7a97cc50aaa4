"""Columns of a table: their roles, and stamps of dates of any kind or whole numbers.

Stamps become datetime64[ns] or int64.
"""

import re
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from recurra.data.series.frequency import parse_frequency
from recurra.data.series.grid import Stamps
from recurra.data.tables.table import DataTable, load_pandas
from recurra.errors import ConfigError, DataError

__all__ = [
    "TableColumns",
    "read_stamps",
    "show_stamp",
]

_SLASHED = re.compile(r"\s*(\d{1,2})[./-](\d{1,2})[./-]\d{2,4}")


TableLayout = Literal["long", "wide", "rows"]


@dataclass(frozen=True, kw_only=True)
class TableColumns:
    """The names of a table's columns by role; ConfigError where they contradict one another.

    Attributes:
        id, time, target: the series, the stamp and the value, in layout "long".
        past: covariates known up to the last observation.
        future: covariates known for the horizon as well.
        static: covariates that don't change within a series.
        layout: "long", one row for each series and stamp; "wide", a time column (none where `time`
            is "": rows are counted from 1) and one column a series, apart from covariates, which
            all series share; "rows", one row a series: its id, then its values, at stamps 1, 2, ...
        freq: the frequency; "": inferred.
    """

    id: str = "unique_id"
    time: str = "ds"
    target: str = "y"
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    layout: TableLayout = "long"
    freq: str = ""

    def __post_init__(self) -> None:
        for name in ("past", "future", "static"):
            value = getattr(self, name)
            if isinstance(value, str):
                raise ConfigError(
                    f"{name}={value!r} is one text; give a tuple of names: {name}=({value!r},)."
                )
            object.__setattr__(self, name, tuple(value))
        object.__setattr__(self, "freq", str(self.freq))
        self._check_layout()
        self._check_names()
        if self.freq and not parse_frequency(self.freq).whole and self.layout == "rows":
            raise ConfigError(
                f"freq={self.freq!r} needs dates, and layout 'rows' has none: its stamps are 1, 2, "
                "...; leave freq out and give the season instead, or use layout 'long'."
            )

    @property
    def roles(self) -> dict[str, str]:
        """The columns that a table of this layout must have, each with its role."""
        own = {"id": self.id, "time": self.time, "target": self.target}
        own = {k: v for k, v in own.items() if self.layout == "long" or (k == "time" and v)}
        roles = {column: role for role, column in own.items()}
        roles |= dict.fromkeys(self.past, "past") | dict.fromkeys(self.future, "future")
        return roles | dict.fromkeys(self.static, "static")

    def _check_layout(self) -> None:
        layouts = get_args(TableLayout)
        if self.layout not in layouts:
            raise ConfigError(f"layout={self.layout!r} is none of {', '.join(layouts)}.")
        if self.layout == "rows" and (self.past or self.future):
            raise ConfigError(
                "layout 'rows' holds values without covariates, so past and future must be empty; "
                "give covariates in layout 'long'."
            )
        if self.layout == "long" and not self.time:
            raise ConfigError(
                "layout 'long' needs a time column; only 'wide' (time='') and 'rows' count rows "
                "instead."
            )

    def _check_names(self) -> None:
        own = [self.id, self.time, self.target] if self.layout == "long" else [self.time]
        names = Counter([*own, *self.past, *self.future, *self.static])
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise ConfigError(
                f"column {twice[0]!r} is named for two purposes; id, time, target, past, future "
                "and static each take columns of their own."
            )


def read_stamps(table: DataTable, name: Any) -> Stamps:
    """The stamps of a column; DataError names the first row that has none or can't be read."""
    column = table.column(name)
    table.refuse_missing(column.is_null().to_numpy(zero_copy_only=False), name)
    kind = str(column.type)
    if kind.startswith("timestamp") or kind.startswith("date"):
        return _dates(table, name, column)
    if table.is_text(name):
        return _parsed(table, name)
    if kind.startswith(("int", "uint", "double", "float")):
        return _whole(table, name, column)
    raise DataError(
        f"{table.name}: column {name!r} holds {kind}, where stamps are needed; give dates (periods "
        "become them by .dt.to_timestamp()), or whole numbers."
    )


def show_stamp(stamp: Any) -> str:
    """A stamp as messages write it, without the time where it is midnight."""
    if not isinstance(stamp, np.datetime64):
        return str(stamp)
    return str(stamp.astype("datetime64[s]")).replace("T", " ").removesuffix(" 00:00:00")


def _dates(table: DataTable, name: Any, column: Any) -> Stamps:
    zone = getattr(column.type, "tz", None)
    if zone not in (None, "UTC", "+00:00", "Etc/UTC"):
        raise _zoned(table, name, zone)
    dates = column.to_numpy(zero_copy_only=False)
    stamps: Stamps = dates.astype("datetime64[ns]")
    outside = np.flatnonzero(stamps.astype(dates.dtype) != dates)
    if len(outside):
        row = int(outside[0])
        raise _unreadable(table, name, row, dates[row], "is not in 1678 to 2261")
    return stamps


def _whole(table: DataTable, name: Any, column: Any) -> Stamps:
    numbers = column.to_numpy(zero_copy_only=False)
    stamps: Stamps = numbers.astype(np.int64)
    fractional = np.flatnonzero(stamps != numbers)
    if len(fractional):
        row = int(fractional[0])
        raise _unreadable(table, name, row, float(numbers[row]), "is not a whole number")
    if _look_like_dates(stamps):
        raise DataError(
            f"{table.name}: column {name!r} has numbers like {stamps[0]}, which look like dates; "
            "write them as dates (2024-01-31)."
        )
    return stamps


def _look_like_dates(stamps: Stamps) -> bool:
    """True where all could be days as YYYYMMDD, or months of several years as YYYYMM."""
    days = stamps % 100
    months = stamps if stamps.max() < 10**6 else stamps // 100
    years, month = np.divmod(months, 100)
    dates = (years >= 1678) & (years <= 2261) & (month >= 1) & (month <= 12)
    if months is stamps:
        return bool(dates.all() and np.ptp(years) > 0)
    return bool((dates & (days >= 1) & (days <= 31)).all())


def _parsed(table: DataTable, name: Any) -> Stamps:
    """Dates of a column of texts; each distinct text is read once."""
    texts, codes = table.codes(name)
    dates = _to_dates(load_pandas("Reading dates"), table, name, texts)
    wrong = np.flatnonzero(np.isnat(dates))
    if len(wrong):
        row = int(np.flatnonzero(np.isin(codes, wrong))[0])
        raise _unreadable(table, name, row, texts[codes[row]], "can't be read as a date")
    return dates[codes]


def _to_dates(pandas: Any, table: DataTable, name: Any, texts: list[str]) -> Stamps:
    options: dict[str, Any] = {"format": "ISO8601"}
    if any(_SLASHED.match(text) for text in texts[:100]):
        options = {"format": "mixed", "dayfirst": _day_first(table, name, texts)}
    dates = _read_by_pandas(pandas, texts, options)
    if options["format"] == "ISO8601" and dates.isna().any():
        again = _read_by_pandas(pandas, texts, {})
        dates = again if again.isna().sum() < dates.isna().sum() else dates
    zone = getattr(dates.dtype, "tz", "several" if dates.dtype == object else None)
    if zone is not None and str(zone) != "UTC":
        raise _zoned(table, name, zone)
    dates = dates if zone is None else dates.dt.tz_localize(None)
    stamps: Stamps = dates.to_numpy().astype("datetime64[ns]")
    return stamps


def _read_by_pandas(pandas: Any, texts: list[str], options: dict[str, Any]) -> Any:
    """A series of dates, missing where a text is not a date; objects where time zones are mixed."""
    series = pandas.Series(texts, dtype=object)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas reports the formats it guessed
        try:
            return pandas.to_datetime(series, errors="coerce", **options)
        except ValueError:  # pandas 3, of mixed time zones
            return series


def _zoned(table: DataTable, name: Any, zone: Any) -> DataError:
    return DataError(
        f"{table.name}: column {name!r} has time zones ({zone}); convert it to UTC, or drop the "
        "zones, since stamps here have none."
    )


def _day_first(table: DataTable, name: Any, texts: list[str]) -> bool:
    """Decide whether 03/04/2024 is in April, by a date with a day above 12; DataError without."""
    matches = [match for match in map(_SLASHED.match, texts) if match]
    if any(int(match[1]) > 12 for match in matches):
        return True
    if any(int(match[2]) > 12 for match in matches):
        return False
    raise DataError(
        f"{table.name}: column {name!r} has dates like {texts[0]!r}, in which day and month are "
        "ambiguous; write 2024-01-31."
    )


def _unreadable(table: DataTable, name: Any, row: int, value: Any, reason: str) -> DataError:
    value = show_stamp(value) if isinstance(value, np.datetime64) else value
    return DataError(
        f"{table.name}: {table.row(row)}: column {name!r} has {value!r}, which {reason}; give "
        "dates (2024-01-31, 2024-01-31 13:00), or whole numbers."
    )
