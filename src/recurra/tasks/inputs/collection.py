"""Items with their contents, read once; those that can't be used are named and left out."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from recurra.config.input_config import InputConfig
from recurra.data.sequences.step_windows import RECORDING
from recurra.data.text_form import TextForm
from recurra.data.transcripts.bad_items import BadItems
from recurra.data.transcripts.chosen_rows import HeldOutItems, hold_out
from recurra.data.transcripts.item import Item, kind_of_items
from recurra.data.transcripts.item_sources import digest_items, read_items
from recurra.errors import ConfigError, DataError
from recurra.tasks.inputs import INPUTS, Input
from recurra.tasks.task import Source

__all__ = [
    "Collection",
    "Contents",
    "HoldOut",
    "Listed",
    "Listing",
    "Part",
    "Refuse",
    "expanded",
    "groups_of",
    "held_by_column",
    "listed",
    "opened",
    "read_collection",
]

_KEPT = 1 << 30
"""Bytes of contents that stay in memory; the others are opened again each time."""


class Listed(NamedTuple):
    """Items that are not yet opened, sentences about them, and the order of the axes of arrays."""

    items: list[Item]
    notes: tuple[str, ...] = ()
    layout: str | None = None


Listing = Callable[[Any, Any, str | None, TextForm, BadItems | None], Listed]
"""Lists the items of data that a configuration describes, as `listed` does."""

HoldOut = Callable[[Any, Sequence[Item]], HeldOutItems]
"""Parts items for training from those held out, as a configuration wants it."""

Refuse = Callable[[Input, Item, int], str | None]
"""Given an input, an item and its steps, says why it can't be used; None where it can."""


class Contents(Sequence[Any]):
    """The content of each item, in memory as far as there is room."""

    def __init__(self, how: Input, items: Sequence[Item]) -> None:
        self._how, self._items = how, items
        self._kept: dict[int, Any] = {}
        self._room = _KEPT

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, number: Any) -> Any:
        if number in self._kept:
            return self._kept[number]
        content = self._how.open(self._items[number])
        self._room -= _size(content)
        if self._room >= 0:
            self._kept[number] = content
        return content

    def only(self, numbers: Sequence[int]) -> Contents:
        """Those of some items."""
        part = Contents(self._how, [self._items[number] for number in numbers])
        part._kept = {place: self._kept[n] for place, n in enumerate(numbers) if n in self._kept}
        part._room = self._room
        return part


def _size(content: Any) -> int:
    """Bytes of a content, but for the strokes of ink, which lie in the item anyway."""
    return int(getattr(getattr(content, "samples", content), "nbytes", 0))


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """Items with their contents and feature steps; `bad` are those that were left out."""

    items: Sequence[Item] = ()
    contents: Sequence[Any] = ()
    steps: Sequence[int] = ()
    bad: BadItems = dataclasses.field(default_factory=BadItems)
    notes: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.items)

    @property
    def texts(self) -> list[str]:
        """The texts, in their form."""
        return [item.text or "" for item in self.items]


@dataclasses.dataclass(frozen=True, eq=False)
class Collection:
    """Items to train on and items held out, as an input reads them."""

    how: Input
    train: Part
    held_out: Part
    sources: Sequence[Source] = ()
    notes: Sequence[str] = ()
    layout: str | None = None

    @property
    def of_steps(self) -> bool:
        """Whether labels are of steps rather than of whole series."""
        return any(getattr(item.data, "labels", None) is not None for item in self.items)

    @property
    def items(self) -> list[Item]:
        """The items of both parts."""
        return [*self.train.items, *self.held_out.items]


def read_collection(
    config: InputConfig,
    data: Any,
    form: TextForm,
    refuse: Refuse,
    *,
    listing: Listing | None = None,
    hold: HoldOut | None = None,
    begun: Input | None = None,
) -> Collection:
    """The items of `data`, or of the files that the configuration names, and those held out.

    `listing` lists the items, by default `listed`; `hold` parts them where nothing else is
    validated on, by default `held_by_column`. `begun`: the input of a run that is trained further,
    or again.

    Raises DataError for data that can't be read, or with more bad items than the configuration
    allows; ConfigError for settings of another kind of input.
    """
    bad, bad_held = BadItems(config.bad_share), BadItems(config.bad_share)
    given = list(config.data) if data is None else data
    list_items = listing or listed
    found = list_items(config, given, config.where, form, bad)
    items, held = found.items, list[Item]()
    if config.valid is not None or config.valid_where is not None:
        apart = given if config.valid is None else config.valid
        held = list_items(config, apart, config.valid_where, form, bad_held).items
    name = kind_of_items([*items, *held])
    if begun is not None and begun.kind != name:
        raise ConfigError(
            f"The run to start from reads {begun.kind}, and the data are {name}; start from a run "
            "of the same kind."
        )
    dataclasses.replace(config, input=name)  # refuses settings of another kind than the data show
    kind = INPUTS[name]
    items, held = expanded(kind, items, form, bad), expanded(kind, held, form, bad_held)
    if not held and config.valid_fraction:
        parts = (hold or held_by_column)(config, items)
        items, held = parts.train, parts.held
    how = kind.of(config, items) if begun is None else begun.begun(config, items)
    train = opened(how, items, bad, refuse)
    held_out = opened(how, held, bad_held, refuse) if held else Part()
    place = _place(given)
    sources = [Source("items to train on", place, digest_items(train.items))]
    if held:
        sources.append(
            Source("items held out", config.valid or place, digest_items(held_out.items))
        )
    notes = (*found.notes, *_parts_note(found.items))
    return Collection(how, train, held_out, sources, notes, found.layout)


