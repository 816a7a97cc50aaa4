"""Pairs from files of several kinds, data frames and lists in memory."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, get_args

import numpy as np

from recurra.data.pairs.pair_files import FileReading, PairLayout, pair_layout, rows_of_files
from recurra.data.pairs.pair_tables import PairReading, frame_pairs, mapping_pairs
from recurra.data.pairs.text_pair import PairRow, Pairs, TextPair, gathered_pairs
from recurra.data.texts.labels import label_of
from recurra.data.transcripts.bad_items import BadItems
from recurra.data.transcripts.chosen_rows import parse_where
from recurra.errors import ConfigError, DataError

__all__ = ["PairSource", "read_pairs", "text_of"]

PairSource = Any
"""A path, a data frame, or a list: of paths, of pairs (source, target), of mappings."""


def read_pairs(
    data: PairSource,
    *,
    layout: PairLayout = "auto",
    source: str | None = None,
    target: str | None = None,
    references: bool = False,
    gather: bool | None = None,
    where: str | Mapping[str, object] | None = None,
    encoding: str = "utf-8",
    bad: BadItems | None = None,
) -> Pairs:
    """The pairs of files or of a list in memory, in order.

    data: two parallel files, the source's first, and after them files of further references; a
        table (.csv, .tsv, .jsonl, .ndjson, also .gz, or .parquet) or several; a pronouncing
        dictionary (.dict); a data frame of pandas or polars; or a list of pairs (source, target),
        of pairs of a text and a list of targets, of pairs of parallel files (as Path), of mappings
        such as {"source": ..., "target": ...} or {"translation": {"de": ..., "en": ...}}.
    layout: "parallel", "table", "jsonl" or "dictionary"; "auto" goes by the endings.
    source, target: the columns or keys, by name, or in a table without a header by position ("2",
        "1"); by default those of usual names, else the first and the second column. A source of
        several columns ("lemma,tags") has their texts with spaces between them.
    references: further columns of a table are further references.
    gather: lines of one source become one pair with several targets; by default those of
        dictionaries do.
    where: the rows of tables to read: "split=train".
    encoding: of all files, or one name for each parallel file: "utf-8,latin-1".
    bad: collects single pairs that can't be used.

    White space around a text is left out; in it all stays, U+2028 and the like included.

    Raises:
        DataError: a whole source can't be read, parallel files differ in their numbers of lines;
            without `bad`, for the first pair that can't be used; with it, for more of them than its
            share; or nothing is left.
        ConfigError: for options that don't fit together.

    >>> read_pairs([("ein Hund", "a dog"), ("zwei", ["two", "a couple"])])[1].targets
    ('two', 'a couple')
    """
    if layout not in get_args(PairLayout):
        raise ConfigError(
            f"layout = {layout!r} of pairs; it is one of {', '.join(get_args(PairLayout))}."
        )
    how = FileReading(
        layout,
        PairReading(source, target, references, parse_where(where) if where else ()),
        encoding,
    )
    notes: list[str] = []
    files = _files(data)
    rows = list(_rows(data, files, how, notes))
    pairs = _usable(rows, bad)
    if gather or (gather is None and _are_dictionaries(files, layout)):
        pairs = _gathered(pairs, notes)
    places = tuple(os.path.abspath(file) for file in files or ())
    return Pairs(tuple(pairs), BadItems(1.0) if bad is None else bad, tuple(notes), places)


def text_of(value: Any) -> str:
    """A text without the white space around it, or a number as text; DataError for another type.

    None and NaN are "".
    """
    if isinstance(value, str):
        text = value.strip()
    elif value is None or isinstance(value, int | float | np.number):
        text = label_of(value)
    else:
        raise DataError(f"has an object of type {type(value).__name__}; give a text.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"has {text[error.start]!r}, which is not valid Unicode; replace it."
        ) from error
    return text


def _files(data: PairSource) -> list[Path] | None:
    """The files that the data are, None where some of them are in memory."""
    if isinstance(data, str | os.PathLike):
        return [Path(data)]
    is_list = isinstance(data, list | tuple) and len(data) > 0
    if is_list and all(isinstance(each, str | os.PathLike) for each in data):
        return [Path(each) for each in data]
    return None


def _rows(
    data: PairSource, files: Sequence[Path] | None, how: FileReading, notes: list[str]
) -> Iterator[PairRow]:
    if files is not None:
        yield from rows_of_files(files, how, notes)
    elif hasattr(data, "columns"):
        yield from frame_pairs(data, how.table, notes)
    elif isinstance(data, Iterable) and not isinstance(data, np.ndarray | bytes | Mapping):
        yield from _rows_in_memory(data, how, notes)
    else:
        raise DataError(
            f"An object of type {type(data).__name__} is not a source of pairs; give paths, a data "
            "frame, or a list of pairs (source, target)."
        )


def _rows_in_memory(data: Iterable[Any], how: FileReading, notes: list[str]) -> Iterator[PairRow]:
    numbered = enumerate(data)
    for are_mappings, group in groupby(numbered, lambda each: isinstance(each[1], Mapping)):
        if are_mappings:
            listed = list(group)
            rows = [each for _, each in listed]
            yield from mapping_pairs(rows, listed[0][0], how.table, notes)
            continue
        for number, each in group:
            yield from _row_in_memory(number, each, how, notes)


def _row_in_memory(number: int, each: Any, how: FileReading, notes: list[str]) -> Iterator[PairRow]:
    place = f"item {number}"
    if isinstance(each, TextPair):
        yield PairRow(each.origin or place, each.source, each.targets)
    elif isinstance(each, os.PathLike):
        yield from rows_of_files([Path(each)], how, notes)
    elif isinstance(each, tuple | list) and len(each) == 2:
        if all(isinstance(part, os.PathLike) for part in each):
            yield from rows_of_files([Path(part) for part in each], how, notes)
            return
        targets = each[1] if isinstance(each[1], list | tuple) else [each[1]]
        yield PairRow(place, each[0], targets)
    else:
        raise DataError(
            f"{place} (from 0) is an object of type {type(each).__name__}; give a pair (source, "
            "target), where the target may be a list of several."
        )


def _usable(rows: Sequence[PairRow], bad: BadItems | None) -> list[TextPair]:
    pairs = []
    for row in rows:
        try:
            pairs.append(_checked(row))
        except DataError as error:
            message = f"{row.origin}: {error}"
            if bad is None:
                raise DataError(message) from error
            bad.note(row.origin, message, reason=row.reason)
    if bad is not None:
        bad.check(len(rows))
    if not pairs:
        raise DataError("There is no pair; give files or a list with at least one.")
    return pairs


def _checked(row: PairRow) -> TextPair:
    if row.problem:
        raise DataError(row.problem)
    source, targets = text_of(row.source), [text_of(target) for target in row.targets]
    if not source or not any(targets):
        side = "source" if not source else "target"
        raise DataError(f"has an empty {side}." if source or any(targets) else "is empty.")
    return TextPair(source, tuple(dict.fromkeys(filter(None, targets))), row.origin)


def _are_dictionaries(files: Sequence[Path] | None, layout: PairLayout) -> bool:
    if files is None or layout not in ("auto", "dictionary"):
        return False
    return layout == "dictionary" or all(pair_layout(file) == "dictionary" for file in files)


def _gathered(pairs: Sequence[TextPair], notes: list[str]) -> list[TextPair]:
    found = gathered_pairs(pairs)
    several = sum(len(pair.targets) > 1 for pair in found)
    notes.append(
        f"{len(pairs):,} lines gathered to {len(found):,} sources, of which {several:,} have "
        "several targets."
    )
    return found
