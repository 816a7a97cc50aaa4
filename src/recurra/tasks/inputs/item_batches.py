"""Batches of items: distorted anew in each epoch, the same whenever asked for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from recurra.data.batches import Dealt, bucketed, generator_of, pad
from recurra.data.feature_masks import mask_features
from recurra.tasks.inputs.input import Input

__all__ = [
    "ItemBatches",
    "StepBatches",
    "TargetBatch",
    "TargetBatches",
    "in_order",
    "padded_features",
    "spread",
]

Batch = TypeVar("Batch")
Rows = np.ndarray[Any, Any]

_POOL = 20
"""Batches whose items are sorted by length together."""


class ItemBatches(Dealt[Batch]):
    """Items of nearly equal lengths; the first `curriculum` epochs go from short ones to long ones.

    `lengths` are the steps of each item without distortions. A batch's features are distorted by
    random numbers of the seed, the epoch and the item.
    """

    def __init__(
        self,
        how: Input,
        contents: Sequence[Any],
        lengths: Sequence[int],
        *,
        batch_size: int,
        seed: int,
        curriculum: int = 0,
    ) -> None:
        super().__init__(len(contents), batch_size=batch_size, seed=seed)
        self._how, self._contents = how, contents
        self._lengths = torch.as_tensor(lengths)
        self._curriculum, self._epoch = curriculum, 0

    @abstractmethod
    def joined(
        self, features: Sequence[Rows], contents: Sequence[Any], numbers: list[int]
    ) -> Batch:
        """A batch of the items of these numbers, their distorted contents and features."""

    def window(self, epoch: int, index: int) -> Batch:
        """Batch `index` of `epoch`."""
        self._epoch = epoch
        return super().window(epoch, index)

    def batch(self, rows: Tensor) -> Batch:
        """These items, distorted as the epoch has it."""
        numbers = rows.tolist()
        features, contents = zip(*map(self._drawn, numbers), strict=True)
        return self.joined(features, contents, numbers)

    def content(self, number: int, generator: np.random.Generator) -> Any:
        """The content of the item of this number."""
        return self._contents[number]

    def _drawn(self, number: int) -> tuple[Rows, Any]:
        """The features and the content of an item, distorted."""
        key = generator_of("distort", self._seed, self._epoch, number).initial_seed()
        generator = np.random.default_rng(key)
        content = self._how.distorted(self.content(number, generator), generator)
        return mask_features(self._how.features(content), self._how.masks, generator), content

    def _order(self, generator: Generator) -> Tensor:
        order = super()._order(generator)
        if self._epoch < self._curriculum:
            used = order[: len(self) * self._batch_size]
            return used[self._lengths[used].argsort(stable=True)]
        return bucketed(order, self._lengths, self._batch_size, _POOL, generator)


class TargetBatch(NamedTuple):
    """Features (T, B, F) of B items with their lengths (B,), and their targets: (B, ...), or of
    steps (T, B, ...).

    `weights` (B,) are those of the items; None: all weigh alike.
    """

    features: Tensor
    lengths: Tensor
    targets: Tensor
    weights: Tensor | None = None

    @classmethod
    def of(cls, features: Sequence[Rows], targets: Rows) -> TargetBatch:
        """A batch of these features (T, F) and targets."""
        return cls(*padded_features(features), torch.from_numpy(np.ascontiguousarray(targets)))

    @classmethod
    def of_steps(
        cls, features: Sequence[Rows], targets: Sequence[Rows], padding: float
    ) -> TargetBatch:
        """A batch of these features (T, F) and targets of their steps (T, ...).

        `padding` stands for targets after the end of an item.
        """
        for own, each in zip(features, targets, strict=True):
            assert len(own) == len(each), "a step of the features has no target of its own"
        inputs, lengths = padded_features(features)
        joined, _ = pad(targets, padding)
        whole = joined.new_full((len(inputs), *joined.shape[1:]), padding)
        whole[: len(joined)] = joined
        return cls(inputs, lengths, whole)


class TargetBatches(ItemBatches[TargetBatch]):
    """Items with a target each, (N, ...); further arguments as for `ItemBatches`."""

    def __init__(
        self,
        how: Input,
        contents: Sequence[Any],
        targets: Rows,
        lengths: Sequence[int],
        **options: int,
    ) -> None:
        super().__init__(how, contents, lengths, **options)
        self._targets = targets

    def joined(
        self, features: Sequence[Rows], contents: Sequence[Any], numbers: list[int]
    ) -> TargetBatch:
        """A batch of these items."""
        return TargetBatch.of(features, self._targets[numbers])


class StepBatches(ItemBatches[TargetBatch]):
    """Items with a target for each step; further arguments as for `ItemBatches`.

    `targets` gives those of a content, (T, ...), as it is distorted; `padding` stands for them
    after an item's end, and wherever there is none: NaN of numbers, -100 of classes.
    """

    def __init__(
        self,
        how: Input,
        contents: Sequence[Any],
        targets: Callable[[Any], Rows],
        lengths: Sequence[int],
        *,
        padding: float,
        **options: int,
    ) -> None:
        super().__init__(how, contents, lengths, **options)
        self._targets, self._padding = targets, padding

    def joined(
        self, features: Sequence[Rows], contents: Sequence[Any], numbers: list[int]
    ) -> TargetBatch:
        """A batch of these items."""
        return TargetBatch.of_steps(features, list(map(self._targets, contents)), self._padding)


def padded_features(features: Sequence[Rows]) -> tuple[Tensor, Tensor]:
    """Features (T, F) of B items as (T, B, F), and their lengths (B,).

    Lengths of batches are rounded up, since torch keeps code for each different shape of a
    convolution: with some hundreds of them that was 4 GB.
    """
    inputs, lengths = pad(features)
    return functional.pad(inputs, (0, 0, 0, 0, 0, _rounded(len(inputs)) - len(inputs))), lengths


def _rounded(steps: int) -> int:
    """At most an eighth more, such that few numbers come out.

    >>> [_rounded(steps) for steps in (5, 100, 131, 1000)]
    [16, 112, 144, 1024]
    """
    coarse = max(16, 1 << max(0, steps.bit_length() - 4))
    return -(-steps // coarse) * coarse


def spread(count: int, most: int) -> list[int]:
    """At most `most` places of `count`, evenly spaced.

    >>> spread(10, 4), spread(2, 4)
    ([0, 3, 6, 9], [0, 1])
    """
    return [round(place) for place in np.linspace(0, count - 1, min(most, count)).tolist()]


def in_order(
    how: Input, contents: Sequence[Any], batch_size: int
) -> Iterator[tuple[list[int], list[Rows]]]:
    """Every item once, undistorted: numbers and features, those of similar lengths side by side."""
    features = [how.features(content) for content in contents]
    numbers = sorted(range(len(features)), key=lambda number: len(features[number]))
    for first in range(0, len(numbers), batch_size):
        chosen = numbers[first : first + batch_size]
        yield chosen, [features[n] for n in chosen]
