"""Observations of a table in any of its layouts: series, stamp, value and row of each."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data import check_exists
from recurra.data.series.grid import Stamps
from recurra.data.tables.columns import TableColumns, read_stamps, show_stamp
from recurra.data.tables.table import (
    DELIMITERS,
    DataTable,
    Floats,
    Ints,
    TableSource,
    csv_records,
    open_table,
)
from recurra.errors import DataError

__all__ = ["Observations", "observe", "observe_rows", "series_of"]

_MISSING = {"", "na", "nan", "n/a", "#n/a", "null", "none"}


@dataclass(frozen=True, eq=False, kw_only=True)
class Observations:
    """M values of N series, in any order.

    Attributes:
        ids: the names of the series, by first appearance.
        codes, stamps, y, rows: for each value (M,) its series, stamp, itself (NaN: missing) and
            the row of the table that it stands in.
        name, row: the table and one of its rows, as messages call them.
    """

    ids: list[Any]
    codes: Ints
    stamps: Stamps
    y: Floats
    rows: Ints
    name: str
    row: Callable[[int], str]

    def where(self, index: int) -> str:
        """Table, row and series of a value, as a message begins."""
        series = self.ids[int(self.codes[index])]
        return f"{self.name}: {self.row(int(self.rows[index]))} (series {series!r})"

    def check(self) -> None:
        """DataError where a value is infinite."""
        infinite = np.flatnonzero(np.isinf(self.y))
        if len(infinite):
            index = int(infinite[0])
            raise DataError(
                f"{self.where(index)} is {self.y[index]} at {show_stamp(self.stamps[index])}; "
                "values are finite numbers, or empty where they are missing."
            )


def observe(table: DataTable, columns: TableColumns) -> Observations:
    """The observations of a long or wide table; DataError names what can't be read."""
    observations = _long(table, columns) if columns.layout == "long" else _wide(table, columns)
    observations.check()
    return observations


def series_of(table: DataTable, name: str) -> tuple[list[Any], Ints]:
    """The series of a table by first appearance, and the index of each row's.

    Texts of a file that are plain whole numbers become numbers; "007" stays text.
    """
    ids, codes = table.codes(name)
    table.refuse_missing(codes < 0, name)
    if table.from_file and all(_is_plain_integer(i) for i in ids):
        ids = [int(i) for i in ids]
    return ids, codes


def _is_plain_integer(value: Any) -> bool:
    return (
        isinstance(value, str) and value.isascii() and value.isdigit() and str(int(value)) == value
    )


def _long(table: DataTable, columns: TableColumns) -> Observations:
    """Each series begins with its first value, unless it has none."""
    ids, codes = series_of(table, columns.id)
    stamps, y = read_stamps(table, columns.time), table.numbers(columns.target)
    begun = _begun(codes, stamps, y, len(ids))
    return Observations(
        ids=ids,
        codes=codes[begun],
        stamps=stamps[begun],
        y=y[begun],
        rows=np.flatnonzero(begun),
        name=table.name,
        row=table.row,
    )


def _begun(codes: Ints, stamps: Stamps, y: Floats, count: int) -> np.ndarray[Any, Any]:
    """The rows from the first value of their series on, and all of a series without a value."""
    seen, places = ~np.isnan(y), stamps.view(np.int64)
    first = np.full(count, np.iinfo(np.int64).min)
    first[codes[seen]] = np.iinfo(np.int64).max
    np.minimum.at(first, codes[seen], places[seen])
    begun: np.ndarray[Any, Any] = places >= first[codes]
    return begun


def _wide(table: DataTable, columns: TableColumns) -> Observations:
    """Each series begins with its first value; later missing ones stay."""
    ids = [name for name in table.columns if name not in columns.roles]
    if not ids:
        raise DataError(
            f"{table.name}: has no column beside {', '.join(columns.roles)}; layout 'wide' takes "
            "each other column as a series."
        )
    stamps = read_stamps(table, columns.time) if columns.time else np.arange(1, len(table) + 1)
    order = np.argsort(stamps, kind="stable")
    stamps, values = stamps[order], np.stack([table.numbers(name)[order] for name in ids])
    seen = ~np.isnan(values)
    first = np.where(seen.any(axis=1), seen.argmax(axis=1), 0)
    codes, places = np.nonzero(np.arange(len(table)) >= first[:, None])
    return Observations(
        ids=ids,
        codes=codes,
        stamps=stamps[places],
        y=values[codes, places],
        rows=order[places],
        name=table.name,
        row=table.row,
    )


