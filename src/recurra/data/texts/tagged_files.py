"""Texts with a tag for each token from files, as items."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from recurra.data import check_exists
from recurra.data.tables.table import open_table
from recurra.data.texts.column_files import are_columns, column_rows
from recurra.data.texts.conllu_files import conllu_rows, is_conllu
from recurra.data.texts.labelled_texts import read_texts
from recurra.data.texts.settled_tags import settle_tags
from recurra.data.texts.tagged_json import json_sentences
from recurra.data.texts.tagged_rows import TaggedReading, TaggedRow
from recurra.data.texts.tagged_tokens import TaggedTokens
from recurra.data.texts.text_file import TextFile, read_text_file
from recurra.data.transcripts.bad_items import BadItems, usable
from recurra.data.transcripts.chosen_rows import choose_items
from recurra.data.transcripts.item import Item, UnusableItem
from recurra.data.transcripts.manifest_rows import JSON_SUFFIXES
from recurra.errors import ConfigError, DataError

__all__ = ["TaggedLayout", "read_tagged"]

TaggedLayout = Literal["auto", "columns", "conllu", "jsonl"]

_PARQUET = (".parquet", ".pq")
_CONLLU = (".conllu", ".conll-u", ".conllx")


def read_tagged(
    source: Any,
    *,
    labels: bool = True,
    layers: Sequence[str] = (),
    token_column: str | None = None,
    sentence_column: str | None = None,
    layout: TaggedLayout = "auto",
    where: str | Mapping[str, object] | None = None,
    encoding: str = "utf-8",
    bad: BadItems | None = None,
    notes: list[str] | None = None,
) -> list[Item]:
    """The sentences of a source or of several, in order; an item's `data` is its `TaggedTokens`.

    source: a data frame or a .parquet file with a row for each token and a column that names the
        sentence, whose lines are counted as those of a table, its header the first; a file, also
        .gz, of one of these kinds, recognised by its ending and its content:
        columns (CoNLL): a token and its tags in each line, separated by tabs or blanks, or commas
        in .csv, and a blank line, or another name in a column of sentences, between sentences;
        CoNLL-U; JSON lines of {"tokens": [...], "tags": [...]}.
    labels: every sentence needs tags; else they are not read, and a file of texts is one, too: a
        text in each line, or a table with a column of texts; an item's `data` is then the str.
    layers: the columns or keys of tags, by name, or of a file without names by number: from 1 on,
        or from the end, -1. By default the last column, `upos`, or the keys of usual names.
    token_column: that of the tokens, where it is not recognised: by default the first.
    sentence_column: of files in columns that which names the sentence, where it is not recognised;
        it may be missing where blank lines end sentences, which `notes` tells.
    where: the sentences to read by their other columns, keys or comments: "split=train".
    bad: collects single sentences that can't be used. notes: gets sentences on what was recognised.

    Tags that mark segments are brought to BIO or BIOES, as `settle_tags` has it.

    Raises:
        DataError: a whole file can't be read; without `bad`, for the first sentence that can't be
            used; with it, for more of them than its share; or nothing is left.
        ConfigError: for a layout that isn't one.
    """
    if layout not in get_args(TaggedLayout):
        allowed = ", ".join(get_args(TaggedLayout))
        raise ConfigError(f"layout = {layout!r} of tagged texts; it is one of {allowed}.")
    how = TaggedReading(labels, tuple(layers), token_column, sentence_column)
    notes = [] if notes is None else notes
    found: list[Item | UnusableItem] = []
    for each in source if isinstance(source, list | tuple) else [source]:
        file, rows = _opened(each, how, layout, encoding, notes)
        if rows is None:
            found += read_texts(file.path, labels=False, encoding=encoding, bad=bad, notes=notes)
        else:
            found += _items(file, list(rows), notes)
    items = usable(found, bad)
    if where:
        items = choose_items(items, where)
    if not items:
        raise DataError("There is no sentence; give a file with at least one.")
    return items


def _opened(
    source: Any, how: TaggedReading, layout: TaggedLayout, encoding: str, notes: list[str]
) -> tuple[TextFile, Iterator[TaggedRow] | None]:
    """A source as text, and its sentences; None for a file of texts."""
    is_path = isinstance(source, str | os.PathLike)
    if not is_path or Path(source).suffix.lower() in _PARQUET:
        file = _written(source)
        return file, column_rows(file, ".csv", how, notes)
    check_exists(source)
    file = read_text_file(Path(source), encoding)
    return file, _rows(file, how, layout, notes)


def _written(source: Any) -> TextFile:
    """A table as the text of a .csv file."""
    table, text = open_table(source), io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(str, table.columns))
    columns = [table.column(name).to_pylist() for name in table.columns]
    for row in zip(*columns, strict=True):
        writer.writerow(["" if cell is None else cell for cell in row])
    return TextFile(Path(table.name), text.getvalue(), {})


def _rows(
    file: TextFile, how: TaggedReading, layout: TaggedLayout, notes: list[str]
) -> Iterator[TaggedRow] | None:
    """The sentences of a file; None for one of texts."""
    suffix = Path(file.path.name.lower().removesuffix(".gz")).suffix
    if layout == "jsonl" or (layout == "auto" and suffix in JSON_SUFFIXES):
        return json_sentences(file, how, notes)
    if layout == "conllu" or (layout == "auto" and (suffix in _CONLLU or is_conllu(file))):
        return conllu_rows(file, how, notes)
    if how.labels or layout == "columns" or are_columns(file, suffix):
        return column_rows(file, suffix, how, notes)
    return None


def _items(
    file: TextFile, rows: Sequence[TaggedRow], notes: list[str]
) -> list[Item | UnusableItem]:
    """The items of rows, with settled tags; those that can't be used say why."""
    texts = [_text(file, row) for row in rows]
    good = [n for n, text in enumerate(texts) if isinstance(text, TaggedTokens)]
    tagged = [text for text in texts if isinstance(text, TaggedTokens)]

    def place(number: int, token: int) -> str:
        return f"{file.path}, line {rows[good[number]].lines[token]}"

    for number, settled in zip(good, settle_tags(tagged, place, notes), strict=True):
        texts[number] = settled
    return [_item(file, row, text) for row, text in zip(rows, texts, strict=True)]


def _text(file: TextFile, row: TaggedRow) -> TaggedTokens | DataError:
    origin = f"{file.path}, line {row.lines[0]}"
    try:
        if row.problem:
            raise DataError(row.problem)
        tags = {layer: tuple(tag.strip() for tag in tags) for layer, tags in row.tags.items()}
        return TaggedTokens(tuple(row.tokens), tags)
    except DataError as error:
        return DataError(f"{origin}: {error}")


def _item(file: TextFile, row: TaggedRow, text: TaggedTokens | DataError) -> Item | UnusableItem:
    line = row.lines[0]
    origin = f"{file.path}, line {line}"
    if isinstance(text, DataError):
        return UnusableItem(origin, str(text))
    name, columns = f"{file.path.name}:{line}", dict(row.columns)
    return Item(name, "text", text.text, None, "memory", None, text, columns, origin)
