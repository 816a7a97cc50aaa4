"""Tables of one row a series: an id, then values; rows may differ in length."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.tables.columns import Columns
from recurra.data.tables.csv_records import DELIMITERS, records
from recurra.data.tables.observations import Observations
from recurra.data.tables.table import Numbers, Source, Table, open_table
from recurra.errors import DataError

__all__ = ["observe_rows"]

_MISSING = {"", "na", "nan", "n/a", "#n/a", "null", "none"}


def observe_rows(source: Source, columns: Columns) -> tuple[Observations, str]:
    """The observations of such a table, at stamps 1, 2, ..., and the kind of its frame.

    A file may have a header: a first row that begins with the id's name or has texts for values.
    Blanks after a series' last value are no part of it. Raises DataError, naming the row.
    """
    name = Path(source).name.removesuffix(".gz") if isinstance(source, str | Path) else ""
    if Path(name).suffix.lower() in DELIMITERS:
        ids, values, lines = _from_text(Path(source), columns)
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
    seen: dict[Any, int] = {}
    for index, series in enumerate(ids):
        if series is None or series == "":
            raise DataError(f"{title}: {row(index)} has no id; the first cell of a row is its id.")
        if series in seen:
            raise DataError(
                f"{title}: {row(seen[series])} and {row(index)} are both series {series!r}; layout "
                "'rows' has one row a series."
            )
        seen[series] = index
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


def _from_text(path: Path, columns: Columns) -> tuple[list[Any], list[Numbers], list[int]]:
    """Ids, values, and the line that each series stands in."""
    ids: list[Any] = []
    values: list[Numbers] = []
    lines: list[int] = []
    widest = 0
    for number, (line, cells) in enumerate(_records(path)):
        if number == 0 and _is_header(cells, columns):
            continue
        ids.append(cells[0].strip())
        values.append(_trimmed(_numbers(path, line, cells[1:])))
        lines.append(line)
        widest = max(widest, len(cells))
    if widest == 1:
        raise DataError(_no_values(str(path)))
    return ids, values, lines


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    if not path.is_file():
        raise DataError(f"{path}: no such file; give the path of a table.")
    try:
        yield from records(path)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error}); save it as UTF-8 text.") from error


def _is_header(cells: list[str], columns: Columns) -> bool:
    if cells[0].strip() in ("", "id", "unique_id", columns.id):
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


def _numbers(path: Path, line: int, cells: list[str]) -> Numbers:
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


def _trimmed(values: Numbers) -> Numbers:
    """Without missing values at the end; one of them where there are no others."""
    seen = np.flatnonzero(~np.isnan(values))
    if len(seen):
        return values[: seen[-1] + 1]
    return np.full(1, np.nan)