def _parts_note(items: Sequence[Item]) -> list[str]:
    """A sentence where rows are parts of recordings, unless these are windows."""
    parts = [item for item in items if item.span is not None and RECORDING not in item.columns]
    if not parts:
        return []
    count = len({item.path for item in parts})
    return [
        f"{len(parts):,} items are parts of {count:,} recordings, from a second to another, as "
        "their rows say."
    ]


def held_by_column(config: InputConfig, items: Sequence[Item]) -> HeldOutItems:
    """A share of the items, or of the groups of a column, as the configuration wants it."""
    return hold_out(items, config.valid_fraction, config.seed, by=config.valid_by)


def _place(given: Any) -> str | None:
    """Where data lie; None where some are in memory."""
    items = given if isinstance(given, (list, tuple)) else [given]
    if not all(isinstance(item, (str, os.PathLike)) for item in items):
        return None
    return ", ".join(os.path.abspath(item) for item in items)


def listed(
    config: InputConfig,
    data: Any,
    where: str | None,
    form: TextForm,
    bad: BadItems | None,
    *,
    texts: bool = True,
) -> Listed:
    """The items of files, folders or pairs in memory, not yet read; for `bad` see `read_items`."""
    items = read_items(
        data,
        texts=texts,
        where=where,
        root=config.root,
        outside=config.outside,
        path_column=config.path_column,
        text_column=config.text_column,
        kind=None if config.input == "auto" else config.input,
        form=form,
        bad=bad,
    )
    return Listed(items)


def expanded(kind: type[Input], items: Sequence[Item], form: TextForm, bad: BadItems) -> list[Item]:
    """The items, those of files that hold several taken apart, texts in their form."""
    found = []
    for item in kind.expanded(items):
        if isinstance(item, tuple):
            bad.note(item[0].origin or item[0].name, item[1])
        elif item.text is None or (text := form.apply(item.text)) == item.text:
            found.append(item)
        elif text:
            found.append(dataclasses.replace(item, text=text))
        else:
            bad.note(item.name, f"{item.name}: has an empty text.")
    return found


def opened(how: Input, items: Sequence[Item], bad: BadItems, refuse: Refuse) -> Part:
    """The items that can be opened, and that `refuse` has no reason against.

    DataError where too many of them can't.
    """
    contents, total = Contents(how, items), len(items) + len(bad)
    kept: dict[int, int] = {}
    notes: dict[str, int] = {}
    for number, item in enumerate(items):
        try:
            content = contents[number]
            steps = len(how.raw(content))
            if reason := refuse(how, item, steps):
                raise DataError(f"{item.name}: {reason}")
        except DataError as error:
            bad.note(item.origin or item.name, error)
            continue
        kept[number] = steps
        for note in how.notes(item, content):
            notes[note] = notes.get(note, 0) + 1
    bad.check(total)
    numbers = list(kept)
    said = [f"{count:,} of {len(numbers):,} items: {note}" for note, count in notes.items()]
    chosen = [items[number] for number in numbers]
    return Part(chosen, contents.only(numbers), list(kept.values()), bad, said)


def groups_of(items: Sequence[Item], column: str | None) -> list[str] | None:
    """Each item's cell in a column, None without one; DataError where an item's is empty."""
    if column is None:
        return None
    missing = [item for item in items if not item.columns.get(column)]
    if missing:
        known = ", ".join(sorted(missing[0].columns)) or "none"
        raise DataError(
            f"groups = {column!r}: {missing[0].origin or missing[0].name} has nothing in that "
            f"column; its columns are {known}."
        )
    return [item.columns[column] for item in items]
