"""Batches of items with their classes, and the loss of a network on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from recurra.tasks.inputs import Input
from recurra.tasks.inputs.item_batches import ItemBatches, padded_features
from recurra.tasks.inputs.pooled_net import PooledNet
from recurra.tasks.network import penalised

__all__ = ["LabelBatch", "LabelBatches", "class_loss", "class_weights"]

Rows = np.ndarray[Any, Any]


class LabelBatch(NamedTuple):
    """Features (T, B, F) of B items with their lengths, and their classes: numbers (B,), or where
    an item may have several, ones and zeros (B, K).
    """

    features: Tensor
    lengths: Tensor
    targets: Tensor


class LabelBatches(ItemBatches[LabelBatch]):
    """Items with their targets (N,) or (N, K); further arguments as for `ItemBatches`."""

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

    def joined(self, features: Sequence[Rows], numbers: Sequence[int]) -> LabelBatch:
        """A batch of these items."""
        return labelled(features, self._targets[list(numbers)])


def labelled(features: Sequence[Rows], targets: Rows) -> LabelBatch:
    """A batch of these features (T, F) and targets."""
    return LabelBatch(*padded_features(features), torch.from_numpy(np.asarray(targets)))


def class_loss(
    net: PooledNet, batch: LabelBatch, weights: Tensor | None, smoothing: float
) -> Tensor:
    """Nats an item, with the penalties' gradient; `weights` (K,) are those of the classes.

    Where an item may have several classes, the mean over the classes.
    """
    answers, penalty = net.answered(batch.features, batch.lengths)
    if batch.targets.dim() == 2:
        loss = functional.binary_cross_entropy_with_logits(
            answers, batch.targets, pos_weight=weights
        )
    else:
        loss = functional.cross_entropy(answers, batch.targets, weights, label_smoothing=smoothing)
    return penalised(loss, penalty)


def class_weights(targets: Rows, classes: int) -> Tensor:
    """Weights (classes,) with which rare classes count as much as frequent ones, of mean 1 an item.

    Where an item may have several, the weight of a class that is there against one that isn't.

    >>> class_weights(np.array([0, 0, 0, 1]), 2).tolist()
    [0.6666666865348816, 2.0]
    """
    if targets.ndim == 2:
        there = targets.mean(0).clip(1e-3, 1 - 1e-3)
        return torch.from_numpy(((1 - there) / there).astype(np.float32))
    counts = np.bincount(targets, minlength=classes).clip(1)
    return torch.from_numpy((len(targets) / (classes * counts)).astype(np.float32))
