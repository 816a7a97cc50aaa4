"""Tables of one row a series: an id, then values; rows may differ in length."""

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from weft.data.columns import Columns
from weft.data.observations import Observations
from weft.data.table import DELIMITERS, Numbers, Source, Table, open_table
from weft.errors import DataError

__all__ = ["observe_rows"]

_MISSING = {"", "na", "nan", "n/a", "#n/a", "null", "none"}


def observe_rows(source: Source, columns: Columns) -> tuple[Observations, str]:
    """The observations of such a table, at stamps 1, 2, ..., and the kind of its frame.

    A file may have a header: a first row that begins with the id's name or has texts for values.
    Blanks after a series' last value are no part of it. Raises DataError, naming the row.
    """
    name = Path(source).name.removesuffix(".gz") if isinstance(source, str | Path) else ""
    if Path(name).suffix.lower() in DELIMITERS:
        ids, values, first = _from_text(Path(source), columns)
        title, kind = str(source), "pandas"
    else:
        table = open_table(source)
        ids, values = _from_table(table)
        title, kind, first = table.name, table.kind, table.first_row
    _check_ids(ids, title, first)
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
        row=lambda index: f"row {index + first}" + ("" if first else " (from 0)"),
    )
    observations.check()
    return observations, kind


def _check_ids(ids: list[Any], title: str, first: int) -> None:
    seen: dict[Any, int] = {}
    for row, series in enumerate(ids, first):
        if series is None or series == "":
            raise DataError(f"{title}: row {row} has no id; the first cell of a row is its id.")
        if series in seen:
            raise DataError(
                f"{title}: rows {seen[series]} and {row} are both series {series!r}; layout 'rows' "
                "has one row a series."
            )
        seen[series] = row
    if not ids:
        raise DataError(f"{title}: has no rows; give it at least one series.")


def _from_table(table: Table) -> tuple[list[Any], list[Numbers]]:
    first, *rest = table.columns
    found, codes = table.codes(first)
    ids = [found[code] if code >= 0 else None for code in codes]
    if not rest:
        raise DataError(_no_values(table.name))
    values = np.stack([table.numbers(name) for name in rest], axis=1)
    return ids, [_trimmed(row) for row in values]


def _no_values(name: str) -> str:
    return f"{name}: has ids and no values; layout 'rows' has a series' values beside its id."


def _from_text(path: Path, columns: Columns) -> tuple[list[Any], list[Numbers], int]:
    ids: list[Any] = []
    values: list[Numbers] = []
    first, widest = 1, 0
    for number, cells in enumerate(_cells(path), 1):
        if number == 1 and _is_header(cells, columns):
            first = 2
        elif cells:
            ids.append(cells[0].strip())
            values.append(_trimmed(_numbers(path, number, cells[1:])))
            widest = max(widest, len(cells))
    if widest == 1:
        raise DataError(_no_values(str(path)))
    return ids, values, first


def _cells(path: Path) -> Iterator[list[str]]:
    if not path.is_file():
        raise DataError(f"{path}: no such file; give the path of a table.")
    delimiter = DELIMITERS[Path(path.name.removesuffix(".gz")).suffix.lower()]
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8-sig", newline="") as text:
            yield from csv.reader(text, delimiter=delimiter)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error}); save it as UTF-8 text.") from error


def _is_header(cells: list[str], columns: Columns) -> bool:
    if not cells or cells[0].strip() in ("", "id", "unique_id", columns.id):
        return True
    return any(_number(cell) is None for cell in cells[1:])


def _number(cell: str) -> float | None:
    """NaN for what stands for missing, None for what is neither that nor a number."""
    if cell.strip().lower() in _MISSING:
        return float("nan")
    try:
        return float(cell)
    except ValueError:
        return None


def _numbers(path: Path, number: int, cells: list[str]) -> Numbers:
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError:
        values = [_number(cell) for cell in cells]
    if None in values:
        column = values.index(None)
        raise DataError(
            f"{path}: row {number}, column {column + 2} has {cells[column]!r}, where a number is "
            "needed; write numbers with a point, and leave missing ones empty."
        )
    return np.array(values, dtype=np.float64)


def _trimmed(values: Numbers) -> Numbers:
    """Without missing values at the end; one of them where there are no others."""
    seen = np.flatnonzero(~np.isnan(values))
    if len(seen):
        return values[: seen[-1] + 1]
    return np.full(1, np.nan)
