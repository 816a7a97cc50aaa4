"""Stamps from a column: dates of any kind to datetime64[ns], whole numbers to int64."""

import re
import warnings
from typing import Any

import numpy as np

from recurra.data.series.grid import Stamps
from recurra.data.tables.table import DataTable, load_pandas
from recurra.errors import DataError

__all__ = ["read_stamps", "show_stamp"]

_SLASHED = re.compile(r"\s*(\d{1,2})[./-](\d{1,2})[./-]\d{2,4}")


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
