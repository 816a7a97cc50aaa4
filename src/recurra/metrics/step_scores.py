"""Figures of a label at each step of sequences: of tokens of texts, and frames of series."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.errors import DataError
from recurra.metrics.bootstrap import bootstrap_interval
from recurra.metrics.class_score import ClassScore, class_scores, mean_of_defined
from recurra.metrics.classification import confusion_matrix

__all__ = ["StepScores", "step_scores"]

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, eq=False)
class StepScores:
    """Figures of the steps of N sequences, each step of one of K labels.

    accuracy: the share of right steps; exact: of sequences all whose steps are right.
    labels: the figures of each label. macro_f1: the mean over labels, without the background.
    foreground: of the steps of all labels but the background together (micro): frame F1.
    confusion: steps (K, K) by actual and by predicted label.
    right, steps: how many each sequence has, (N,).
    """

    accuracy: float
    exact: float
    labels: tuple[ClassScore, ...]
    macro_f1: float
    foreground: ClassScore
    confusion: Floats
    right: Floats
    steps: Floats

    def interval(
        self,
        generator: np.random.Generator,
        *,
        level: float = 0.95,
        groups: Sequence[Hashable] | None = None,
    ) -> tuple[float, float] | None:
        """The interval of the accuracy under resampling of sequences; see `bootstrap_interval`."""
        return bootstrap_interval(self.right, self.steps, generator, level=level, groups=groups)


def step_scores(
    actual: Sequence[Any],
    predicted: Sequence[Any],
    labels: int,
    *,
    background: int | None = None,
) -> StepScores:
    """Compare the labels (T,) of the steps of sequences, numbers from 0 to `labels` - 1.

    background: the label of steps where nothing is, such as O, or silence. Without one `foreground`
    is of all steps. DataError for sequences of other lengths, or numbers that are no labels.

    >>> scores = step_scores([[0, 1, 1, 0]], [[0, 1, 0, 1]], 2, background=0)
    >>> scores.accuracy, scores.foreground
    (0.5, ClassScore(precision=0.5, recall=0.5, f1=0.5, support=2.0))
    """
    _check_lengths(actual, predicted)
    pairs = list(zip(map(np.asarray, actual), map(np.asarray, predicted), strict=True))
    confusion = confusion_matrix(
        np.concatenate([own for own, _ in pairs]), np.concatenate([own for _, own in pairs]), labels
    )
    each = class_scores(confusion.diagonal(), confusion.sum(0), confusion.sum(1))
    counted = [number for number in range(labels) if number != background]
    sums = (confusion.diagonal(), confusion.sum(0), confusion.sum(1))
    (foreground,) = class_scores(*(np.array([part[counted].sum()]) for part in sums))
    right = np.array([(own == given).sum() for own, given in pairs], float)
    steps = np.array([len(own) for own, _ in pairs], float)
    return StepScores(
        accuracy=float(right.sum() / steps.sum()),
        exact=float((right == steps).mean()),
        labels=each,
        macro_f1=mean_of_defined([each[number].f1 for number in counted]),
        foreground=foreground,
        confusion=confusion,
        right=right,
        steps=steps,
    )


def _check_lengths(actual: Sequence[Any], predicted: Sequence[Any]) -> None:
    if len(actual) != len(predicted) or not len(actual):
        raise DataError(
            f"{len(actual):,} sequences of actual labels and {len(predicted):,} of predicted ones; "
            "give as many of both, at least one."
        )
    for number, (own, given) in enumerate(zip(actual, predicted, strict=True)):
        if len(own) != len(given):
            raise DataError(
                f"Sequence {number} has {len(own):,} actual labels and {len(given):,} predicted "
                "ones; give as many of both."
            )
