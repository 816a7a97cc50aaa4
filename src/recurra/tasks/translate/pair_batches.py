"""Batches of pairs of numbered tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from recurra.data.batches import Dealt, bucketed, generator_of, pad
from recurra.data.texts.token_vocabulary import TokenVocabulary
from recurra.tasks.translate.model import PairBatch

__all__ = ["PairBatches", "Side", "joined", "of_equal_lengths", "of_one_length"]

Ids = np.ndarray[Any, np.dtype[np.int64]]

_POOL = 50
"""Batches whose pairs are sorted by length together."""


class Side:
    """What one side of a pair has: tokens, and their numbers."""

    def __init__(self, tokens: Sequence[str], ids: Ids) -> None:
        self.tokens: Sequence[str] = tokens
        self.ids: Ids = ids

    def __len__(self) -> int:
        return len(self.ids)


def joined(
    sources: Sequence[Side], targets: Sequence[Side], copied: TokenVocabulary | None
) -> PairBatch:
    """A batch of pairs; `copied` is the vocabulary of targets where they may copy from sources.

    Tokens that it lacks are numbered from its size on, for each source by itself.
    """
    source, source_lengths = pad([side.ids for side in sources])
    target, target_lengths = pad([side.ids for side in targets])
    if copied is None:
        return PairBatch(source, source_lengths, target, target_lengths, source, target)
    numbered = [copied.encode_copies(side.tokens) for side in sources]
    copies, _ = pad([ids for ids, _ in numbered])
    wanted, _ = pad(
        [
            copied.encode_copies(side.tokens, own)[0]
            for side, (_, own) in zip(targets, numbered, strict=True)
        ]
    )
    return PairBatch(source, source_lengths, target, target_lengths, copies, wanted)


class PairBatches(Dealt[PairBatch]):
    """Pairs of nearly equal lengths, dealt out anew in each epoch.

    `divide` gives the sides of the pair of a number, divided anew in each epoch; None: they stay as
    they are. `copied` is as for `joined`.
    """

    def __init__(
        self,
        sources: Sequence[Side],
        targets: Sequence[Side],
        copied: TokenVocabulary | None,
        *,
        batch_size: int,
        seed: int,
        divide: Callable[[int, np.random.Generator], tuple[Side, Side]] | None = None,
    ) -> None:
        super().__init__(len(sources), batch_size=batch_size, seed=seed)
        self._sources, self._targets, self._copied = sources, targets, copied
        self._divide, self._epoch = divide, 0
        self._lengths = torch.tensor(
            [
                len(source) + 1000 * len(target)
                for source, target in zip(sources, targets, strict=True)
            ]
        )

    def batch(self, rows: Tensor) -> PairBatch:
        """The pairs of these numbers."""
        pairs = [self._pair(n) for n in rows.tolist()]
        return joined([s for s, _ in pairs], [t for _, t in pairs], self._copied)

    def window(self, epoch: int, index: int) -> PairBatch:
        """Batch `index` of `epoch`."""
        self._epoch = epoch
        return super().window(epoch, index)

    def _pair(self, number: int) -> tuple[Side, Side]:
        if self._divide is None:
            return self._sources[number], self._targets[number]
        key = generator_of("divide", self._seed, self._epoch, number).initial_seed()
        return self._divide(number, np.random.default_rng(key))

    def _order(self, generator: Generator) -> Tensor:
        order = super()._order(generator)
        return bucketed(order, self._lengths, self._batch_size, _POOL, generator)


def of_equal_lengths(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """All numbers in batches, those of similar lengths side by side, long ones first."""
    order = sorted(range(len(lengths)), key=lambda number: -lengths[number])
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def of_one_length(sides: Sequence[Side], most: int) -> list[Side]:
    """The sides cut to the shortest of them, at most so many tokens."""
    length = min(most, *map(len, sides))
    return [Side(side.tokens[:length], side.ids[:length]) for side in sides]
