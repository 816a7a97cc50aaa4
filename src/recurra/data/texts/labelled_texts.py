"""Labelled texts from files, folders, data frames and lists in memory, as items."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from recurra.data.texts.labels import label_of, several_labels
from recurra.data.texts.text_file import TextFile, TextRow, read_text_file
from recurra.data.texts.text_folders import class_folder_rows
from recurra.data.texts.text_lines import LINE_LAYOUTS, LabelPart, line_rows, recognise_lines
from recurra.data.texts.text_tables import TableReading, frame_rows, json_rows, table_file
from recurra.data.transcripts.bad_items import BadItems, usable
from recurra.data.transcripts.chosen_rows import parse_where
from recurra.data.transcripts.item import Item, UnusableItem
from recurra.data.transcripts.manifest_rows import JSON_SUFFIXES
from recurra.errors import ConfigError, DataError

__all__ = ["TextLayout", "TextSource", "read_texts"]

TextSource = Any
"""A path, a data frame, or a list of paths, frames, texts and of pairs (text, label)."""

TextLayout = Literal["auto", "table", "jsonl", "tab", "fasttext", "trec", "first_word", "lines"]

_TABLES = (".csv", ".tsv")
_PARQUET = (".parquet", ".pq")


def read_texts(
    source: TextSource,
    *,
    labels: bool = True,
    layout: TextLayout = "auto",
    text_column: str | None = None,
    label_column: str | None = None,
    label_part: LabelPart | None = None,
    several: bool = False,
    separator: str | None = None,
    where: str | Mapping[str, object] | None = None,
    encoding: str = "utf-8",
    bad: BadItems | None = None,
    notes: list[str] | None = None,
) -> list[Item]:
    """The items of a source, in order: an item's `data` is its text, its `text` the label.

    source: a table (.csv, .tsv, .jsonl, .ndjson, also .gz, or .parquet), a file with a labelled
        text in each line, a folder with a folder of .txt files for each class, or with a .txt file
        for each class and a text in each of its lines, a data frame of pandas or polars, or a list
        of those and of pairs (text, label). In a list without `labels` a str is a text, and a Path
        the name of a file.
    labels: every item needs one; else it may be None.
    layout: of lines: "tab" (label, tab, text), "fasttext" (__label__x text), "trec" (LABEL:fine
        text), "first_word" (label text) or "lines" (text); of other files "table" or "jsonl".
        "auto" recognises them by their endings and their content.
    text_column, label_column: names of a table's columns where they aren't usual ones.
    label_part: the label of `LABEL:fine text`: "coarse" (the default), "fine" or "whole"; fine
        names alone may stand for several things ("other").
    several: a text may have several labels, which become a JSON list (see `labels_of`): they are
        written in fastText's way, as a JSON list, or with a `separator` between them.
    where: the rows of tables to read: "split=train".
    bad: collects single items that can't be used. notes: gets sentences on what was recognised.

    Raises:
        DataError: a whole source can't be read; without `bad`, for the first item that can't be
            used; with it, for more of them than its share; or nothing is left.
        ConfigError: for options that don't fit together.

    >>> read_texts([("how are you", "question"), ("fine", "answer")])[1].text
    'answer'
    """
    how = _Reading(
        TableReading(labels, text_column, label_column, parse_where(where) if where else ()),
        layout,
        label_part,
        several or separator is not None,
        separator,
        encoding,
    )
    found = [_checked(row, how) for row in _rows(source, how, [] if notes is None else notes)]
    items = usable(found, bad)
    if not items:
        raise DataError("There is no text; give a file, a folder or a list with at least one.")
    return _with_own_names(items)


@dataclass(frozen=True)
class _Reading:
    table: TableReading
    layout: TextLayout
    part: LabelPart | None
    several: bool
    separator: str | None
    encoding: str

    def __post_init__(self) -> None:
        if self.layout not in get_args(TextLayout):
            allowed = ", ".join(get_args(TextLayout))
            raise ConfigError(f"layout = {self.layout!r} of texts; it is one of {allowed}.")
        if self.part not in (None, *get_args(LabelPart)):
            raise ConfigError(
                f"label_part = {self.part!r}; it is one of {', '.join(get_args(LabelPart))}."
            )
        if self.layout == "lines" and self.table.labels:
            raise ConfigError(
                "layout = lines with labels: such lines are texts alone; give another layout."
            )


def _rows(source: TextSource, how: _Reading, notes: list[str]) -> Iterator[TextRow]:
    if isinstance(source, str | os.PathLike):
        yield from _path_rows(Path(source), how, notes)
    elif hasattr(source, "columns") or hasattr(source, "column_names"):
        yield from frame_rows(source, how.table)
    elif isinstance(source, Iterable) and not isinstance(source, np.ndarray | bytes | Mapping):
        for number, each in enumerate(source):
            yield from _listed_rows(number, each, how, notes)
    else:
        raise DataError(
            f"{_called(source)} is not a source of texts; give a path, a data frame, or a list of "
            "pairs (text, label)."
        )


def _listed_rows(number: int, each: Any, how: _Reading, notes: list[str]) -> Iterator[TextRow]:
    origin = f"item {number}"
    if isinstance(each, str) and not how.table.labels:
        yield TextRow(origin, origin, each)
    elif isinstance(each, tuple | list) and len(each) == 2:
        yield TextRow(origin, origin, *each)
    elif isinstance(each, str | os.PathLike) or hasattr(each, "columns"):
        yield from _rows(each, how, notes)
    else:
        raise DataError(
            f"{origin} (from 0) is {_called(each)}; give a path, or a pair of a text and its label."
        )


def _path_rows(path: Path, how: _Reading, notes: list[str]) -> Iterator[TextRow]:
    if not os.path.exists(path):
        raise DataError(f"{path}: no such file or folder; check the name and the folder.")
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    is_table = suffix in (*_TABLES, *_PARQUET, *JSON_SUFFIXES) and how.layout == "auto"
    if how.table.where and not (is_table or how.layout in ("table", "jsonl")):
        raise DataError(f"{path}: is not a table, so it has no columns to choose rows by.")
    if path.is_dir():
        if how.layout != "auto" or how.part is not None:
            raise ConfigError(
                f"{path}: is a folder, and layout and label_part are of files; leave them out, or "
                "name the file."
            )
        yield from class_folder_rows(
            path, labels=how.table.labels, encoding=how.encoding, notes=notes
        )
    elif suffix in _PARQUET:
        yield from frame_rows(path, how.table)
    else:
        yield from _file_rows(read_text_file(path, how.encoding), suffix, how, notes)


def _file_rows(file: TextFile, suffix: str, how: _Reading, notes: list[str]) -> Iterator[TextRow]:
    layout: str = how.layout
    if layout == "auto":
        layout = _by_suffix(suffix) or recognise_lines(file, labels=how.table.labels)
        if layout == "tab":  # with a header, or with the label behind: as a table
            layout, suffix = "table", ".tsv"
        elif layout in ("first_word", "trec"):
            notes.append(f"{file.path}: {_RECOGNISED[layout]}")
    if how.part is not None and layout != "trec":
        raise ConfigError(
            f"label_part = {how.part} is for lines of LABEL:fine text, and {file.path} was read as "
            f"{layout}; leave it out."
        )
    if layout in LINE_LAYOUTS:
        if column := how.table.text_column or how.table.label_column:
            raise ConfigError(
                f"{file.path} was read as lines ({layout}), which have no column {column!r}; leave "
                "it out, or give layout = table."
            )
        yield from line_rows(file, layout, part=how.part or "coarse", several=how.several)
    elif layout == "jsonl":
        yield from json_rows(file, how.table)
    else:
        if suffix not in _TABLES:
            suffix = ".tsv" if "\t" in file.content.partition("\n")[0] else ".csv"
        yield from table_file(file, suffix, how.table, notes)


_RECOGNISED = {
    "first_word": "the first word of each line was read as its label.",
    "trec": "LABEL:fine before each text was read as its label.",
}


def _by_suffix(suffix: str) -> str | None:
    if suffix in JSON_SUFFIXES:
        return "jsonl"
    return "table" if suffix in _TABLES else None


def _checked(row: TextRow, how: _Reading) -> Item | UnusableItem:
    """The item of a row, unless its text or its label can't be used."""
    try:
        if row.problem:
            raise DataError(row.problem)
        text = _text_of(row.text)
        label = several_labels(row.label, how.separator) if how.several else label_of(row.label)
        if not label and how.table.labels:
            raise DataError("has no label; give one, or leave the row out.")
    except DataError as error:
        return UnusableItem(row.origin, f"{row.origin}: {error}", row.reason)
    columns = row.columns or {}
    return Item(row.name, "text", label or None, None, "memory", None, text, columns, row.origin)


def _text_of(value: Any) -> str:
    if value is None or value != value:
        raise DataError("has an empty text.")
    if isinstance(value, int | float):
        value = label_of(value)
    if not isinstance(value, str):
        raise DataError(f"its text is of type {type(value).__name__}; give a str.")
    if not value.strip():
        raise DataError("has a text of white space alone." if value else "has an empty text.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"its text has {value[error.start]!r}, which is not valid Unicode; replace it."
        ) from error
    return value.strip()


def _with_own_names(items: list[Item]) -> list[Item]:
    """Files of one name in several folders: their items are called by their whole paths."""
    names: set[str] = set()
    for number, item in enumerate(items):
        name, copies = item.name, 1
        while name in names:
            name, copies = item.origin + f" ({copies})" * (copies > 1), copies + 1
        names.add(name)
        items[number] = item if name == item.name else replace(item, name=name)
    return items


def _called(source: Any) -> str:
    return f"an object of type {type(source).__name__}"
