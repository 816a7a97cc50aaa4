"""The product of a training: networks, the units of their answers, and the width of intervals."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recurra.errors import RecurraWarning
from recurra.metrics.conformal import ConformalInterval, errors_needed
from recurra.tasks.inputs import Input
from recurra.tasks.inputs.collection import Part
from recurra.tasks.inputs.item_batches import in_order, padded_features
from recurra.tasks.inputs.pooled_net import PooledNet
from recurra.tasks.regress.config import RegressConfig
from recurra.tasks.regress.targets import Targets

__all__ = ["Estimate", "estimating_nets"]

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclasses.dataclass(frozen=True, eq=False)
class Estimate:
    """Gives each content K numbers, by the mean of its networks, and an interval about each.

    `intervals` are by the errors of held-out items, empty where those are too few.
    """

    config: RegressConfig
    input: Input
    targets: Targets
    nets: Sequence[PooledNet]
    intervals: Sequence[ConformalInterval] = ()

    def calibrated(self, part: Part) -> Estimate:
        """With the intervals that suit these items; a RecurraWarning where they are too few."""
        if not len(part):
            return self
        need, level = errors_needed(1 - self.config.level), self.config.level
        if len(part) < need:
            warnings.warn(
                f"Intervals of level {level:g} need {need} held-out items, and there are "
                f"{len(part)}: predictions have none. Hold out more, or lower the level.",
                RecurraWarning,
                stacklevel=2,
            )
            return self
        residuals = self.targets.numbers(part.texts) - self.predicted(part.contents)
        found = [ConformalInterval.fit(column, level) for column in residuals.T]
        return dataclasses.replace(self, intervals=found)

    def predicted(self, contents: Sequence[Any]) -> Floats:
        """The numbers (N, K) of each content."""
        found = np.zeros((len(contents), len(self.targets)))
        for numbers, features in in_order(self.input, contents, self.config.reading_batch):
            found[numbers] = self._mean(*padded_features(features)).double().numpy()
        return self.targets.restored(found)

    def bounds(self, predicted: Floats) -> tuple[Floats, Floats]:
        """Lower and upper ends (N, K) of the intervals about predictions (N, K)."""
        ends = [
            interval.apply(column)
            for interval, column in zip(self.intervals, predicted.T, strict=True)
        ]
        return np.stack([low for low, _ in ends], 1), np.stack([high for _, high in ends], 1)

    @torch.inference_mode()
    def _mean(self, features: Tensor, lengths: Tensor) -> Tensor:
        return torch.stack([net(features, lengths) for net in self.nets]).mean(0)


def estimating_nets(models: Sequence[nn.Module]) -> tuple[PooledNet, ...]:
    """The modules as what they are."""
    assert all(isinstance(model, PooledNet) for model in models)
    return tuple(models)  # type: ignore[arg-type]
