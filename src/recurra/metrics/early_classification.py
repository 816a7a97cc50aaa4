"""Classification before a sequence has ended: accuracy over time, and a rule for when to stop."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from recurra.errors import ConfigError, DataError
from recurra.metrics.classified_items import Given, class_numbers, distributions

__all__ = [
    "AccuracyOverTime",
    "EarlyScores",
    "StopWatch",
    "StoppingRule",
    "accuracy_over_time",
    "harmonic_mean",
]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

_NEVER = 2.0
"""A threshold that no probability reaches."""
_CANDIDATES = 1000
"""At most so many thresholds are compared, spread over those that make a difference."""


class AccuracyOverTime(NamedTuple):
    """Accuracies after shares of the sequences from above 0 to 1, one of each a point."""

    shares: tuple[float, ...]
    accuracies: tuple[float, ...]


class EarlyScores(NamedTuple):
    """Figures of sequences that are classified before their end.

    whole: the accuracy at the end of each sequence. earliness: the mean share that is read, so
        lower is earlier. harmonic_mean: as the function of that name gives it.
    """

    accuracy: float
    whole: float
    earliness: float
    harmonic_mean: float


def harmonic_mean(accuracy: float, earliness: float) -> float:
    """The harmonic mean of the accuracy and of the share that isn't read, 1 - `earliness`.

    P. Schäfer and U. Leser, "TEASER: early and accurate time series classification", Data Mining
    and Knowledge Discovery, 2020. It is 0 where all is read.

    >>> harmonic_mean(0.9, 0.25), harmonic_mean(1.0, 1.0), harmonic_mean(0.0, 1.0)
    (0.8181818181818182, 0.0, 0.0)
    """
    unread = 1 - earliness
    return 2 * unread * accuracy / (unread + accuracy) if unread + accuracy else 0.0


def accuracy_over_time(
    probabilities: Sequence[Given], actual: Given, points: int = 20
) -> AccuracyOverTime:
    """The accuracy after 1 / `points` of each sequence, 2 / `points`, ..., and the whole of it.

    Probabilities after every step, (T, K) for each of N sequences, and actual classes (N,). A share
    of a step counts as the step. ConfigError for no point, DataError where the rest can't be.

    >>> late = [[0.4, 0.6], [0.6, 0.4], [0.9, 0.1], [1.0, 0.0]]
    >>> accuracy_over_time([late, [[0.0, 1.0]]], [0, 1], points=4)
    AccuracyOverTime(shares=(0.25, 0.5, 0.75, 1.0), accuracies=(0.5, 1.0, 1.0, 1.0))
    """
    if points < 1:
        raise ConfigError(f"points = {points}; it is 1 or more.")
    tables, classes = _checked(probabilities, actual)
    ranks = np.arange(1, points + 1)
    right = np.zeros(points)
    for table, one in zip(tables, classes, strict=True):
        steps = -(-len(table) * ranks // points)
        right += table.argmax(1)[steps - 1] == one
    accuracies = tuple((right / len(tables)).tolist())
    return AccuracyOverTime(tuple((ranks / points).tolist()), accuracies)


@dataclass(frozen=True)
class StoppingRule:
    """Stops at the first step where one class has led with enough probability for long enough.

    That is, its probability has been the largest and at least `threshold` at each of the last
    `patience` steps. A sequence where that never happens is read to its end, as all are with a
    threshold above 1. Probabilities are to be calibrated. Fields are JSON values.

    >>> rule = StoppingRule(threshold=0.8, patience=2)
    >>> rule.stop([[0.9, 0.1], [0.7, 0.3], [0.8, 0.2], [0.9, 0.1], [1.0, 0.0]])
    4
    """

    threshold: float
    patience: int = 1

    def __post_init__(self) -> None:
        if not (np.isfinite(self.threshold) and self.threshold >= 0) or self.patience < 1:
            raise ConfigError(
                f"threshold = {self.threshold} and patience = {self.patience} of a stopping rule; "
                "a threshold is from 0 to 1, or above for a rule that never stops early, and "
                "patience is 1 step or more."
            )

    @classmethod
    def fit(
        cls,
        probabilities: Sequence[Given],
        actual: Given,
        *,
        loss: float = 0.01,
        patience: int = 1,
    ) -> "StoppingRule":
        """Choose the threshold with which the least of held-out sequences is read.

        `loss` is the accuracy that may be lost against that at the ends of the sequences: 0.01 is
        one point. On other sequences the loss may be larger. Sequences are given as to
        `accuracy_over_time`; ConfigError for a loss that isn't from 0 to 1.

        >>> sure, late = [[0.9, 0.1], [0.9, 0.1]], [[0.2, 0.8], [0.9, 0.1]]
        >>> StoppingRule.fit([sure, late], [0, 0])
        StoppingRule(threshold=0.9, patience=1)
        """
        if not 0 <= loss <= 1:
            raise ConfigError(f"loss = {loss:g} of accuracy; it is from 0 to 1, such as 0.01.")
        never = cls(_NEVER, patience)
        tables, classes = _checked(probabilities, actual)
        thresholds = _candidates([_records(table, patience) for table in tables])
        right = np.zeros(len(thresholds))
        for table, one in zip(tables, classes, strict=True):
            right += table.argmax(1)[_stops(table, patience, thresholds) - 1] == one
        # The last threshold reads every sequence to its end, and each reads more than the one
        # before it: the first that is accurate enough reads the least.
        allowed = right >= right[-1] - loss * len(tables) - 1e-9
        return replace(never, threshold=float(thresholds[allowed.argmax()]))

    def watch(self) -> "StopWatch":
        """Start to watch one sequence, step by step."""
        return StopWatch(self)

    def stop(self, probabilities: Given) -> int:
        """The number of steps that are read of a sequence with probabilities (T, K)."""
        table = distributions(probabilities)
        return int(_stops(table, self.patience, np.array([self.threshold]))[0])

    def scores(self, probabilities: Sequence[Given], actual: Given) -> EarlyScores:
        """Figures of sequences that are read until the rule stops; given as to `fit`."""
        tables, classes = _checked(probabilities, actual)
        steps = [self.stop(table) for table in tables]
        chosen = [table[step - 1].argmax() for table, step in zip(tables, steps, strict=True)]
        whole = [table[-1].argmax() for table in tables]
        read = [step / len(table) for table, step in zip(tables, steps, strict=True)]
        accuracy, earliness = float(np.mean(chosen == classes)), float(np.mean(read))
        return EarlyScores(
            accuracy,
            float(np.mean(whole == classes)),
            earliness,
            harmonic_mean(accuracy, earliness),
        )


@dataclass
class StopWatch:
    """A stopping rule on a sequence that is read step by step; stops where `stop` does.

    steps: the number that is read, the one at which it stopped included. predicted: the class, so
    far or when it stopped; None before the first step.

    >>> watch = StoppingRule(threshold=0.8).watch()
    >>> [watch.update(chances) for chances in ([0.6, 0.4], [0.1, 0.9], [0.9, 0.1])]
    [False, True, True]
    >>> watch.steps, watch.predicted
    (2, 1)
    """

    rule: StoppingRule
    steps: int = 0
    predicted: int | None = None
    stopped: bool = False
    _in_a_row: int = field(default=0, repr=False)

    def update(self, probabilities: Given) -> bool:
        """Take the probabilities (K,) after one more step; tell whether the rule has stopped.

        Steps after that change nothing.
        """
        if self.stopped:
            return True
        chances = distributions([probabilities])[0]
        leader = int(chances.argmax())
        before = self._in_a_row if leader == self.predicted else 0
        self._in_a_row = before + 1 if chances[leader] >= self.rule.threshold else 0
        self.steps, self.predicted = self.steps + 1, leader
        self.stopped = self._in_a_row >= self.rule.patience
        return self.stopped


def _checked(probabilities: Sequence[Given], actual: Given) -> tuple[list[Floats], Ints]:
    tables = [distributions(table) for table in probabilities]
    sizes = sorted({table.shape[1] for table in tables})
    if len(sizes) != 1:
        raise DataError(
            f"The {len(tables):,} sequences have probabilities of {sizes or 'no'} classes; give "
            "one sequence or more, (T, K) each, with one K for all."
        )
    classes = class_numbers(actual, sizes[0])
    if len(classes) != len(tables):
        raise DataError(
            f"{len(tables):,} sequences and {len(classes):,} actual classes; give as many of both."
        )
    return tables, classes


def _records(table: Floats, patience: int) -> Floats:
    """The highest threshold that has stopped a sequence by each step (T,), -inf for none."""
    leaders, tops = table.argmax(1), table.max(1)
    held = np.full(len(tops), -np.inf)
    held[patience - 1 :] = tops[patience - 1 :]
    for back in range(1, min(patience, len(tops))):
        before = np.where(leaders[:-back] == leaders[back:], tops[:-back], -np.inf)
        held[back:] = np.minimum(held[back:], before)
    return np.maximum.accumulate(held)


def _stops(table: Floats, patience: int, thresholds: Floats) -> Ints:
    """The steps that are read of a sequence with each threshold."""
    reached = np.searchsorted(_records(table, patience), thresholds, side="left")
    steps: Ints = np.minimum(reached + 1, len(table)).astype(np.int64)
    return steps


def _candidates(records: Sequence[Floats]) -> Floats:
    """Ascending thresholds, each of which stops a sequence before its end that a higher one
    doesn't stop there; the last one never stops.
    """
    values = np.unique(np.concatenate([each[:-1] for each in records]))
    values = values[np.isfinite(values)]
    if len(values) > _CANDIDATES:
        values = values[np.linspace(0, len(values) - 1, _CANDIDATES).round().astype(int)]
    return np.append(values, _NEVER)
