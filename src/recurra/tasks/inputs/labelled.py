"""Items with labels: manifests, folders of classes, texts, series, and pairs in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from recurra.config.sequence_config import SequenceConfig
from recurra.data.text_form import TextForm
from recurra.data.transcripts.bad_items import BadItems
from recurra.data.transcripts.item import Item
from recurra.data.transcripts.item_sources import read_items
from recurra.errors import DataError
from recurra.tasks.inputs.collection import expanded
from recurra.tasks.inputs.input import Input

__all__ = ["ANY_FORM", "LABEL_COLUMNS", "labelled_items", "paired", "unlabelled_items"]

ANY_FORM = TextForm("keep", "none", "keep", ())
"""Labels stay as they are written."""

LABEL_COLUMNS = (
    *("label", "class", "target", "category", "intent", "answer", "y"),
    *("digit", "word", "command", "sentiment", "activity"),
)


def labelled_items(
    config: SequenceConfig,
    data: Any,
    where: str | None,
    form: TextForm,
    bad: BadItems | None,
    *,
    texts: bool = True,
) -> list[Item]:
    """The items of files, folders or pairs in memory, their labels as texts."""
    return read_items(
        data,
        texts=texts,
        where=where,
        root=config.root,
        outside=config.outside,
        path_column=config.path_column,
        text_column=config.label_column,
        text_names=LABEL_COLUMNS,
        classes=True,
        kind=None if config.input == "auto" else config.input,
        form=form,
        bad=bad,
    )


def unlabelled_items(config: SequenceConfig, how: Input, data: Any) -> list[Item]:
    """The items of what was given, labels aside; DataError for one that can't be used."""
    config = dataclasses.replace(config, input=cast("Any", how.kind), root=None, outside=True)
    given = data if isinstance(data, list) else [data]
    items = labelled_items(config, given, None, ANY_FORM, None, texts=False)
    bad = BadItems(1.0)
    items = expanded(type(how), items, ANY_FORM, bad)
    if len(bad):
        raise DataError(next(iter(bad.messages.values())))
    return items


def paired(data: Any, labels: Sequence[Any]) -> list[tuple[Any, str]]:
    """Sequences with their labels as texts.

    Raises DataError where there are not as many of both.

    >>> paired(["a", "b"], [1, 2.5])
    [('a', '1'), ('b', '2.5')]
    """
    sequences = list(data)
    if len(sequences) != len(labels):
        raise DataError(
            f"There are {len(sequences):,} sequences and {len(labels):,} labels; give a label for "
            "each sequence."
        )
    return [(each, _text(label)) for each, label in zip(sequences, labels, strict=True)]


def _text(label: Any) -> str:
    if isinstance(label, np.generic):
        label = label.item()
    if isinstance(label, (list, tuple, set)):
        return ",".join(map(str, label))
    return str(label)
