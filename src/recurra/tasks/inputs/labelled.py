"""Items with labels: texts, series, manifests, folders of classes, and pairs in memory."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recurra.config.sequence_config import SequenceConfig
from recurra.data.sequences.sequence_sources import read_sequences
from recurra.data.sequences.step_labels import LabelScope
from recurra.data.sequences.table_roles import TIME_COLUMNS
from recurra.data.sequences.ucr_rows import holds_ucr_rows
from recurra.data.text_form import TextForm
from recurra.data.texts.labelled_texts import read_texts
from recurra.data.texts.labels import label_of, several_labels
from recurra.data.texts.text_tables import TEXT_COLUMNS
from recurra.data.transcripts.bad_items import BadItems
from recurra.data.transcripts.folder_items import folder_files
from recurra.data.transcripts.item import SUFFIXES, Item
from recurra.data.transcripts.item_sources import read_items
from recurra.data.transcripts.manifest_rows import (
    PATH_COLUMNS,
    ManifestRow,
    manifest_suffix,
    plain_name,
    read_rows,
)
from recurra.errors import DataError
from recurra.tasks.inputs.collection import Listed
from recurra.tasks.inputs.tagged_items import holds_tokens, tagged_items

__all__ = ["ANY_FORM", "is_path", "labelled_items", "paired"]

ANY_FORM = TextForm("keep", "none", "keep", ())
"""Labels stay as they are written."""

_LABELS = (
    *("label", "class", "target", "category", "intent", "answer", "y"),
    *("digit", "word", "command", "sentiment", "activity"),
)
"""Usual names of a manifest's column of labels."""

_SERIES_ENDINGS = (".ts", ".arff", ".ts.gz", ".arff.gz")


def labelled_items(
    config: SequenceConfig,
    data: Any,
    where: str | None,
    form: TextForm,
    bad: BadItems | None,
    *,
    labels: bool = True,
    scope: LabelScope = "sequence",
) -> Listed:
    """The items of files, folders, tables or pairs in memory, their labels as texts.

    What they hold is seen from them where the settings don't say it. `labels`: each needs one;
    `scope`: what has a label, of series.
    """
    given = data
    if isinstance(data, (list, tuple)) and _is_whole(data, texts=config.input == "text"):
        given = data[0]
    kind = _seen(given) if config.input == "auto" else config.input
    if scope == "step" and (kind == "text" or (config.input == "auto" and holds_tokens(given))):
        return tagged_items(config, given, where, bad, labels=labels)
    if kind == "series":
        found = _series(config, given, where, bad, labels, scope)
    elif kind == "text":
        found = _texts(config, given, where, bad, labels)
    else:
        found = Listed(_media(config, data, where, form, bad, labels))
    if not getattr(config, "several", False) or kind == "text":
        return found
    return found._replace(items=[_several(item, config) for item in found.items])


def _is_whole(data: Sequence[Any], *, texts: bool) -> bool:
    """Whether a list has one source alone: a file, or a data frame."""
    return len(data) == 1 and (is_path(data[0], texts=texts) or hasattr(data[0], "columns"))


def is_path(each: Any, *, texts: bool = False) -> bool:
    """Tell whether it names a file; among `texts` a str is one of them."""
    return isinstance(each, os.PathLike) or (isinstance(each, str) and not texts)


def _series(
    config: SequenceConfig,
    data: Any,
    where: str | None,
    bad: BadItems | None,
    labels: bool,
    scope: LabelScope,
) -> Listed:
    sequences, answers = _unpaired(data)
    reading = read_sequences(
        sequences,
        answers,
        texts=labels,
        label=scope,
        where=where,
        id_column=config.id_column,
        label_column=config.label_column,
        layout=None if config.layout == "auto" else config.layout,
        bad=bad,
    )
    return Listed(reading.items, reading.notes, reading.layout)


def _texts(
    config: SequenceConfig, data: Any, where: str | None, bad: BadItems | None, labels: bool
) -> Listed:
    notes: list[str] = []
    several = getattr(config, "several", False)
    items = read_texts(
        data,
        labels=labels,
        text_column=config.text_column,
        label_column=config.label_column,
        several=several,
        separator=getattr(config, "separator", None) if several else None,
        where=where,
        encoding=config.encoding,
        bad=bad,
        notes=notes,
    )
    return Listed(items, tuple(notes))


def _media(
    config: SequenceConfig,
    data: Any,
    where: str | None,
    form: TextForm,
    bad: BadItems | None,
    labels: bool,
) -> list[Item]:
    given = [_as_item(each) for each in data] if isinstance(data, (list, tuple)) else data
    return read_items(
        given,
        texts=labels,
        where=where,
        root=config.root,
        outside=config.outside,
        path_column=config.path_column,
        text_column=config.label_column,
        text_names=_LABELS,
        classes=True,
        kind=None if config.input == "auto" else config.input,
        form=form,
        bad=bad,
    )


