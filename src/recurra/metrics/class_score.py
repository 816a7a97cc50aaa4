"""Precision, recall and F1 of one class or label, NaN where they are undefined."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = ["ClassScore", "class_scores", "f1_score", "mean_of_defined", "ratio"]

Floats = np.ndarray[Any, np.dtype[np.float64]]


class ClassScore(NamedTuple):
    """Of one class or label: precision, recall, F1, and its actual items, or their weight.

    precision: NaN where nothing is predicted to be of the class; recall: where nothing is.
    f1: NaN where neither is; 0 where both are, and no item is right.
    """

    precision: float
    recall: float
    f1: float
    support: float


def class_scores(right: Floats, predicted: Floats, actual: Floats) -> tuple[ClassScore, ...]:
    """The figures of K classes from the right, the predicted and the actual items of each, (K,).

    >>> class_scores(np.array([1.0]), np.array([2.0]), np.array([4.0]))
    (ClassScore(precision=0.5, recall=0.25, f1=0.3333333333333333, support=4.0),)
    """
    columns = right.tolist(), predicted.tolist(), actual.tolist()
    return tuple(
        ClassScore(ratio(hits, given), ratio(hits, there), f1_score(hits, given, there), there)
        for hits, given, there in zip(*columns, strict=True)
    )


def f1_score(right: float, predicted: float, actual: float) -> float:
    """The harmonic mean of precision and recall; 0 where nothing is right.

    >>> f1_score(1, 2, 4), f1_score(0, 0, 3), f1_score(0, 0, 0)
    (0.3333333333333333, 0.0, nan)
    """
    return ratio(2 * right, predicted + actual)


def ratio(part: float, whole: float) -> float:
    """A part by the whole, NaN where the whole is 0.

    >>> ratio(1, 4), ratio(0, 0)
    (0.25, nan)
    """
    return part / whole if whole else float("nan")


def mean_of_defined(values: Sequence[float] | Floats) -> float:
    """The mean of those that aren't NaN, NaN where all are.

    >>> mean_of_defined([1, float("nan"), 2]), mean_of_defined([])
    (1.5, nan)
    """
    array = np.asarray(values, dtype=np.float64)
    defined = array[~np.isnan(array)]
    return float(defined.mean()) if len(defined) else float("nan")
