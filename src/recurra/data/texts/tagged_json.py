"""JSON lines of tokens and their tags: {"tokens": ["Ann", "sings"], "tags": ["PROPN", "VERB"]}."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from recurra.data.texts.labels import label_of
from recurra.data.texts.tagged_rows import (
    TAG_NAMES,
    TaggedReading,
    TaggedRow,
    column_place,
    token_place,
)
from recurra.data.texts.text_file import TextFile
from recurra.data.texts.text_tables import json_records
from recurra.data.transcripts.manifest_rows import plain_name
from recurra.errors import DataError

__all__ = ["json_sentences"]


def json_sentences(file: TextFile, how: TaggedReading, notes: list[str]) -> Iterator[TaggedRow]:
    """The sentences of a file, an object in each line; keys with lists of tags are layers.

    Without named layers they are the keys of usual names, or all keys with lists; `notes` tells
    which where there are several. Other keys become columns. DataError where a key is missing.
    """
    records = json_records(file)
    good = [record.cells for record in records if not record.problem]
    names = list(dict.fromkeys(name for record in good for name in record))
    keys = _keys(file, names, good, how, notes) if good else ("", ())
    for line, cells, problem in records:
        yield TaggedRow([line], problem=problem) if problem else _row(line, cells, *keys)


def _keys(
    file: TextFile,
    names: Sequence[str],
    records: Sequence[Mapping[str, Any]],
    how: TaggedReading,
    notes: list[str],
) -> tuple[str, tuple[str, ...]]:
    """The key of the tokens, and those of the tags."""
    place = token_place(file.path, names, how)
    if place is None:
        shown = ", ".join(map(repr, names))
        raise DataError(
            f'{file.path}: no key has the tokens; it has {shown}; write {{"tokens": [...], "tags": '
            "[...]}, or say which it is."
        )
    token = names[place]
    if not how.labels:
        return token, ()
    if how.layers:
        return token, tuple(names[column_place(file.path, each, names)] for each in how.layers)
    lists = [
        name
        for name in names
        if name != token and any(isinstance(record.get(name), list) for record in records)
    ]
    found = [name for name in lists if plain_name(name) in TAG_NAMES] or lists
    if not found:
        raise DataError(
            f"{file.path}: no key has a list of tags beside {token!r}; give one tag for each token."
        )
    if len(found) > 1:
        notes.append(f"{file.path}: {', '.join(map(repr, found))} were read as layers of tags.")
    return token, tuple(found)


def _row(line: int, record: Mapping[str, Any], token: str, layers: Sequence[str]) -> TaggedRow:
    try:
        tokens = [_text(each, token) for each in _list(record, token)]
        tags = {layer: [_text(each, layer) for each in _list(record, layer)] for layer in layers}
    except DataError as error:
        return TaggedRow([line], problem=str(error))
    columns = {
        name: label_of(value)
        for name, value in record.items()
        if isinstance(value, str | int | float)
    }
    return TaggedRow([line] * max(len(tokens), 1), tokens, tags, columns)


def _list(record: Mapping[str, Any], name: str) -> list[Any]:
    value = record.get(name)
    if not isinstance(value, list):
        raise DataError(f"{name!r} is {_called(value)}; give a list, one text for each token.")
    return value


def _text(value: Any, name: str) -> str:
    text = value if isinstance(value, str) else label_of(value)
    if not text.strip():
        raise DataError(f"{name!r} has an empty text or null; give one for each token.")
    return text


def _called(value: Any) -> str:
    return "missing" if value is None else f"of type {type(value).__name__}"