# --- One row a series: an id, then values; rows may differ in length


def observe_rows(source: TableSource, columns: TableColumns) -> tuple[Observations, str]:
    """The observations of a table in layout "rows", at stamps 1, 2, ..., and its kind of frame.

    A file may have a header: a first row that begins with the id's name or has texts for values.
    Blanks after the last value of a series are ignored. Raises DataError, naming the row.
    """
    path = Path(source) if isinstance(source, str | Path) else None
    if path is not None and Path(path.name.removesuffix(".gz")).suffix.lower() in DELIMITERS:
        ids, values, lines = _from_text(path, columns)
        title, kind, row = str(source), "pandas", lambda index: f"row {lines[index]}"
    else:
        table = open_table(source)
        ids, values = _from_table(table)
        title, kind, row = table.name, table.kind, table.row
    _check_ids(ids, title, row)
    lengths = np.array([len(v) for v in values])
    codes = np.repeat(np.arange(len(ids)), lengths)
    starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    observations = Observations(
        ids=ids,
        codes=codes,
        stamps=np.arange(len(codes)) - starts + 1,
        y=np.concatenate(values),
        rows=codes,
        name=title,
        row=row,
    )
    observations.check()
    return observations, kind


def _check_ids(ids: list[Any], title: str, row: Callable[[int], str]) -> None:
    first_rows: dict[Any, int] = {}
    for index, series in enumerate(ids):
        if series is None or series == "":
            raise DataError(f"{title}: {row(index)} has no id; the first cell of a row is its id.")
        if series in first_rows:
            raise DataError(
                f"{title}: {row(first_rows[series])} and {row(index)} are both series {series!r}; "
                "layout 'rows' has one row a series."
            )
        first_rows[series] = index
    if not ids:
        raise DataError(f"{title}: has no rows; give it at least one series.")


def _from_table(table: DataTable) -> tuple[list[Any], list[Floats]]:
    first, *rest = table.columns
    distinct, codes = table.codes(first)
    if not rest:
        raise DataError(_no_values(table.name))
    values = np.stack([table.numbers(name) for name in rest], axis=1)
    ids = [distinct[code] if code >= 0 else None for code in codes]
    return ids, [_without_blank_end(row) for row in values]


def _no_values(name: str) -> str:
    return f"{name}: has ids and no values; layout 'rows' has a series' values beside its id."


def _from_text(path: Path, columns: TableColumns) -> tuple[list[Any], list[Floats], list[int]]:
    """Ids, values, and the line of each series."""
    ids: list[Any] = []
    values: list[Floats] = []
    lines: list[int] = []
    widest = 0
    for number, (line, cells) in enumerate(_read_records(path)):
        if number == 0 and _is_header(cells, columns):
            continue
        ids.append(cells[0].strip())
        values.append(_without_blank_end(_numbers(path, line, cells[1:])))
        lines.append(line)
        widest = max(widest, len(cells))
    if widest == 1:
        raise DataError(_no_values(str(path)))
    return ids, values, lines


def _read_records(path: Path) -> Iterator[tuple[int, list[str]]]:
    check_exists(path)
    try:
        yield from csv_records(path)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error}); save it as UTF-8 text.") from error


def _is_header(cells: list[str], columns: TableColumns) -> bool:
    if cells[0].strip() in ("", "id", "unique_id", columns.id):
        return True
    return any(_number(cell) is None for cell in cells[1:])


def _number(cell: str) -> float | None:
    """NaN for a mark of a missing value; None for any other text that is not a number."""
    if cell.strip().lower() in _MISSING:
        return float("nan")
    try:
        return float(cell)
    except ValueError:
        return None


def _numbers(path: Path, line: int, cells: list[str]) -> Floats:
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError:
        values = [_number(cell) for cell in cells]
    if None in values:
        column = values.index(None)
        raise DataError(
            f"{path}: row {line}, column {column + 2} has {cells[column]!r}, where a number is "
            "needed; write numbers with a point, and leave missing ones empty."
        )
    return np.array(values, dtype=np.float64)


def _without_blank_end(values: Floats) -> Floats:
    """Values up to the last one that is not missing; one NaN where all are."""
    present = np.flatnonzero(~np.isnan(values))
    if len(present):
        return values[: present[-1] + 1]
    return np.full(1, np.nan)
