"""Sentences as their files have them: tokens, tags by layer, and the line of each token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from recurra.data.transcripts.manifest_rows import plain_name
from recurra.errors import DataError

__all__ = [
    "DEFAULT_LAYER",
    "TAG_NAMES",
    "TaggedReading",
    "TaggedRow",
    "column_place",
    "layer_places",
    "token_place",
]

TOKEN_NAMES = ("token", "tokens", "word", "words", "form", "forms")
TAG_NAMES = (
    *("tag", "tags", "label", "labels", "ner", "ner_tag", "ner_tags", "entity", "entities"),
    *("slot", "slots", "slot_tags", "bio", "iob", "chunk", "chunk_tags", "pos", "pos_tag"),
    *("pos_tags", "upos", "xpos", "deprel"),
)
"""Names of columns and keys; capitals, spaces and hyphens don't matter."""

DEFAULT_LAYER = "tag"
"""The name of a layer that has none of its own."""


@dataclass(frozen=True)
class TaggedReading:
    """How files are read: see `read_tagged`, whose arguments these are."""

    labels: bool = True
    layers: tuple[str, ...] = ()
    token_column: str | None = None
    sentence_column: str | None = None


@dataclass(frozen=True, eq=False)
class TaggedRow:
    """A sentence with the line of each token, or the problem of one; `columns` are other cells."""

    lines: Sequence[int]
    tokens: Sequence[str] = ()
    tags: Mapping[str, Sequence[str]] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


def column_place(path: Path, name: str, names: Sequence[str]) -> int:
    """The place of a column by its name, or by its number from 1 on, from the end -1.

    DataError where it isn't there.

    >>> column_place(Path("a.csv"), "-1", ["word", "pos", "ner"])
    2
    """
    if name in names:
        return list(names).index(name)
    if name.lstrip("-").isdigit() and 1 <= abs(int(name)) <= len(names):
        return int(name) - 1 if int(name) > 0 else len(names) + int(name)
    shown = ", ".join(map(repr, names))
    raise DataError(
        f"{path}: no column {name!r}; it has {shown}: give one of these, or a number from 1 to "
        f"{len(names)}."
    )


def token_place(path: Path, names: Sequence[str], how: TaggedReading) -> int | None:
    """The place of the tokens: the column that is named, or of a usual name; None without."""
    if how.token_column is not None:
        return column_place(path, how.token_column, names)
    return next((n for n, name in enumerate(names) if plain_name(name) in TOKEN_NAMES), None)


def layer_places(path: Path, names: Sequence[str], how: TaggedReading) -> dict[str, int]:
    """The places of the layers that are named, by the names of their columns.

    A column without a name of its own, of which a number stands, is the default layer if alone.
    """
    places = [column_place(path, layer, names) for layer in how.layers]
    if len(places) == 1 and names[places[0]].isdigit():
        return {DEFAULT_LAYER: places[0]}
    return {names[place]: place for place in places}
