"""Pairs to train on and to measure on, and those to train on as tokens with numbers."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from recurra.data.pairs.length_limit import without_long
from recurra.data.pairs.text_pair import Pairs
from recurra.tasks.translate.pair_batches import Side
from recurra.tasks.translate.text_side import TextSide

__all__ = ["DividedPairs", "PairData"]

Sides = tuple[TextSide, TextSide]

_LEAST_RATIO, _FURTHER = 2.0, 10
"""Tokens of a result for each of its source, at most, and those that it may have besides."""


class DividedPairs(NamedTuple):
    """Pairs of texts that aren't too long, one for each target, and both of their sides."""

    texts: list[tuple[str, str]]
    sources: list[Side]
    targets: list[Side]

    @property
    def ratio(self) -> float:
        """Tokens that a target has at most for each of its source, beside ten: 2 or more."""
        pairs = zip(self.sources, self.targets, strict=True)
        return max([_LEAST_RATIO, *((len(b) - _FURTHER) / len(a) for a, b in pairs)])


@dataclasses.dataclass(frozen=True, eq=False)
class PairData:
    """Pairs to train on and pairs held out; those to be measured alone are held out."""

    train: Pairs
    held_out: Pairs
    _divided: dict[tuple[Sides, int], DividedPairs] = dataclasses.field(
        default_factory=dict, repr=False
    )

    def divided(self, sides: Sides, longest: int) -> DividedPairs:
        """The pairs to train on with at most `longest` tokens a side, divided once."""
        if (sides, longest) in self._divided:
            return self._divided[sides, longest]
        source, target = sides
        sources = {pair.source: source.side(pair.source) for pair in self.train}
        targets = {text: target.side(text) for pair in self.train for text in pair.targets}
        kept = without_long(
            self.train,
            (longest, longest),
            lambda text: len(sources[text]),
            lambda text: len(targets[text]),
        )
        texts = [(pair.source, own) for pair in kept for own in pair.targets]
        made = DividedPairs(texts, [sources[a] for a, _ in texts], [targets[b] for _, b in texts])
        self._divided[sides, longest] = made
        return made
