"""A source with its targets, and a collection of them with what was left out."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from recurra.data.transcripts.bad_items import BadItems
from recurra.data.transcripts.chosen_rows import hold_out
from recurra.data.transcripts.item import Item
from recurra.errors import DataError

__all__ = ["PairRow", "Pairs", "TextPair", "gathered_pairs", "hold_out_pairs"]


@dataclass(frozen=True)
class TextPair:
    """A text and what it becomes: one target or several, each of which is right.

    origin: the place it was read from, for messages: "train.de, line 3".
    """

    source: str
    targets: tuple[str, ...]
    origin: str = ""

    @property
    def target(self) -> str:
        """The first target."""
        return self.targets[0]


@dataclass(frozen=True, eq=False)
class PairRow:
    """A row as its file has it, not yet checked; or its problem, and that in a few words.

    targets: the further ones may be empty, the first may not.
    """

    origin: str
    source: object = None
    targets: Sequence[object] = ()
    problem: str = ""
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs in the order of their source.

    bad: what was left out, each with its place and the reason. notes: sentences on what was
    recognised, for the user. places: the files, none for pairs in memory.
    """

    pairs: tuple[TextPair, ...]
    bad: BadItems = field(default_factory=BadItems)
    notes: tuple[str, ...] = ()
    places: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[TextPair]:
        return iter(self.pairs)

    def __getitem__(self, number: int) -> TextPair:
        return self.pairs[number]

    @property
    def sources(self) -> list[str]:
        """The source of each pair."""
        return [pair.source for pair in self.pairs]

    @property
    def references(self) -> list[tuple[str, ...]]:
        """The targets of each pair."""
        return [pair.targets for pair in self.pairs]

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of all texts in order; it stays the same where files are moved."""
        total = hashlib.sha256()
        for pair in self.pairs:
            total.update(repr((pair.source, pair.targets)).encode())
        return total.hexdigest()


def gathered_pairs(pairs: Sequence[TextPair]) -> list[TextPair]:
    """One pair for each different source, with all of its targets, each once, in order.

    >>> [p.targets for p in gathered_pairs([TextPair("a", ("x",)), TextPair("a", ("y", "x"))])]
    [('x', 'y')]
    """
    first: dict[str, TextPair] = {}
    targets: dict[str, dict[str, None]] = {}
    for pair in pairs:
        first.setdefault(pair.source, pair)
        targets.setdefault(pair.source, {}).update(dict.fromkeys(pair.targets))
    return [replace(pair, targets=tuple(targets[source])) for source, pair in first.items()]


def hold_out_pairs(pairs: Pairs, share: float, seed: int = 0) -> tuple[Pairs, Pairs]:
    """Pairs to train on, and about `share` of them held out, as `hold_out` draws them.

    Pairs of equal sources stay together. Those left out stay with the ones to train on.

    >>> train, held = hold_out_pairs(Pairs(tuple(TextPair(c, ("x",)) for c in "abcdefghij")), 0.2)
    >>> len(train), len(held)
    (8, 2)
    """
    if len(pairs) < 2:
        raise DataError(f"Nothing can be held out of {len(pairs)} pairs; give two or more.")
    items = [
        Item(str(number), "text", pair.source, data=pair, format="memory")
        for number, pair in enumerate(pairs)
    ]
    parts = hold_out(items, share, seed)
    train, held = (tuple(item.data for item in part) for part in (parts.train, parts.held))
    return replace(pairs, pairs=train), Pairs(held, places=pairs.places)