def _as_item(each: Any) -> Any:
    """A path or an item as it is, a content with its label as a text, or without one."""
    if is_path(each) or isinstance(each, Item):
        return each
    content, label = each if _is_pair(each) else (each, None)
    plain = label is None or isinstance(label, (list, set, tuple))
    return content, (label if plain else label_of(label))


def _several(item: Item, config: Any) -> Item:
    """The item with its labels as a JSON list."""
    if item.text is None:
        return item
    return dataclasses.replace(item, text=several_labels(item.text, config.separator))


def _unpaired(data: Any) -> tuple[Any, list[Any] | None]:
    """Sequences and their labels apart, where data are pairs in memory."""
    if isinstance(data, list) and data and all(_is_pair(each) for each in data):
        return [each for each, _ in data], [label for _, label in data]
    return data, None


def _is_pair(each: Any) -> bool:
    return isinstance(each, tuple) and len(each) == 2


def _seen(data: Any) -> str:
    """The kind that data show: "series", "text", or "auto" for what `read_items` recognises."""
    first = data[0] if isinstance(data, (list, tuple)) and len(data) else data
    if isinstance(first, Item):
        return first.kind
    if hasattr(first, "columns"):
        return "text" if _has_texts(first.columns) else "series"
    if _is_pair(first):
        first = first[0]
        if isinstance(first, str):
            return "text"
    if is_path(first):
        return _seen_in(Path(first))
    return "series" if isinstance(first, (np.ndarray, list, tuple)) or _is_series(first) else "auto"


def _is_series(content: Any) -> bool:
    return hasattr(content, "values") and hasattr(content, "channels")


def _has_texts(columns: Any) -> bool:
    return any(plain_name(str(name)) in TEXT_COLUMNS for name in columns)


def _seen_in(path: Path) -> str:
    name = path.name.lower()
    if name.endswith(_SERIES_ENDINGS):
        return "series"
    if path.is_dir():
        return _seen_in_folder(path)
    if manifest_suffix(path) and not _holds_rows_of_numbers(path):
        return _seen_in_table(path)
    if name.endswith((".txt", ".txt.gz", ".tsv", ".csv")):
        return "series" if _holds_rows_of_numbers(path) else "text"
    return "series" if name.endswith((".parquet", ".pq")) else "auto"


def _holds_rows_of_numbers(path: Path) -> bool:
    try:
        return holds_ucr_rows(path)
    except DataError:  # such as another encoding; who reads it says so
        return False


def _seen_in_folder(folder: Path) -> str:
    """Texts where it has .txt files and nothing else that is known."""
    known = tuple(ending for endings in SUFFIXES.values() for ending in endings)
    texts = False
    for file in folder_files(folder):
        if file.name.lower().endswith(known) or manifest_suffix(file):
            return "auto"
        texts = texts or file.name.lower().endswith(".txt")
    return "text" if texts else "auto"


def _seen_in_table(path: Path) -> str:
    """A manifest where a column names files, series where most columns are numbers, else texts."""
    try:
        rows = [row for row in read_rows(path) if isinstance(row, ManifestRow)][:20]
    except DataError:  # such as lines without a header
        return "text"
    if not rows or rows[0].strokes:
        return "auto"
    cells = rows[0].cells
    names = {plain_name(name): name for name in cells}
    if any(plain in PATH_COLUMNS and _is_file(path, cells[own]) for plain, own in names.items()):
        return "auto"
    if _has_texts(names):
        return "text"
    numeric = [
        name
        for name in cells
        if plain_name(name) in TIME_COLUMNS
        or all(_is_number(row.cells.get(name, "")) for row in rows)
    ]
    return "series" if len(numeric) >= 2 and len(numeric) >= len(cells) - 2 else "text"


def _is_file(manifest: Path, cell: str) -> bool:
    return bool(Path(cell).suffix) or (manifest.parent / cell).is_file()


def _is_number(cell: str) -> bool:
    try:
        float(cell or "nan")
    except ValueError:
        return False
    return True


def paired(data: Any, labels: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Sequences with their labels; DataError where there are not as many of both.

    >>> paired(["a", "b"], [1, 2.5])
    [('a', 1), ('b', 2.5)]
    """
    sequences, answers = list(data), list(labels)
    if len(sequences) != len(answers):
        raise DataError(
            f"There are {len(sequences):,} sequences and {len(answers):,} labels; give a label for "
            "each sequence."
        )
    return list(zip(sequences, answers, strict=True))
