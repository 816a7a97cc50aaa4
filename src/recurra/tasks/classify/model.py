"""The loss of a network on items with their classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from recurra.tasks.inputs.item_batches import TargetBatch
from recurra.tasks.inputs.pooled_net import PooledNet
from recurra.tasks.network import penalised

__all__ = ["class_loss", "class_weights"]

Rows = np.ndarray[Any, Any]


def class_loss(
    net: PooledNet, batch: TargetBatch, weights: Tensor | None, smoothing: float
) -> Tensor:
    """Nats an item, with the penalties' gradient; `weights` (K,) are those of the classes.

    Where an item may have several classes, the mean over the classes. Weights of items multiply
    their nats.
    """
    answers, penalty = net.answered(batch.features, batch.lengths)
    own = torch.ones(len(batch.targets)) if batch.weights is None else batch.weights
    total = torch.tensor(float(len(own)))
    if batch.targets.dim() == 2:
        losses = functional.binary_cross_entropy_with_logits(
            answers, batch.targets, pos_weight=weights, reduction="none"
        ).mean(1)
    else:
        losses = functional.cross_entropy(
            answers, batch.targets, weights, label_smoothing=smoothing, reduction="none"
        )
        total = total if weights is None else weights[batch.targets].sum()
    return penalised((own * losses).sum() / total, penalty)


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
