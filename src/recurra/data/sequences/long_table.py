"""Series of tables in long form: a row for each step, a column that names the sequence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.sequences.number_cells import to_number
from recurra.data.sequences.series import Series, label_text
from recurra.data.sequences.step_labels import step_texts
from recurra.data.sequences.table_roles import (
    ID_COLUMNS,
    LABEL_COLUMNS,
    TIME_COLUMNS,
    TableRoles,
    id_column,
    label_columns,
)
from recurra.data.tables.columns import read_stamps
from recurra.data.tables.observations import series_of
from recurra.data.tables.table import (
    DELIMITERS,
    DataTable,
    Floats,
    Ints,
    TableSource,
    csv_records,
    open_table,
)
from recurra.data.transcripts.item import Item, UnusableItem
from recurra.data.transcripts.manifest_rows import find_column
from recurra.errors import DataError

__all__ = ["read_long"]


@dataclass(frozen=True)
class _Columns:
    """What a table's columns are: names by role, and the others."""

    id: str | None
    time: str | None
    labels: tuple[str, ...]
    channels: tuple[str, ...]
    others: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Cells:
    """The cells of a table, by row (R, …): numbers, and the texts that stand where one is needed.

    wrong: the text of each (row, channel) that is not a number.
    """

    values: Floats
    wrong: dict[tuple[int, int], str]
    times: Any
    labels: list[str | None] | None
    others: dict[str, list[str | None]]


