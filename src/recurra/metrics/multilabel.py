"""Figures of classifiers whose items may have several labels, from independent probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.errors import ConfigError, DataError
from recurra.metrics.class_score import ClassScore, class_scores, f1_score, mean_of_defined
from recurra.metrics.classified_items import Given, item_weights, probability_table

__all__ = ["LabelScores", "label_scores"]

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, eq=False)
class LabelScores:
    """Figures of N items that may have several of K labels.

    exact: the share of items whose labels are all right; hamming: the share of labels wrong.
    micro_f1: of all labels of all items together; macro_f1: the mean over labels.
    """

    labels: tuple[ClassScore, ...]
    micro_f1: float
    macro_f1: float
    exact: float
    hamming: float


def label_scores(
    probabilities: Given,
    actual: Given,
    *,
    threshold: float | Sequence[float] | np.ndarray[Any, Any] = 0.5,
    weights: Given | None = None,
) -> LabelScores:
    """Compare independent probabilities (N, K) with the actual labels (N, K), each 0 or 1.

    A label is predicted from `threshold` on, which is one number or K of them. Weights are as in
    `classification_scores`. DataError where shapes or values can't be.

    >>> scores = label_scores([[0.9, 0.2], [0.7, 0.6], [0.1, 0.5]], [[1, 0], [0, 1], [0, 0]])
    >>> [round(one.f1, 3) for one in scores.labels], round(scores.micro_f1, 3)
    ([0.667, 0.667], 0.667)
    >>> round(scores.exact, 3), round(scores.hamming, 3)
    (0.333, 0.333)
    """
    chances = probability_table(probabilities)
    labels = np.asarray(actual)
    if labels.shape != chances.shape:
        raise DataError(
            f"probabilities {chances.shape} and actual {labels.shape}; give both as (N, K), with a "
            "column for each label."
        )
    if not np.isin(labels, (0, 1)).all():
        raise DataError(f"An actual label is {labels[~np.isin(labels, (0, 1))][0]}; it is 0 or 1.")
    least = np.asarray(threshold, dtype=np.float64)
    if least.shape not in ((), (chances.shape[1],)) or np.isnan(least).any():
        raise ConfigError(
            f"threshold = {threshold}; it is one number, or {chances.shape[1]}, one a label."
        )
    return _scores(chances >= least, labels == 1, item_weights(weights, len(labels)))


def _scores(
    predicted: np.ndarray[Any, np.dtype[np.bool_]],
    actual: np.ndarray[Any, np.dtype[np.bool_]],
    weights: Floats,
) -> LabelScores:
    sums = [weights @ each for each in (predicted & actual, predicted, actual)]
    labels = class_scores(*sums)
    shares = weights / weights.sum()
    return LabelScores(
        labels,
        micro_f1=f1_score(*(float(one.sum()) for one in sums)),
        macro_f1=mean_of_defined([one.f1 for one in labels]),
        exact=float(shares @ (predicted == actual).all(1)),
        hamming=float(shares @ (predicted != actual).mean(1)),
    )
