"""Confidences against the share that is right, and a calibration that brings them together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.errors import ConfigError, DataError

__all__ = ["ConfidenceCalibration", "Reliability", "ReliabilityBin", "reliability"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Given = Sequence[float] | np.ndarray[Any, Any]

_EDGE = 1e-6
"""Confidences are held this far from 0 and 1, where the logit is not finite."""
_LEAST_SLOPE = 0.01
_STEPS = 100


@dataclass(frozen=True)
class ReliabilityBin:
    """Confidences from `low` to `high`: their mean, the share that is right, their number."""

    low: float
    high: float
    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True)
class Reliability:
    """Bins that aren't empty, in order, and the expected calibration error.

    ece: mean distance between confidence and accuracy over the bins, by their counts; C. Guo et
        al., "On calibration of modern neural networks", ICML 2017.
    """

    bins: tuple[ReliabilityBin, ...]
    ece: float


def reliability(confidences: Given, correct: Given, bins: int = 10) -> Reliability:
    """Sort N confidences from 0 to 1 into bins of equal width; `correct` (N,) is true or false.

    DataError where there is none, numbers differ, or one isn't from 0 to 1.

    >>> result = reliability([0.9, 0.8, 0.85, 0.1], [1, 1, 0, 0], bins=2)
    >>> [(bin.count, round(bin.accuracy, 2)) for bin in result.bins], round(result.ece, 4)
    ([(1, 0.0), (3, 0.67)], 0.1625)
    """
    if bins < 1:
        raise ConfigError(f"bins = {bins}; it is 1 or more.")
    values, right = _checked(confidences, correct)
    places = np.minimum((values * bins).astype(np.int64), bins - 1)
    found = []
    for place in range(bins):
        inside = places == place
        if count := int(inside.sum()):
            means = float(values[inside].mean()), float(right[inside].mean())
            found.append(ReliabilityBin(place / bins, (place + 1) / bins, *means, count))
    ece = sum(one.count * abs(one.confidence - one.accuracy) for one in found) / len(values)
    return Reliability(tuple(found), float(ece))


@dataclass(frozen=True)
class ConfidenceCalibration:
    """A calibrated confidence: sigmoid(slope · logit(p) + offset); its fields are JSON values.

    The slope is above 0, so that the order of confidences stays. J. Platt, "Probabilistic outputs
    for support vector machines", 1999; a slope without offset is temperature scaling.

    >>> over = ConfidenceCalibration.fit([0.9, 0.8] * 50, [1, 0] * 50)
    >>> over.apply([0.5, 0.9]).round(2).tolist()
    [0.01, 0.8]
    """

    slope: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite([self.slope, self.offset]).all() and self.slope > 0):
            raise ConfigError(
                f"slope = {self.slope} and offset = {self.offset} of a calibration; both are "
                "finite, and the slope is above 0."
            )

    @classmethod
    def fit(cls, confidences: Given, correct: Given) -> "ConfidenceCalibration":
        """Fit to held-out items by likelihood, with one item's worth of pull towards no change.

        So that few items, or items that are all right, still give finite numbers. DataError as in
        `reliability`.
        """
        values, right = _checked(confidences, correct)
        features = np.stack([_logit(values), np.ones_like(values)], axis=1)
        weights = _fitted(features, right, np.array([1.0, 0.0]))
        if weights[0] < _LEAST_SLOPE:
            fixed = _LEAST_SLOPE * features[:, 0]
            weights = np.array([_LEAST_SLOPE, *_fitted(features[:, 1:], right, np.zeros(1), fixed)])
        return cls(float(weights[0]), float(weights[1]))

    def apply(self, confidences: Given) -> Floats:
        """Calibrated confidences (N,), for N confidences from 0 to 1."""
        values: Floats = np.asarray(confidences, dtype=np.float64)
        return _sigmoid(self.slope * _logit(values) + self.offset)


def _checked(confidences: Given, correct: Given) -> tuple[Floats, Floats]:
    values = np.asarray(confidences, dtype=np.float64)
    right = np.asarray(correct, dtype=np.float64)
    if values.ndim != 1 or values.shape != right.shape or not len(values):
        raise DataError(
            f"confidences {values.shape} and correct {right.shape}; give both as (N,), N from 1 on."
        )
    if not ((values >= 0) & (values <= 1)).all():
        place = int(np.flatnonzero(~((values >= 0) & (values <= 1)))[0])
        raise DataError(f"Confidence {place} is {values[place]:g}; it is from 0 to 1.")
    return values, right


def _fitted(features: Floats, right: Floats, prior: Floats, fixed: Floats | float = 0.0) -> Floats:
    """Newton's steps, halved until the penalised likelihood grows; it is strictly concave."""
    weights, value = prior.copy(), -np.inf
    for _ in range(_STEPS):
        chances = _sigmoid(features @ weights + fixed)
        slope = features.T @ (right - chances) - (weights - prior)
        curve = (features.T * (chances * (1 - chances))) @ features + np.eye(len(prior))
        step, value = (
            np.linalg.solve(curve, slope),
            _objective(features, right, prior, fixed, weights),
        )
        while _objective(features, right, prior, fixed, weights + step) < value:
            step = step / 2
            if np.abs(step).max() < 1e-12:
                return weights
        weights = weights + step
        if np.abs(step).max() < 1e-10:
            break
    return weights


def _objective(
    features: Floats, right: Floats, prior: Floats, fixed: Floats | float, weights: Floats
) -> float:
    logits = features @ weights + fixed
    likelihood = right * logits - np.logaddexp(0, logits)
    return float(likelihood.sum() - ((weights - prior) ** 2).sum() / 2)


def _logit(values: Floats) -> Floats:
    held = np.clip(values, _EDGE, 1 - _EDGE)
    result: Floats = np.log(held) - np.log1p(-held)
    return result


def _sigmoid(values: Floats) -> Floats:
    result: Floats = np.exp(-np.logaddexp(0, -values))
    return result
