"""Pairs of tables, JSON lines, data frames and mappings: a column each for source and target."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recurra.data.pairs.column_names import PairColumns, choose_columns, names_columns, split_names
from recurra.data.pairs.text_pair import PairRow
from recurra.data.tables.table import open_table
from recurra.data.texts.text_file import TextFile
from recurra.data.texts.text_tables import TableRecord, frame_cells, json_records, named_records
from recurra.data.transcripts.chosen_rows import ColumnCondition, matching_rows
from recurra.data.transcripts.manifest_rows import tab_records, table_records
from recurra.errors import DataError

__all__ = ["PairReading", "frame_pairs", "json_pairs", "mapping_pairs", "table_pairs"]


@dataclass(frozen=True)
class PairReading:
    """How tables are read: see `read_pairs`, whose arguments these are.

    targets: False where sources alone are needed.
    """

    source: str | None = None
    target: str | None = None
    references: bool = False
    where: tuple[ColumnCondition, ...] = ()
    targets: bool = True


def table_pairs(
    file: TextFile, suffix: str, how: PairReading, notes: list[str]
) -> Iterator[PairRow]:
    """The rows of a .csv or .tsv file, with a header or without."""
    records = [
        (line, cells)
        for line, cells in _records(file, suffix)
        if any(cell.strip() for cell in cells)
    ]
    first = records[0][1]
    if not (how.where or names_columns(first, how.source, how.target)):
        yield from _by_position(file, records, how, notes)
        return
    yield from _file_pairs(file, named_records(file.path, records), how, notes)


def json_pairs(file: TextFile, how: PairReading, notes: list[str]) -> Iterator[PairRow]:
    """The rows of JSON lines; names may also be those inside of `translation`."""
    yield from _file_pairs(file, json_records(file), how, notes)


def frame_pairs(source: Any, how: PairReading, notes: list[str]) -> Iterator[PairRow]:
    """The rows of a data frame of pandas, polars or pyarrow, or of a .parquet file."""
    table = open_table(source)
    records = [
        TableRecord(number, cells)
        for number, cells in enumerate(frame_cells(table, (how.source, how.target)))
    ]
    for record, columns in _chosen(records, how, table.name, notes):
        yield _row(f"{table.name}, {table.row(record.line)}", record, columns, how)


def mapping_pairs(
    rows: Sequence[Mapping[str, Any]], first: int, how: PairReading, notes: list[str]
) -> Iterator[PairRow]:
    """The rows of mappings in memory, such as {"translation": {"de": ..., "en": ...}}.

    `first` is the place of the first in the list of the caller.
    """
    records = [TableRecord(number, cells) for number, cells in enumerate(rows, start=first)]
    for record, columns in _chosen(records, how, "The rows", notes):
        yield _row(f"item {record.line}", record, columns, how)


def _records(file: TextFile, suffix: str) -> Iterator[tuple[int, list[str]]]:
    """Quotation marks are text in TSV, unless its first line names columns in them."""
    if suffix == ".csv":
        return table_records(file.path, suffix, file.content)
    first = file.content.partition("\n")[0].split("\t")
    names = [cell[1:-1] for cell in first if len(cell) > 2 and cell[0] == cell[-1] == '"']
    if len(names) == len(first) and names_columns(names, None, None):
        return table_records(file.path, suffix, file.content)
    return tab_records(file.content)


def _by_position(
    file: TextFile, records: Sequence[tuple[int, list[str]]], how: PairReading, notes: list[str]
) -> Iterator[PairRow]:
    """Rows without a header: the first column is the source and the second the target."""
    width = Counter(len(cells) for _, cells in records).most_common(1)[0][0]
    sources, target = _positions(file, width, how)
    others = [n for n in range(width) if n not in (*sources, target)]
    if others and how.targets and not how.references:
        first = " and ".join(str(n + 1) for n in sources)
        notes.append(
            f"{file.path}: has {width} columns and no header; column {first} was read as the "
            f"source, {target + 1} as the target, and the others not at all."
        )
    read = [target, *others] if how.references else [target]
    for line, cells in records:
        place = f"{file.path}, line {line}"
        if damage := file.damage(line, *cells):
            yield PairRow(place, problem=damage, reason="is not UTF-8")
        elif len(cells) != width:
            problem = f"has {_columns(len(cells))}, and most lines have {width}."
            yield PairRow(place, problem=problem, reason="another number of columns")
        else:
            source = _joined([cells[n] for n in sources])
            yield PairRow(place, source, [cells[n] for n in read if n < width])


def _positions(file: TextFile, width: int, how: PairReading) -> tuple[list[int], int]:
    sources = [int(name) - 1 for name in split_names(how.source, ())] or [0]
    free = next(n for n in range(len(sources) + 1) if n not in sources)
    target = free if how.target is None else int(how.target) - 1
    needed = max([*sources, target] if how.targets else sources) + 1
    if needed > width:
        raise DataError(
            f"{file.path}: has {_columns(width)}, and {needed} are needed; write a source "
            "and its target in each line, separated by a tab (.tsv) or a comma (.csv), or give two "
            "files of as many lines."
        )
    return sources, target


def _joined(values: Sequence[Any]) -> Any:
    """The value of a source; of several columns their texts with spaces between them."""
    if len(values) == 1:
        return values[0]
    return " ".join(str(value).strip() for value in values if value is not None)


def _columns(count: int) -> str:
    return "1 column" if count == 1 else f"{count} columns"


def _file_pairs(
    file: TextFile, records: Sequence[TableRecord], how: PairReading, notes: list[str]
) -> Iterator[PairRow]:
    for record, columns in _chosen(records, how, str(file.path), notes):
        place = f"{file.path}, line {record.line}"
        row = _row(place, record, columns, how)
        texts = (row.source, *row.targets)
        if damage := file.damage(record.line, record.problem, *texts):
            row = PairRow(place, problem=damage, reason="is not UTF-8")
        yield row


def _chosen(
    records: Sequence[TableRecord], how: PairReading, origin: str, notes: list[str]
) -> Iterator[tuple[TableRecord, PairColumns | None]]:
    """The records that meet the conditions, and those with a problem, with the columns."""
    good = [TableRecord(r.line, _flat(r.cells)) for r in records if not r.problem]
    names = list(dict.fromkeys(name for record in good for name in record.cells))
    columns = None
    if good:
        columns = choose_columns(origin, names, how.source, how.target, targets=how.targets)
    wanted = {record.line for record in good}
    if how.where and good:
        cells = [{name: _text(value) for name, value in r.cells.items()} for r in good]
        wanted = {good[n].line for n in matching_rows(cells, how.where, origin)}
    if columns and columns.others and how.targets and not how.references and not how.where:
        shown = ", ".join(map(repr, columns.others[:5])) + (", …" if columns.others[5:] else "")
        notes.append(
            f"{origin}: {' and '.join(map(repr, columns.sources))} was read as the source and "
            f"{columns.target!r} as the target; other columns are not read ({shown})."
        )
    by_line = {record.line: record for record in good}
    for record in records:
        if record.problem or record.line in wanted:
            yield by_line.get(record.line, record), columns


def _flat(cells: Mapping[str, Any]) -> Mapping[str, Any]:
    """The cells with those inside of `translation`, as collections of translations have them."""
    inner = cells.get("translation")
    if not isinstance(inner, Mapping):
        return cells
    return {**{n: v for n, v in cells.items() if n != "translation"}, **inner}


def _row(place: str, record: TableRecord, columns: PairColumns | None, how: PairReading) -> PairRow:
    if record.problem or columns is None:
        return PairRow(place, problem=record.problem)
    targets: list[Any] = []
    if columns.target is not None:
        value = record.cells.get(columns.target)
        targets = list(value) if isinstance(value, list | tuple) else [value]
    if how.references:
        targets += [record.cells.get(name) for name in columns.others]
    source = _joined([record.cells.get(name) for name in columns.sources])
    return PairRow(place, source, targets)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
