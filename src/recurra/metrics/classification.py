"""Figures of classifiers from their probabilities, in all and by class, and their confusions.

A figure that is undefined, such as the precision of a class that is never predicted, is NaN. A mean
over classes is over those of which the figure is defined.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from recurra.errors import ConfigError, DataError
from recurra.metrics.class_score import ClassScore, class_scores, mean_of_defined, ratio
from recurra.metrics.classified_items import (
    Given,
    class_numbers,
    class_probabilities,
    item_weights,
)

__all__ = [
    "ClassificationScores",
    "ConfusedPair",
    "classification_scores",
    "confused_pairs",
    "confusion_matrix",
]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

_LEAST = float(np.finfo(np.float64).eps)
"""The log loss takes a smaller probability for this: one item adds at most 36 nats."""


@dataclass(frozen=True, eq=False)
class ClassificationScores:
    """Figures of N items of K classes, each of which is one class.

    accuracy: the share that is right; balanced_accuracy: the mean recall of the actual classes.
    macro_f1: the mean F1 over classes; weighted_f1: the same by the support of each class.
    log_loss: in nats. brier: the sum over classes of squared distances from 0 and 1, so from 0 to 2
        (G. Brier, "Verification of forecasts expressed in terms of probability", 1950).
    top: by k, the share of items whose class is among the k most probable ones.
    kappa: J. Cohen, "A coefficient of agreement for nominal scales", 1960; NaN where all items are
        of one class and predicted as it.
    matthews: the correlation of actual and predicted classes (J. Gorodkin, "Comparing two
        K-category assignments by a K-category correlation coefficient", 2004); NaN where all items
        are of one class, or predicted as one.
    confusion: items (K, K), or their weights, by actual and by predicted class.
    """

    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    weighted_f1: float
    log_loss: float
    brier: float
    top: Mapping[int, float]
    kappa: float
    matthews: float
    confusion: Floats
    classes: tuple[ClassScore, ...]


class ConfusedPair(NamedTuple):
    """Items of the class `actual` predicted as another: their number, and share of the class."""

    actual: int
    predicted: int
    items: float
    share: float


def classification_scores(
    probabilities: Given,
    actual: Given,
    *,
    weights: Given | None = None,
    top: Sequence[int] = (5,),
) -> ClassificationScores:
    """Compare probabilities (N, K), whose rows sum to 1, with the actual classes (N,), 0 to K - 1.

    weights: one number an item, 0 or more; only their ratios count in means. `top` are the k of
    top-k accuracies; those above K are left out. Of equally probable classes the first is
    predicted. DataError where shapes or values can't be.

    >>> scores = classification_scores([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]], [0, 1, 1], top=[1])
    >>> round(scores.accuracy, 3), scores.balanced_accuracy, round(scores.log_loss, 4)
    (0.667, 0.75, 0.4149)
    >>> scores.classes[0]
    ClassScore(precision=0.5, recall=1.0, f1=0.6666666666666666, support=1.0)
    >>> round(scores.brier, 3), round(scores.kappa, 3), round(scores.matthews, 3)
    (0.273, 0.4, 0.5)
    >>> scores.confusion.tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    chances, classes = class_probabilities(probabilities, actual)
    shares = item_weights(weights, len(classes))
    shares = shares / shares.sum()
    confusion = confusion_matrix(classes, chances.argmax(1), chances.shape[1], weights)
    each = class_scores(confusion.diagonal(), confusion.sum(0), confusion.sum(1))
    supports = np.array([one.support for one in each])
    f1s = np.array([one.f1 for one in each])
    right = chances[np.arange(len(classes)), classes]
    distances = (chances**2).sum(1) - 2 * right + 1
    return ClassificationScores(
        accuracy=float(confusion.trace() / confusion.sum()),
        balanced_accuracy=mean_of_defined([one.recall for one in each]),
        macro_f1=mean_of_defined(f1s),
        weighted_f1=float((f1s * supports)[supports > 0].sum() / supports.sum()),
        log_loss=float(-(shares * np.log(np.maximum(right, _LEAST))).sum()),
        brier=float((shares * distances).sum()),
        top=_top(chances, classes, shares, top),
        kappa=_kappa(confusion),
        matthews=_matthews(confusion),
        confusion=confusion,
        classes=each,
    )


def confusion_matrix(
    actual: Given, predicted: Given, classes: int, weights: Given | None = None
) -> Floats:
    """Items (K, K), or their weights, by actual class (rows) and predicted class (columns).

    Both are (N,), numbers from 0 to `classes` - 1. DataError where they aren't.

    >>> confusion_matrix([0, 0, 1], [0, 1, 1], 2).tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    """
    rows, columns = class_numbers(actual, classes), class_numbers(predicted, classes)
    if len(rows) != len(columns):
        raise DataError(
            f"{len(rows):,} actual classes and {len(columns):,} predicted ones; give as many of "
            "both."
        )
    each = item_weights(weights, len(rows))
    cells = np.bincount(rows * classes + columns, weights=each, minlength=classes**2)
    return cells.astype(np.float64).reshape(classes, classes)


def confused_pairs(confusion: Floats, n: int = 10) -> list[ConfusedPair]:
    """The n pairs of an actual class and another, predicted one with the most items.

    Of equal counts the larger share of the actual class is first, then the smaller class.

    >>> confused_pairs(np.array([[8, 2], [1, 0]]), n=1)
    [ConfusedPair(actual=0, predicted=1, items=2.0, share=0.2)]
    """
    totals = confusion.sum(1)
    pairs = [
        ConfusedPair(int(a), int(b), float(confusion[a, b]), float(confusion[a, b] / totals[a]))
        for a, b in np.argwhere(confusion)
        if a != b
    ]
    order = sorted(pairs, key=lambda pair: (-pair.items, -pair.share, pair.actual, pair.predicted))
    return order[:n]


def _top(chances: Floats, classes: Ints, shares: Floats, top: Sequence[int]) -> dict[int, float]:
    if any(k < 1 for k in top):
        raise ConfigError(f"top = {tuple(top)}; each is 1 or more.")
    right = chances[np.arange(len(classes)), classes][:, None]
    before = np.arange(chances.shape[1]) < classes[:, None]
    ahead = ((chances > right) | ((chances == right) & before)).sum(1)
    return {k: float(shares[ahead < k].sum()) for k in top if k <= chances.shape[1]}


def _kappa(confusion: Floats) -> float:
    cells = confusion / confusion.sum()
    by_chance = float(cells.sum(0) @ cells.sum(1))
    agreed = float(cells.trace())
    return ratio(agreed - by_chance, 1 - by_chance) if _varies(confusion) else float("nan")


def _varies(confusion: Floats) -> bool:
    """Check that not all items lie in one cell of the diagonal."""
    return bool(np.count_nonzero(confusion) > 1 or not confusion.diagonal().any())


def _matthews(confusion: Floats) -> float:
    actual, predicted = confusion.sum(1), confusion.sum(0)
    if np.count_nonzero(actual) < 2 or np.count_nonzero(predicted) < 2:
        return float("nan")
    cells = confusion / confusion.sum()
    actual, predicted = cells.sum(1), cells.sum(0)
    covariance = cells.trace() - actual @ predicted
    spread = np.sqrt((1 - actual @ actual) * (1 - predicted @ predicted))
    return ratio(float(covariance), float(spread))
