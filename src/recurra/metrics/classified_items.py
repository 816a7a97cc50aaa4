"""Checks of what classifiers are judged by: probabilities, actual classes, weights of items."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from recurra.errors import DataError

__all__ = [
    "Given",
    "class_numbers",
    "class_probabilities",
    "distributions",
    "item_weights",
    "probability_table",
]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Given = Sequence[Any] | np.ndarray[Any, Any]

_SUM_TOLERANCE = 1e-2
"""Rows of probabilities may differ from a sum of 1 by so much: by the rounding of 16 bits."""
_RANGE_TOLERANCE = 1e-5


def class_probabilities(probabilities: Given, actual: Given) -> tuple[Floats, Ints]:
    """Probabilities (N, K) whose rows sum to 1, and classes (N,); DataError if they are not."""
    chances = distributions(probabilities)
    classes = class_numbers(actual, chances.shape[1])
    if len(classes) != len(chances):
        raise DataError(
            f"probabilities {chances.shape} and actual {classes.shape}; give them as (N, K) and "
            "(N,)."
        )
    return chances, classes


def distributions(probabilities: Given) -> Floats:
    """Probabilities (N, K) whose rows sum to 1; DataError if they are not."""
    chances = probability_table(probabilities)
    sums = chances.sum(1)
    if (wrong := np.flatnonzero(np.abs(sums - 1) > _SUM_TOLERANCE)).size:
        raise DataError(
            f"The probabilities of item {wrong[0]} sum to {sums[wrong[0]]:g}; they sum to 1, such "
            "as a softmax of logits."
        )
    return chances


def probability_table(probabilities: Given) -> Floats:
    """Probabilities (N, K) from 0 to 1; DataError if they are not."""
    chances = np.asarray(probabilities, dtype=np.float64)
    if chances.ndim != 2 or not chances.size:
        raise DataError(
            f"probabilities {chances.shape}; give them as (N, K), N items of K classes, both from "
            "1 on."
        )
    inside = (chances >= -_RANGE_TOLERANCE) & (chances <= 1 + _RANGE_TOLERANCE)
    if not inside.all():
        item, place = np.argwhere(~inside)[0]
        raise DataError(
            f"The probability of class {place} of item {item} is {chances[item, place]:g}; it is "
            "from 0 to 1."
        )
    return chances.clip(0, 1)


def class_numbers(given: Given, classes: int) -> Ints:
    """Whole numbers (N,) from 0 to `classes` - 1; DataError if they are not."""
    numbers = np.asarray(given)
    if numbers.ndim != 1 or not len(numbers) or numbers.dtype.kind not in "iub":
        raise DataError(
            f"classes {numbers.shape} of dtype {numbers.dtype}; give whole numbers (N,), N from 1 "
            "on."
        )
    outside = (numbers < 0) | (numbers >= classes)
    if outside.any():
        place = int(np.flatnonzero(outside)[0])
        raise DataError(
            f"The class of item {place} is {numbers[place]}; {classes} classes are 0 to "
            f"{classes - 1}."
        )
    return numbers.astype(np.int64)


def item_weights(given: Given | None, count: int) -> Floats:
    """Weights (N,), 1 each where none are given; DataError if they can't be."""
    weights = np.ones(count) if given is None else np.asarray(given, dtype=np.float64)
    if weights.shape != (count,):
        raise DataError(f"weights {weights.shape} for {count:,} items; give one number an item.")
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise DataError("Weights are finite, 0 or more, and not all 0; correct those given.")
    return weights
