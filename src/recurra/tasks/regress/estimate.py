"""The product of a training: networks, the units of their answers, and the width of intervals."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recurra.data.sequences.series import Series
from recurra.errors import RecurraWarning
from recurra.metrics.conformal import ConformalInterval, errors_needed
from recurra.tasks.inputs import Input
from recurra.tasks.inputs.collection import Part
from recurra.tasks.inputs.encoder import SequenceEncoder
from recurra.tasks.inputs.item_batches import in_order, padded_features
from recurra.tasks.regress.config import RegressConfig
from recurra.tasks.regress.step_values import ValueStream
from recurra.tasks.regress.targets import Targets, actual_numbers

__all__ = ["Estimate", "estimating_nets"]

Floats = np.ndarray[Any, np.dtype[np.float64]]

CHUNK = 4096
"""Steps of a longer series that are computed at once, where the model reads forwards only."""


@dataclasses.dataclass(frozen=True, eq=False)
class Estimate:
    """Gives each content K numbers, or K for each of its steps, by the mean of its networks, and
    an interval about each.

    `intervals` are by the errors of held-out items, empty where those are too few.
    """

    config: RegressConfig
    input: Input
    targets: Targets
    nets: Sequence[SequenceEncoder]
    intervals: Sequence[ConformalInterval] = ()

    @property
    def of_steps(self) -> bool:
        """Whether every step has an answer."""
        return self.config.answers == "step"

    def calibrated(self, part: Part) -> Estimate:
        """With the intervals that suit these items; a RecurraWarning where they are too few.

        Where enough series are held out each counts the same, and intervals are those of a new one;
        of fewer series, or of one recording, each step counts, and they are those of a later step.
        """
        if not len(part):
            return self
        pairs = zip(actual_numbers(part), self.predicted(part.contents), strict=True)
        errors = [actual - found for actual, found in pairs]
        groups = np.repeat(np.arange(len(errors)), [len(each) for each in errors])
        residuals, level = np.concatenate(errors), self.config.level
        seen = np.isfinite(residuals).all(1)
        residuals, groups = residuals[seen], groups[seen]
        need = errors_needed(1 - level)
        if len(residuals) < need:
            what = "steps" if self.of_steps else "items"
            warnings.warn(
                f"Intervals of level {level:g} need {need} held-out {what}, and there are "
                f"{len(residuals)}: predictions have none. Hold out more, or lower the level.",
                RecurraWarning,
                stacklevel=2,
            )
            return self
        by_series = groups if self.of_steps and len(part) >= need else None
        found = [ConformalInterval.fit(row, level, groups=by_series) for row in residuals.T]
        return dataclasses.replace(self, intervals=found)

    def predicted(self, contents: Sequence[Any]) -> list[Floats]:
        """The numbers of each content: (1, K), or (T, K) of its steps."""
        found: list[Floats] = [np.zeros((0, len(self.targets)))] * len(contents)
        long = [n for n in range(len(contents)) if self._is_streamed(contents[n])]
        for number in long:
            found[number] = np.concatenate(list(self._streamed(contents[number])))
        others = [n for n in range(len(contents)) if n not in set(long)]
        batches = in_order(self.input, [contents[n] for n in others], 2 * self.config.batch_size)
        for numbers, features in batches:
            answers = self._mean(*padded_features(features)).double().numpy()
            for row, number in enumerate(numbers):
                own = answers[: len(features[row]), row] if self.of_steps else answers[row][None]
                found[others[number]] = self.targets.restored(own)
        return found

    def bounds(self, predicted: Floats) -> tuple[Floats, Floats]:
        """Lower and upper ends (N, K) of the intervals about predictions (N, K)."""
        ends = [
            interval.apply(column)
            for interval, column in zip(self.intervals, predicted.T, strict=True)
        ]
        return np.stack([low for low, _ in ends], 1), np.stack([high for _, high in ends], 1)

    def _is_streamed(self, content: Any) -> bool:
        forwards = self.of_steps and not self.config.bidirectional
        return forwards and isinstance(content, Series) and content.steps > CHUNK

    def _streamed(self, content: Series) -> Iterator[Floats]:
        """The numbers of the steps of a long series, chunk by chunk, the state carried."""
        stream = ValueStream(self)
        for first in range(0, content.steps, CHUNK):
            steps = slice(first, first + CHUNK)
            times = None if content.times is None else content.times[steps]
            yield stream.feed(content.values[steps], times=times)
        yield stream.finish()

    @torch.inference_mode()
    def _mean(self, features: Tensor, lengths: Tensor) -> Tensor:
        return torch.stack([net(features, lengths) for net in self.nets]).mean(0)


def estimating_nets(models: Sequence[nn.Module]) -> tuple[SequenceEncoder, ...]:
    """The modules as what they are."""
    assert all(isinstance(model, SequenceEncoder) for model in models)
    return tuple(models)  # type: ignore[arg-type]
