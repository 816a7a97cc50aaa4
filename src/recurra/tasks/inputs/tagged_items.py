"""Texts with a tag for each token: files, and lists in memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recurra.config.sequence_config import SequenceConfig
from recurra.data.texts.tagged_files import read_tagged
from recurra.data.texts.tagged_lists import are_tokens, listed_tokens
from recurra.data.texts.tagged_rows import TOKEN_NAMES
from recurra.data.transcripts.bad_items import BadItems
from recurra.data.transcripts.item import Item
from recurra.data.transcripts.manifest_rows import plain_name
from recurra.tasks.inputs.collection import Listed

__all__ = ["holds_tokens", "tagged_items"]

_ENDINGS = (".conll", ".conllu", ".conll-u", ".conllx", ".bio", ".iob", ".iob2")


def holds_tokens(data: Any) -> bool:
    """Whether data show that they are tokens: lists of them, files whose ending says so, or data
    frames with a column of them.
    """
    first = data[0] if isinstance(data, (list, tuple)) and len(data) else data
    if isinstance(first, (str, os.PathLike)):
        return Path(first).name.lower().removesuffix(".gz").endswith(_ENDINGS)
    if hasattr(first, "columns"):
        return any(plain_name(str(name)) in TOKEN_NAMES for name in first.columns)
    return are_tokens(first)


def tagged_items(
    config: SequenceConfig, data: Any, where: str | None, bad: BadItems | None, *, labels: bool
) -> Listed:
    """The items of files, data frames or lists of tokens, with their tags where `labels` is true.

    A str in a list is the name of a file where items need labels, else a text.
    """
    notes: list[str] = []
    found: list[Item] = []
    given = data if isinstance(data, (list, tuple)) else [data]
    if all(_is_path(each, labels) or hasattr(each, "columns") for each in given):
        found = read_tagged(
            given,
            labels=labels,
            layers=_layers(config),
            token_column=config.text_column,
            sentence_column=config.id_column,
            where=where,
            encoding=config.encoding,
            bad=bad,
            notes=notes,
        )
    else:
        found = listed_tokens(given, labels=labels, bad=bad, notes=notes)
    return Listed(found, tuple(notes))


def _is_path(each: Any, labels: bool) -> bool:
    return isinstance(each, os.PathLike) or (isinstance(each, str) and labels)


def _layers(config: SequenceConfig) -> Sequence[str]:
    """The columns of tags that the settings name."""
    names: Sequence[str] = getattr(config, "layer_names", ())
    return names
