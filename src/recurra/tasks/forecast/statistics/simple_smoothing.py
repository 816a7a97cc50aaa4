"""Simple exponential smoothing of one history, fitted by least squares."""

import math
from typing import Any, NamedTuple

import numpy as np

__all__ = ["SmoothingFit", "fit_smoothing"]

Array = np.ndarray[Any, np.dtype[np.float64]]

_LEAST, _MOST = 1e-4, 1 - 1e-4
"""The bounds of the constant, as in R's `forecast::ses`, which M4 used."""
_CANDIDATES, _ROUNDS = 9, 3
"""Constants that each round tries between the neighbours of the best before."""
_NOTHING = 1e-18
"""A weight too small to change a sum in float64."""


class SmoothingFit(NamedTuple):
    """The last level, the smoothing constant, and the standard deviation of one-step errors."""

    level: float
    constant: float
    deviation: float


def fit_smoothing(values: Array) -> SmoothingFit:
    """Fit simple exponential smoothing to values (n,), none missing, n at least 1.

    The level after a value is `level + constant * (value - level)`. A step without a value leaves
    the level alone, so a series with gaps is smoothed as if without them.
    """
    origin = values[0]
    constants = np.linspace(_LEAST, _MOST, _CANDIDATES)
    for _ in range(_ROUNDS):
        errors, _ = _tried(values - origin, constants)
        best = int(errors.argmin())
        around = constants[max(best - 1, 0)], constants[min(best + 1, _CANDIDATES - 1)]
        vertex = _vertex(constants, errors, best)
        constants = np.linspace(*around, _CANDIDATES)
    errors, levels = _tried(values - origin, np.array([vertex]))
    # Two numbers were fitted: the constant and the first level.
    deviation = math.sqrt(errors[0] / max(len(values) - 2, 1))
    return SmoothingFit(float(levels[0] + origin), vertex, deviation)


def _vertex(constants: Array, errors: Array, best: int) -> float:
    """The least error's place on the parabola through the best constant and its neighbours."""
    if not 0 < best < len(constants) - 1:
        return float(constants[best])
    before, here, after = errors[best - 1 : best + 2]
    bend = before - 2 * here + after
    shift = (before - after) / (2 * bend) if bend > 0 else 0.0
    return float(constants[best] + shift * (constants[1] - constants[0]))


def _tried(values: Array, constants: Array) -> tuple[Array, Array]:
    """Sums of squared one-step errors, and last levels, both (K,), for ascending constants (K,).

    The errors are linear in the first level, so the best one is known in closed form.
    """
    powers = _powers(1 - constants, len(values) + 1)
    weights, final = powers[:, :-1], powers[:, -1]
    levels = _levels(values, constants)
    errors = np.empty(levels.shape)
    errors[:, 0] = values[0]
    np.subtract(values[1:], levels[:, :-1], out=errors[:, 1:])
    first = _products(errors, weights) / _products(weights, weights)
    errors -= first[:, None] * weights
    return _products(errors, errors), levels[:, -1] + final * first


def _levels(values: Array, constants: Array) -> Array:
    """Levels (K, n) from a first level of zero: the recurrence unrolled, by doubling."""
    levels = constants[:, None] * values
    decay, reach = 1 - constants[:, None], 1
    while reach < len(values):
        weights = decay**reach
        live = int((weights > _NOTHING).sum())  # the constants ascend
        levels[:live, reach:] += weights[:live] * levels[:live, :-reach]
        reach *= 2
    return levels


def _powers(bases: Array, count: int) -> Array:
    """Powers (K, count) from the 0th of each base (K,), by doubling: np.power is far slower."""
    powers = np.ones((len(bases), count))
    reach = 1
    while reach < count:
        size = min(reach, count - reach)
        powers[:, reach : reach + size] = bases[:, None] ** reach * powers[:, :size]
        reach *= 2
    return powers


def _products(left: Array, right: Array) -> Array:
    """The scalar product of each row."""
    products: Array = np.einsum("kn,kn->k", left, right)
    return products
