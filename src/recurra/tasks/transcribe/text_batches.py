"""Batches of items with their texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from recurra.data.batches import pad
from recurra.tasks.inputs import Input
from recurra.tasks.inputs.item_batches import ItemBatches, in_order, padded_features
from recurra.tasks.transcribe.model import TextBatch

__all__ = ["TextBatches", "padded", "texts_in_order"]


class TextBatches(ItemBatches[TextBatch]):
    """Items with their texts (U,); further arguments as for `ItemBatches`."""

    def __init__(
        self,
        how: Input,
        contents: Sequence[Any],
        texts: Sequence[np.ndarray[Any, Any]],
        lengths: Sequence[int],
        **options: int,
    ) -> None:
        super().__init__(how, contents, lengths, **options)
        self._texts = texts

    def joined(
        self,
        features: Sequence[np.ndarray[Any, Any]],
        contents: Sequence[Any],
        numbers: list[int],
    ) -> TextBatch:
        """A batch of these items."""
        return padded(features, [self._texts[n] for n in numbers])


def padded(
    features: Sequence[np.ndarray[Any, Any]], texts: Sequence[np.ndarray[Any, Any]]
) -> TextBatch:
    """A batch of these features (T, F) and texts (U,)."""
    inputs, lengths = padded_features(features)
    targets, target_lengths = pad(texts)
    return TextBatch(inputs, lengths, targets.t().contiguous(), target_lengths)


def texts_in_order(
    how: Input, contents: Sequence[Any], texts: Sequence[np.ndarray[Any, Any]], batch_size: int
) -> Iterator[tuple[list[int], TextBatch]]:
    """Every item once, undistorted, with its number, those of similar lengths side by side."""
    for numbers, features in in_order(how, contents, batch_size):
        yield numbers, padded(features, [texts[n] for n in numbers])
