"""Batches of items with their texts: distorted anew in each epoch, the same whenever asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from recurra.data.batches import Dealt, bucketed, generator_of, pad
from recurra.data.feature_masks import mask_features
from recurra.tasks.inputs import Input
from recurra.tasks.transcribe.model import TextBatch

__all__ = ["TextBatches", "in_order", "padded"]

_POOL = 20
"""Batches whose items are sorted by length together."""


class TextBatches(Dealt[TextBatch]):
    """Items of nearly equal lengths; the first `curriculum` epochs go from short ones to long ones.

    `lengths` are the steps of each item without distortions. A batch's features are distorted by
    random numbers of the seed, the epoch and the item.
    """

    def __init__(
        self,
        how: Input,
        contents: Sequence[Any],
        texts: Sequence[np.ndarray[Any, Any]],
        lengths: Sequence[int],
        *,
        batch_size: int,
        seed: int,
        curriculum: int = 0,
    ) -> None:
        super().__init__(len(contents), batch_size=batch_size, seed=seed)
        self._how, self._contents, self._texts = how, contents, texts
        self._lengths = torch.as_tensor(lengths)
        self._curriculum, self._epoch = curriculum, 0

    def window(self, epoch: int, index: int) -> TextBatch:
        """Batch `index` of `epoch`."""
        self._epoch = epoch
        return super().window(epoch, index)

    def batch(self, rows: Tensor) -> TextBatch:
        """These items, distorted as the epoch has it."""
        numbers = rows.tolist()
        return padded([self._features(n) for n in numbers], [self._texts[n] for n in numbers])

    def _features(self, number: int) -> np.ndarray[Any, Any]:
        key = generator_of("distort", self._seed, self._epoch, number).initial_seed()
        generator = np.random.default_rng(key)
        content = self._how.distorted(self._contents[number], generator)
        return mask_features(self._how.features(content), self._how.masks, generator)

    def _order(self, generator: Generator) -> Tensor:
        order = super()._order(generator)
        if self._epoch < self._curriculum:
            used = order[: len(self) * self._batch_size]
            return used[self._lengths[used].argsort(stable=True)]
        return bucketed(order, self._lengths, self._batch_size, _POOL, generator)


def padded(
    features: Sequence[np.ndarray[Any, Any]], texts: Sequence[np.ndarray[Any, Any]]
) -> TextBatch:
    """A batch of these features (T, F) and texts (U,).

    Lengths of batches are rounded up, since torch keeps code for each different shape of a
    convolution: with some hundreds of them that was 4 GB.
    """
    inputs, lengths = pad(features)
    targets, target_lengths = pad(texts)
    inputs = functional.pad(inputs, (0, 0, 0, 0, 0, _rounded(len(inputs)) - len(inputs)))
    return TextBatch(inputs, lengths, targets.t().contiguous(), target_lengths)


def _rounded(steps: int) -> int:
    """At most an eighth more, such that few numbers come out.

    >>> [_rounded(steps) for steps in (5, 100, 131, 1000)]
    [16, 112, 144, 1024]
    """
    coarse = max(16, 1 << max(0, steps.bit_length() - 4))
    return -(-steps // coarse) * coarse


def in_order(
    how: Input, contents: Sequence[Any], texts: Sequence[np.ndarray[Any, Any]], batch_size: int
) -> Iterator[tuple[list[int], TextBatch]]:
    """Every item once, undistorted, with its number, those of similar lengths side by side."""
    features = [how.features(content) for content in contents]
    numbers = sorted(range(len(features)), key=lambda number: len(features[number]))
    for first in range(0, len(numbers), batch_size):
        chosen = numbers[first : first + batch_size]
        yield chosen, padded([features[n] for n in chosen], [texts[n] for n in chosen])
