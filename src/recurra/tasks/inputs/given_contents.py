"""Contents of sequences that are to be answered; those that can't be read with the reason."""

from __future__ import annotations

import dataclasses
import re
from typing import Any, cast

import numpy as np

from recurra.config.sequence_config import SequenceConfig
from recurra.data.sequences.step_labels import LabelScope
from recurra.data.transcripts.bad_items import BadItems
from recurra.errors import DataError
from recurra.tasks.inputs.collection import Listed, expanded
from recurra.tasks.inputs.input import Input
from recurra.tasks.inputs.labelled import ANY_FORM, is_path, labelled_items
from recurra.tasks.inputs.series_input import SeriesInput

__all__ = ["Given", "given_contents"]

_BY_ITSELF = re.compile(r"^(sequence|item) 0( \(from 0\))?: ")
"""How readers name the first of what is in memory."""


@dataclasses.dataclass(frozen=True, eq=False)
class Given:
    """What was given to be answered: names, contents (None where one can't be read), and why."""

    names: list[str]
    contents: list[Any]
    errors: dict[int, str]

    @property
    def good(self) -> list[int]:
        """The places of contents that can be read."""
        return [n for n in range(len(self.contents)) if n not in self.errors]


def given_contents(
    config: SequenceConfig, how: Input, data: Any, scope: LabelScope = "sequence"
) -> Given:
    """The contents of sequences without labels; those that can't be read are kept with the reason.

    `scope` is what has a label. Raises DataError where a whole source can't be read.
    """
    config = dataclasses.replace(config, input=cast("Any", how.kind), root=None, outside=True)
    found = Given([], [], {})
    if hasattr(data, "columns") or is_path(data):
        _open(config, how, data, found, scope)
        return found
    if scope == "step" and isinstance(how, SeriesInput) and _is_one(data, how):
        data = [data]
    texts = how.kind == "text"
    for number, each in enumerate(data):
        before = len(found.names)
        _open(config, how, [each], found, scope)
        if not is_path(each, texts=texts) and len(found.names) == before + 1:
            found.names[before] = f"item {number}"
            if before in found.errors:
                own = _BY_ITSELF.sub("", found.errors[before])
                found.errors[before] = f"item {number} (from 0): {own}"
    return found


def _is_one(data: Any, how: SeriesInput) -> bool:
    """Whether an array is one recording: (T,), (T, C) or (C, T) with the model's channels."""
    if not isinstance(data, np.ndarray) or data.dtype == object:
        return False
    return data.ndim == 1 or (data.ndim == 2 and len(how.columns.channels) in data.shape)


def _open(config: SequenceConfig, how: Input, data: Any, found: Given, scope: LabelScope) -> None:
    """Add the items of a source, those that can't be read after the others."""
    bad = BadItems(1.0)
    try:
        listed = labelled_items(config, data, None, ANY_FORM, bad, labels=False, scope=scope)
    except DataError as error:
        in_memory = isinstance(data, list) and not is_path(data[0], texts=how.kind == "text")
        if not len(bad) and not in_memory:
            raise
        listed = Listed([])
        if not len(bad):  # else it says that nothing is left
            bad.note("", error)
    for item in expanded(type(how), listed.items, ANY_FORM, bad):
        try:
            content = how.open(item)
        except DataError as error:
            bad.note(item.name, error)
            continue
        found.names.append(item.name)
        found.contents.append(content)
    for name, message in bad.messages.items():
        found.errors[len(found.contents)] = message
        found.names.append(name)
        found.contents.append(None)