def read_long(
    source: TableSource, roles: TableRoles, notes: list[str], *, labelled: bool
) -> Iterator[Item | UnusableItem]:
    """The sequences of a table by first appearance, among them those that can't be used.

    source: a .csv, .tsv, .txt or .parquet file, or a data frame. Rows of a sequence may lie apart,
    and are sorted by time; dates become seconds since the sequence's first. Other columns that
    don't change within a sequence are the item's `columns`. `notes` gets remarks.

    Raises DataError where the table can't be read, or lacks a column; `labelled`: one of labels.
    """
    table = _opened(source, roles)
    columns = _columns(table, roles, notes, labelled)
    if columns.id is None:
        ids, codes = ["all rows"], np.zeros(len(table), np.int64)
    else:
        ids, codes = series_of(table, columns.id)
    cells = _cells(table, columns)
    order = np.argsort(codes, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    steps = roles.scope == "step" or (roles.scope == "auto" and _changes(cells.labels, parts))
    if columns.id is None:
        if not steps:
            raise _missing(table, "names the sequence of a row", "id", ID_COLUMNS)
        notes.append(
            f"{table.name}: no column names the sequence of a row (id, say), so all {len(table):,} "
            "rows are one."
        )
    turned = 0
    for name, rows in zip(ids, parts, strict=True):
        origin = f"{table.name}: sequence {str(name)!r} ({table.row(rows[0])})"
        try:
            sorted_rows = _in_time(table, rows, cells, columns)
            turned += not np.array_equal(sorted_rows, rows)
            item = _item(table, str(name), sorted_rows, cells, columns, steps)
        except DataError as error:
            yield UnusableItem(origin, f"{origin}: {error}")
        else:
            yield Item(origin=origin, **item)
    if not roles.channels:
        notes += _left_out(table, parts, cells)
    if turned:
        notes.append(
            f"{table.name}: {turned:,} of {len(ids):,} sequences had rows that weren't in order "
            f"of {columns.time!r}; they were sorted."
        )


def _changes(labels: Sequence[str | None] | None, parts: Sequence[Ints]) -> bool:
    """Whether the label changes within most sequences that have several."""
    if labels is None:
        return False
    own = [[labels[row] for row in rows if labels[row] is not None] for rows in parts]
    longer = [texts for texts in own if len(texts) > 1]
    changing = sum(len(set(texts)) > 1 for texts in longer)
    return 2 * changing > len(longer)


def _left_out(table: DataTable, parts: Sequence[Ints], cells: _Cells) -> Iterator[str]:
    """A sentence for each column that is neither of numbers nor the same in each sequence."""
    for name, texts in cells.others.items():
        rows = next((rows for rows in parts if len({texts[row] for row in rows}) > 1), None)
        if rows is not None:
            yield (
                f"{table.name}: column {name!r} isn't of numbers ({texts[rows[0]]!r} in "
                f"{table.row(rows[0])}) and changes within a sequence; it is left out."
            )


def _opened(source: TableSource, roles: TableRoles) -> DataTable:
    """The table; of a file, ids and labels stay as they are written."""
    path = Path(source) if isinstance(source, str | Path) else None
    texts: tuple[str, ...] = ()
    if path is not None and Path(path.name.removesuffix(".gz")).suffix.lower() in DELIMITERS:
        try:
            header = next(csv_records(path, errors="replace"), (1, []))[1]
        except (OSError, EOFError) as error:
            raise DataError(f"{path}: cannot be read ({error}).") from error
        labels = label_columns(path, header, roles)
        key = id_column(path, [n for n in header if n not in labels], roles)
        texts = labels if key is None else (key, *labels)
    return open_table(source, text=texts)


def _columns(table: DataTable, roles: TableRoles, notes: list[str], labelled: bool) -> _Columns:
    names, place = [str(name) for name in table.columns], Path(table.name)
    labels = label_columns(place, names, roles, needed=labelled)
    rest = [name for name in names if name not in labels]
    key = id_column(place, rest, roles)
    rest = [name for name in rest if name != key]
    time = find_column(place, rest, TIME_COLUMNS, "time", roles.time)
    rest = [name for name in rest if name != time]
    if key is None and roles.scope == "sequence":
        raise _missing(table, "names the sequence of a row", "id", ID_COLUMNS)
    if not labels and labelled:
        raise _missing(table, "has the labels", "label", LABEL_COLUMNS)
    table.require(dict.fromkeys(roles.channels, "channel"))
    channels = roles.channels or tuple(name for name in rest if _is_numeric(table, name))
    others = tuple(name for name in rest if name not in channels)
    if not channels:
        raise DataError(
            f"{table.name}: has no column of numbers beside {', '.join(filter(None, (key, time)))}"
            "; a sequence needs at least one."
        )
    return _Columns(key, time, labels, channels, others)


def _missing(table: DataTable, what: str, role: str, known: Sequence[str]) -> DataError:
    names = [repr(str(name)) for name in table.columns]
    shown = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
    return DataError(
        f"{table.name}: no column {what} (known names: {', '.join(known)}); it has {shown}; say "
        f"which it is ({role}_column = NAME)."
    )


def _is_numeric(table: DataTable, name: str) -> bool:
    """True for numbers and truth values, and for texts most of which are numbers."""
    kind = str(table.column(name).type)
    if not table.is_text(name):
        return kind.startswith(("int", "uint", "float", "double", "half", "bool", "decimal"))
    texts, _ = table.codes(name)
    readable = [to_number(str(text)) is not None for text in texts]
    return sum(readable) * 2 > len(readable) > 0


def _cells(table: DataTable, columns: _Columns) -> _Cells:
    values = np.empty((len(table), len(columns.channels)))
    wrong: dict[tuple[int, int], str] = {}
    for place, name in enumerate(columns.channels):
        values[:, place], texts = _numbers(table, name)
        wrong |= {(row, place): text for row, text in texts.items()}
    labels = _labels(table, columns.labels) if columns.labels else None
    others = {name: _texts(table, name) for name in columns.others}
    times = None if columns.time is None else _times(table, columns.time)
    return _Cells(values, wrong, times, labels, others)


def _labels(table: DataTable, names: Sequence[str]) -> list[str | None]:
    """The label of each row; of several columns, all of numbers, a JSON list."""
    if len(names) == 1:
        return _texts(table, names[0])
    columns = [_numbers(table, name) for name in names]
    for name, (_, wrong) in zip(names, columns, strict=True):
        for row, text in wrong.items():
            raise DataError(
                f"{table.row(row)}: column {name!r} has {text!r}; labels of several columns are "
                "numbers."
            )
    rows = np.stack([values for values, _ in columns], axis=1)
    return [text or None for text in step_texts(rows)]


def _numbers(table: DataTable, name: str) -> tuple[Floats, dict[int, str]]:
    """A column as numbers (R,), and the texts in it that aren't numbers, by row."""
    if not table.is_text(name):
        return table.numbers(name), {}
    texts, codes = table.codes(name)
    found = [to_number(str(text)) for text in texts]
    bad = np.array([value is None for value in found] + [False])
    known = np.array([np.nan if value is None else value for value in found] + [np.nan])
    rows = np.flatnonzero(bad[codes])
    return known[codes], {int(row): str(texts[codes[row]]) for row in rows}


def _texts(table: DataTable, name: str) -> list[str | None]:
    distinct, codes = table.codes(name)
    texts = [*map(label_text, distinct), None]
    return [texts[code] for code in codes]


def _times(table: DataTable, name: str) -> Any:
    """Numbers (R,), NaN where one is missing, or dates as datetime64[ns]."""
    kind = str(table.column(name).type)
    if kind.startswith(("int", "uint", "float", "double")):
        return table.numbers(name)
    stamps = read_stamps(table, name)
    return stamps if stamps.dtype.kind == "M" else stamps.astype(np.float64)


def _in_time(table: DataTable, rows: Ints, cells: _Cells, columns: _Columns) -> Ints:
    """The rows sorted by time; DataError where one has none, or two have the same."""
    if cells.times is None:
        return rows
    times = cells.times[rows]
    unknown = np.flatnonzero(np.isnan(times) if times.dtype.kind == "f" else np.isnat(times))
    if len(unknown):
        raise DataError(
            f"{table.row(rows[unknown[0]])} has no {columns.time!r}; fill it or drop the row."
        )
    order = np.argsort(times, kind="stable")
    twice = np.flatnonzero(times[order][1:] == times[order][:-1])
    if len(twice):
        first, second = rows[order[twice[0]]], rows[order[twice[0] + 1]]
        raise DataError(
            f"{table.row(first)} and {table.row(second)} have the same {columns.time!r} "
            f"({times[order[twice[0]]]}); keep one row for each step."
        )
    ordered: Ints = rows[order]
    return ordered


def _item(
    table: DataTable, name: str, rows: Ints, cells: _Cells, columns: _Columns, steps: bool
) -> dict[str, Any]:
    """The arguments of an Item; `steps`: each has a label of its own."""
    for row in rows.tolist() if cells.wrong else ():
        for place, channel in enumerate(columns.channels):
            if (row, place) in cells.wrong:
                raise DataError(
                    f"{table.row(row)}: column {channel!r} has {cells.wrong[row, place]!r}, where "
                    "a number is needed; write numbers with a point, and leave missing ones empty."
                )
    _refuse_infinite(table, rows, cells.values, columns)
    steps = steps and cells.labels is not None
    labels = [(cells.labels or [])[row] or "" for row in rows] if steps else None
    series = Series.of(
        cells.values[rows],
        times=_from_first(cells.times, rows),
        labels=labels,
        channels=columns.channels,
    )
    others = {key: _constant(texts, rows) for key, texts in cells.others.items()}
    return {
        "name": name,
        "kind": "series",
        "text": None if steps else _label(table, rows, cells.labels),
        "format": "memory",
        "data": series,
        "columns": {key: text for key, text in others.items() if text is not None},
    }


def _refuse_infinite(table: DataTable, rows: Ints, values: Floats, columns: _Columns) -> None:
    infinite = np.argwhere(np.isinf(values[rows]))
    if len(infinite):
        step, place = infinite[0]
        raise DataError(
            f"{table.row(rows[step])}: column {columns.channels[place]!r} is "
            f"{values[rows[step], place]}; values are finite numbers, or empty where they are "
            "missing."
        )


def _from_first(times: Any, rows: Ints) -> Any:
    """Times of rows: numbers as they are, dates as seconds since the first."""
    if times is None or times.dtype.kind != "M":
        return None if times is None else times[rows]
    return (times[rows] - times[rows[0]]) / np.timedelta64(1, "s")


def _constant(texts: Sequence[str | None], rows: Ints) -> str | None:
    """The one text of these rows; None where it changes."""
    found = {texts[row] for row in rows}
    return found.pop() if len(found) == 1 else None


def _label(table: DataTable, rows: Ints, labels: Sequence[str | None] | None) -> str | None:
    """The one label of these rows, some of which may have none."""
    if labels is None:
        return None
    first: dict[str, int] = {}
    for row in rows.tolist():
        if (text := labels[row]) is not None:
            first.setdefault(text, row)
    if len(first) > 1:
        (one, row), (other, later) = list(first.items())[:2]
        raise DataError(
            f"its label is {one!r} in {table.row(row)} and {other!r} in {table.row(later)}; give a "
            "sequence one label, or read one for each step (label = step)."
        )
    return next(iter(first), None)
