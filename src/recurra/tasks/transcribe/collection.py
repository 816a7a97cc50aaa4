"""Items with their contents, read once; those that can't be used are named and left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from recurra.data.alphabet import Alphabet
from recurra.data.text_form import TextForm, parse_replacements
from recurra.data.transcripts.bad_items import BadItems
from recurra.data.transcripts.chosen_rows import hold_out
from recurra.data.transcripts.item import Item, kind_of_items
from recurra.data.transcripts.item_sources import digest_items, read_items
from recurra.errors import ConfigError, DataError
from recurra.tasks.task import Source
from recurra.tasks.transcribe.config import TranscribeConfig
from recurra.tasks.transcribe.inputs import Input

__all__ = [
    "Contents","Collection", "Part", "form_of", "opened", "read_collection"]


_KEPT = 1 << 30
"""Bytes of contents that stay in memory; the others are opened again each time."""


class Contents(Sequence[Any]):
    """The content of each item, in memory as far as there is room."""

    def __init__(self, how: Input, items: Sequence[Item]) -> None:
        self._how, self._items = how, items
        self._kept: dict[int, Any] = {}
        self._room = _KEPT

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, number: Any) -> Any:
        if number not in self._kept:
            content = self._how.open(self._items[number])
            self._room -= _size(content)
            if self._room < 0:
                return content
            self._kept[number] = content
        return self._kept[number]


def _size(content: Any) -> int:
    """Bytes of a content, but for the strokes of ink, which are small."""
    return int(getattr(getattr(content, "samples", content), "nbytes", 0))


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """Items with their contents, texts, and feature steps; `bad` are those that were left out."""

    items: Sequence[Item]
    contents: Sequence[Any]
    steps: Sequence[int]
    bad: BadItems
    notes: Sequence[str] = ()

    @property
    def texts(self) -> list[str]:
        """The transcripts."""
        return [item.text or "" for item in self.items]

    def __len__(self) -> int:
        return len(self.items)

    @classmethod
    def empty(cls) -> Part:
        """No item."""
        return cls((), (), (), BadItems())


@dataclasses.dataclass(frozen=True, eq=False)
class Collection:
    """Items to train on and items to validate on, as an input reads them."""

    how: Input
    train: Part
    held_out: Part
    sources: Sequence[Source]


def form_of(config: TranscribeConfig) -> TextForm:
    """The form of transcripts."""
    return TextForm(
        config.case, config.unicode_form, config.punctuation, parse_replacements(config.replace)
    )


def listed(
    config: TranscribeConfig, data: Any, where: str | None, bad: BadItems, *, texts: bool = True
) -> list[Item]:
    """The items of files, folders or pairs in memory; ConfigError or DataError where none can be."""
    return read_items(
        data,
        texts=texts,
        where=where,
        root=config.root,
        outside=config.outside,
        path_column=config.path_column,
        text_column=config.text_column,
        kind=None if config.input == "auto" else config.input,
        form=form_of(config),
        bad=bad,
    )


def expanded(how: type[Input], items: Sequence[Item], form: TextForm, bad: BadItems) -> list[Item]:
    """The items, those of files that hold several taken apart, texts in their form."""
    found = []
    for item in how.expanded(items):
        if isinstance(item, tuple):
            bad.note(item[0].origin or item[0].name, item[1])
        elif item.text is None:
            found.append(item)
        elif text := form.apply(item.text):
            found.append(dataclasses.replace(item, text=text))
        else:
            bad.note(item.name, f"{item.name}: has an empty transcript.")
    return found


def opened(
    how: Input, items: Sequence[Item], bad: BadItems, refuse: Callable[[Item, int], str | None]
) -> Part:
    """The items that can be opened, and that `refuse`, given one and its steps, has no reason for.

    DataError where too many of them can't.
    """
    contents, total = Contents(how, items), len(items) + len(bad)
    kept: list[int] = []
    steps: list[int] = []
    notes: dict[str, int] = {}
    for number, item in enumerate(items):
        try:
            content = contents[number]
            count = len(how.raw(content))
            if reason := refuse(item, count):
                raise DataError(f"{item.name}: {reason}")
        except DataError as error:
            bad.note(item.origin or item.name, error)
            continue
        kept.append(number)
        steps.append(count)
        for note in how.notes(content):
            notes[note] = notes.get(note, 0) + 1
    bad.check(total)
    said = [f"{count:,} of {len(items):,} items: {note}" for note, count in notes.items()]
    return Part([items[n] for n in kept], _Chosen(contents, kept), steps, bad, said)


class _Chosen(Sequence[Any]):
    """Some of the contents."""

    def __init__(self, contents: Sequence[Any], numbers: Sequence[int]) -> None:
        self._contents, self._numbers = contents, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, number: Any) -> Any:
        return self._contents[self._numbers[number]]
