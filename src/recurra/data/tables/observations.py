"""Observations of a table in one of its layouts: which series, when, what, and in which row."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.data.series.grid import Stamps
from recurra.data.tables.columns import Columns
from recurra.data.tables.table import Codes, Numbers, Table
from recurra.data.tables.timestamps import read_stamps, show
from recurra.errors import DataError

__all__ = ["Observations", "observe", "series_of"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Observations:
    """M values of N series, in any order.

    Attributes:
        ids: what the series are called, by first appearance.
        codes, stamps, y, rows: for each value (M,) its series, stamp, itself (NaN: missing) and
            the row of the table that it stands in.
        name, row: what the table and one of its rows are called.
    """

    ids: list[Any]
    codes: Codes
    stamps: Stamps
    y: Numbers
    rows: Codes
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
                f"{self.where(index)} is {self.y[index]} at {show(self.stamps[index])}; values are "
                "finite numbers, or empty where they are missing."
            )


def observe(table: Table, columns: Columns) -> Observations:
    """The observations of a long or wide table; DataError names what can't be read."""
    observations = _long(table, columns) if columns.layout == "long" else _wide(table, columns)
    observations.check()
    return observations


def series_of(table: Table, name: str) -> tuple[list[Any], Codes]:
    """The series of a table, by first appearance, and which each row belongs to.

    Texts of a file that are whole numbers as one writes them are numbers, "007" is not one.
    """
    ids, codes = table.codes(name)
    table.refuse_missing(codes < 0, name)
    if table.from_file and all(_is_written_number(i) for i in ids):
        ids = [int(i) for i in ids]
    return ids, codes


def _is_written_number(value: Any) -> bool:
    return (
        isinstance(value, str) and value.isascii() and value.isdigit() and str(int(value)) == value
    )


def _long(table: Table, columns: Columns) -> Observations:
    ids, codes = series_of(table, columns.id)
    return Observations(
        ids=ids,
        codes=codes,
        stamps=read_stamps(table, columns.time),
        y=table.numbers(columns.target),
        rows=np.arange(len(table)),
        name=table.name,
        row=table.row,
    )


def _wide(table: Table, columns: Columns) -> Observations:
    """Each series begins with its first value; later missing ones stay."""
    ids = [name for name in table.columns if name not in columns.named]
    if not ids:
        raise DataError(
            f"{table.name}: has no column beside {', '.join(columns.named)}; layout 'wide' takes "
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
