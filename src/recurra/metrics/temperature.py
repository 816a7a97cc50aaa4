"""Temperature scaling: one number that makes the probabilities of a classifier calibrated."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.errors import ConfigError, DataError
from recurra.metrics.classified_items import Given, class_numbers

__all__ = ["Temperature"]

Floats = np.ndarray[Any, np.dtype[np.float64]]

_REACH, _STEP = 24.0, 1.0
"""Temperatures from exp(-24) to exp(24) are tried, each exp(1) times the one before."""
_SECTIONS = 32
"""The last section is 4e-7 wide."""
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Temperature:
    """Divides logits by one number: above 1 for a model that is too sure of itself.

    The classes and their order stay. With `independent` logits each is that of a label, whose
    probability is a sigmoid; otherwise an item has one of K classes. C. Guo, G. Pleiss, Y. Sun and
    K. Weinberger, "On calibration of modern neural networks", ICML 2017. Fields are JSON values.

    >>> sure = Temperature.fit([[4.0, 0.0]] * 400, [0, 0, 0, 1] * 100)
    >>> sure.apply([4.0, 0.0]).round(2).tolist()
    [0.75, 0.25]
    """

    value: float = 1.0
    independent: bool = False

    def __post_init__(self) -> None:
        if not (np.isfinite(self.value) and self.value > 0):
            raise ConfigError(f"value = {self.value} of a temperature; it is finite and above 0.")

    @classmethod
    def fit(cls, logits: Given, actual: Given, *, independent: bool = False) -> "Temperature":
        """Minimise the log loss of held-out logits (N, K), with one item's pull towards 1.

        The pull is ½ log(1 + t²) nats in all, t being the log of the temperature: it keeps the
        number finite for few items and for items that are all right, and is weak for any other.
        `actual` are classes (N,), or with `independent` logits labels (N, K), each 0 or 1.
        DataError where shapes or values can't be.
        """
        values = _checked(logits)
        loss = _label_loss(values, actual) if independent else _class_loss(values, actual)
        return cls(
            float(np.exp(_minimum(lambda t: loss(np.exp(-t)) + np.log1p(t**2) / 2))), independent
        )

    def apply(self, logits: Given) -> Floats:
        """Probabilities of logits (..., K), of the same shape."""
        scaled = np.asarray(logits, dtype=np.float64) / self.value
        if self.independent:
            return _sigmoid(scaled)
        powers = np.exp(scaled - scaled.max(-1, keepdims=True))
        chances: Floats = powers / powers.sum(-1, keepdims=True)
        return chances


def _checked(logits: Given) -> Floats:
    values = np.asarray(logits, dtype=np.float64)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise DataError(
            f"logits {values.shape}; give finite numbers (N, K), N items of K classes, both from 1 "
            "on."
        )
    return values


def _class_loss(values: Floats, actual: Given) -> Callable[[float], float]:
    """The log loss of all items by the factor of their logits."""
    classes = class_numbers(actual, values.shape[1])
    if len(classes) != len(values):
        raise DataError(
            f"logits {values.shape} and actual {classes.shape}; give them as (N, K) and (N,)."
        )
    # Distances to the actual class's logit, which is the one that is 0.
    gaps = values - values[np.arange(len(classes)), classes][:, None]
    most = gaps.max(1, keepdims=True)
    below = gaps - most

    def loss(factor: float) -> float:
        return float((factor * most[:, 0] + np.log(np.exp(factor * below).sum(1))).sum())

    return loss


def _label_loss(values: Floats, actual: Given) -> Callable[[float], float]:
    labels = np.asarray(actual)
    if labels.shape != values.shape or not np.isin(labels, (0, 1)).all():
        raise DataError(
            f"logits {values.shape} and actual {labels.shape}; give both as (N, K), each "
            "actual label as 0 or 1."
        )
    wrong = np.where(labels == 1, -values, values)
    return lambda factor: float(np.logaddexp(0, factor * wrong).sum())


def _minimum(function: Callable[[float], float]) -> float:
    """The place of the least value from -_REACH to _REACH: on a grid first, since there may be
    several minima, then by golden sections beside the best place.
    """
    grid = np.arange(-_REACH, _REACH + _STEP / 2, _STEP)
    best = float(grid[int(np.argmin([function(float(place)) for place in grid]))])
    low, high = best - _STEP, best + _STEP
    for _ in range(_SECTIONS):
        width = _GOLDEN * (high - low)
        left, right = high - width, low + width
        low, high = (low, right) if function(left) <= function(right) else (left, high)
    return (low + high) / 2


def _sigmoid(values: Floats) -> Floats:
    result: Floats = np.exp(-np.logaddexp(0, -values))
    return result
