"""Labelled texts of tables: CSV, TSV, JSON lines, Parquet and data frames."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from recurra.data.tables.table import DataTable, open_table
from recurra.data.texts.text_file import TextFile, TextRow
from recurra.data.texts.text_lines import label_cell
from recurra.data.transcripts.chosen_rows import ColumnCondition, matching_rows
from recurra.data.transcripts.manifest_rows import (
    BadRow,
    find_column,
    table_records,
    table_rows,
)
from recurra.errors import DataError

__all__ = [
    "LABEL_COLUMNS",
    "TEXT_COLUMNS",
    "TableReading",
    "TableRecord",
    "frame_cells",
    "frame_rows",
    "json_records",
    "json_rows",
    "named_records",
    "table_file",
]

TEXT_COLUMNS = (
    *("text", "sentence", "question", "review", "name", "utterance", "tweet", "comment"),
    *("document", "content", "message", "body", "query", "phrase", "headline", "word", "words"),
)
LABEL_COLUMNS = (
    *("label", "labels", "class", "category", "categories", "intent", "target", "sentiment"),
    *("nationality", "language", "topic", "topics", "tag", "tags", "emotion", "polarity", "gold"),
    *("score", "rating", "stars", "y"),
)
"""Names of columns, in any case. "text" and "label" win over the others."""


@dataclass(frozen=True)
class TableReading:
    """How a table is read: see `read_texts`, whose arguments these are."""

    labels: bool = True
    text_column: str | None = None
    label_column: str | None = None
    where: tuple[ColumnCondition, ...] = ()


class TableRecord(NamedTuple):
    """A row of a table: its place, its cells by column, or its problem."""

    line: int
    cells: Mapping[str, Any]
    problem: str = ""


def table_file(
    file: TextFile, suffix: str, how: TableReading, notes: list[str]
) -> Iterator[TextRow]:
    """The rows of a .csv or .tsv file; one of two columns needs no header, which `notes` tells."""
    records = list(table_records(file.path, suffix, file.content))
    filled = [(line, cells) for line, cells in records if any(cell.strip() for cell in cells)]
    if not _has_header([cells for _, cells in filled], how):
        cell = label_cell([cells for _, cells in filled])
        if cell is not None:
            yield from _headerless(file, filled, cell, notes)
            return
    yield from _file_rows(file, named_records(file.path, records), how)


def named_records(path: Path, records: Iterable[tuple[int, list[str]]]) -> list[TableRecord]:
    """The rows of a table whose first record names its columns."""
    return [
        TableRecord(row.line, {}, row.message)
        if isinstance(row, BadRow)
        else TableRecord(row.line, row.cells)
        for row in table_rows(path, records)
    ]


def json_rows(file: TextFile, how: TableReading) -> Iterator[TextRow]:
    """The rows of JSON lines, an object each."""
    yield from _file_rows(file, json_records(file), how)


def json_records(file: TextFile) -> list[TableRecord]:
    """The objects of JSON lines, among them the problems of lines that are none."""
    return [
        TableRecord(number, {}, file.damaged[number])
        if number in file.damaged
        else _json_record(number, line)
        for number, line in file.lines()
    ]


def frame_rows(source: Any, how: TableReading) -> Iterator[TextRow]:
    """The rows of a data frame of pandas, polars or pyarrow, or of a .parquet file."""
    table = open_table(source)
    names = [str(name) for name in table.columns]
    text, label = _columns(Path(table.name), names, how)
    cells = frame_cells(table, (text, label))
    chosen = _chosen([TableRecord(n, row) for n, row in enumerate(cells)], how, table.name)
    called = Path(table.name).name if table.from_file else "row"
    for record in chosen:
        place = table.row(record.line)
        name = f"{called}:{record.line}" if table.from_file else f"row {record.line}"
        others = _others(record.cells, text, label)
        origin = f"{table.name}, {place}"
        yield TextRow(name, origin, record.cells[text], record.cells.get(label or ""), others)


def frame_cells(table: DataTable, needed: Collection[str | None]) -> list[dict[str, Any]]:
    """The rows of a table by column, without columns of mixed kinds unless they are needed."""
    values: dict[str, list[Any]] = {}
    for own in table.columns:
        try:
            values[str(own)] = table.column(own).to_pylist()
        except DataError:  # values of several kinds
            if str(own) in needed:
                raise
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def _has_header(rows: Sequence[Sequence[str]], how: TableReading) -> bool:
    """Whether the first row names columns: one named by the caller, or of a usual name.

    A usual name that comes again in its column is a label or a text: "question" is a label, too.
    """
    first = [cell.strip() for cell in rows[0]] if rows else []
    if how.text_column is not None or how.label_column is not None:
        return True
    known = {n for n, cell in enumerate(first) if cell.lower() in (*TEXT_COLUMNS, *LABEL_COLUMNS)}
    below = [row for row in rows[1:] if len(row) == len(first)]
    return any(all(row[n].strip() != first[n] for row in below) for n in known)


def _headerless(
    file: TextFile, records: Iterable[tuple[int, list[str]]], cell: int, notes: list[str]
) -> Iterator[TextRow]:
    labels = set()
    for line, cells in records:
        if len(cells) != 2:
            problem = f"has {len(cells)} cells, and most rows have 2, a label and a text."
            yield file.row(line, " ".join(cells), problem=problem)
            continue
        labels.add(cells[cell].strip())
        yield file.row(line, cells[1 - cell], cells[cell])
    order = ("first", "second")
    notes.append(
        f"{file.path}: has no header; its {order[cell]} column was read as the label "
        f"({len(labels):,} different), its {order[1 - cell]} as the text."
    )


def _file_rows(
    file: TextFile, records: Sequence[TableRecord], how: TableReading
) -> Iterator[TextRow]:
    good = [record for record in records if not record.problem]
    names = list(dict.fromkeys(name for record in good for name in record.cells))
    text, label = _columns(file.path, names, how) if good else ("", None)
    for record in _chosen(records, how, str(file.path)):
        if record.problem:
            yield file.row(record.line, problem=record.problem)
            continue
        others = _others(record.cells, text, label)
        value = record.cells.get(text), record.cells.get(label or "")
        yield file.row(record.line, *value, others)


def _columns(path: Path, names: Sequence[str], how: TableReading) -> tuple[str, str | None]:
    text = _column(path, names, TEXT_COLUMNS, "text", how.text_column)
    rest = [name for name in names if name != text or how.label_column == text]
    label = _column(path, rest, LABEL_COLUMNS, "label", how.label_column)
    for role, column in (("text", text), ("label", label)):
        if column is None and (role == "text" or how.labels):
            shown = ", ".join(map(repr, names[:10])) + (", …" if len(names) > 10 else "")
            known = TEXT_COLUMNS if role == "text" else LABEL_COLUMNS
            raise DataError(
                f"{path}: no column has the {role} (known names: {', '.join(known)}); it has "
                f"{shown}; say which it is ({role}_column = NAME), or name it so in the header."
            )
    assert text is not None
    return text, label


def _column(
    path: Path, names: Sequence[str], known: Sequence[str], role: str, chosen: str | None
) -> str | None:
    usual = [name for name in names if name.strip().lower() == role]
    if chosen is None and len(usual) == 1:
        return usual[0]
    return find_column(path, names, known, role, chosen)


def _chosen(records: Sequence[TableRecord], how: TableReading, origin: str) -> list[TableRecord]:
    """The records that meet the conditions, and those with a problem."""
    good = [record for record in records if not record.problem]
    if not how.where or not good:
        return list(records)
    cells = [{name: _text(value) for name, value in r.cells.items()} for r in good]
    wanted = {good[n].line for n in matching_rows(cells, how.where, origin)}
    return [record for record in records if record.problem or record.line in wanted]


def _others(cells: Mapping[str, Any], text: str, label: str | None) -> dict[str, str]:
    return {name: _text(value) for name, value in cells.items() if name not in (text, label)}


def _text(value: Any) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _json_record(number: int, line: str) -> TableRecord:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        why = str(error)
        if isinstance(error, json.JSONDecodeError):
            why = f"{error.msg}, column {error.colno}"
        return TableRecord(number, {}, f"is not valid JSON ({why}); write one object a line.")
    if not isinstance(found, dict):
        return TableRecord(number, {}, "is not a JSON object; write one object a line.")
    return TableRecord(number, found)
