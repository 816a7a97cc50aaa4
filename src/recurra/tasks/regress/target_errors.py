"""Errors of answers by targets of which some are missing, in training and in validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recurra.tasks.inputs.encoder import SequenceEncoder
from recurra.tasks.inputs.item_batches import TargetBatch

__all__ = ["target_errors", "validated"]

Rows = np.ndarray[Any, Any]


def target_errors(answers: Tensor, targets: Tensor, error: str) -> tuple[Tensor, Tensor]:
    """The error of each answer, 0 where the target is NaN; and which are there."""
    seen = ~targets.isnan()
    distances = torch.where(seen, answers - torch.where(seen, targets, 0), 0)
    return (distances.square() if error == "squared" else distances.abs()), seen


def validated(
    batches: Sequence[tuple[list[int], list[Rows]]],
    targets: Sequence[Rows],
    error: str,
    of_steps: bool,
    net: nn.Module,
) -> dict[str, float]:
    """The mean error of all targets, with the standard error, of items as wholes."""
    assert isinstance(net, SequenceEncoder)
    totals, counts = np.zeros(len(targets)), np.zeros(len(targets))
    for numbers, features in batches:
        own = [targets[number] for number in numbers]
        if of_steps:
            batch = TargetBatch.of_steps(features, own, np.nan)
        else:
            batch = TargetBatch.of(features, np.concatenate(own))
        answers = net(batch.features, batch.lengths)
        errors, seen = target_errors(answers, batch.targets, error)
        axes = (0, 2) if of_steps else (1,)
        totals[numbers] = errors.double().sum(axes).numpy()
        counts[numbers] = seen.sum(axes).numpy()
    total, items = max(1.0, counts.sum()), len(targets)
    mean = totals.sum() / total
    apart = np.square(totals - counts * mean).sum() * items / max(1, items - 1)
    return {"loss": float(mean), "loss_error": float(np.sqrt(apart) / total)}
