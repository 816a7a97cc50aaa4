"""Baselines: forecasts without training, as the M4 competition defined them.

Each takes a history (n,) of float64, NaN where a value is missing, the steps in a season and a
horizon, and gives (horizon,). A history without any known value gives NaN.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from recurra.errors import ConfigError
from recurra.tasks.forecast.evaluation.seasonality import Vector, adjusted

__all__ = [
    "BASELINES",
    "MEANINGS",
    "Baseline",
    "SmoothingFit",
    "baseline_quantiles",
    "fit_smoothing",
]


Baseline = Callable[[Vector, int, int], Vector]


class _Forecast(NamedTuple):
    """The expectation of each step ahead, and its standard deviation."""

    point: Vector
    deviation: Vector


def naive(history: Vector, season: int, horizon: int) -> Vector:
    """The last known value, at every step ahead (horizon,); `season` is not used."""
    return _naive(history, season, horizon).point


def seasonal_naive(history: Vector, season: int, horizon: int) -> Vector:
    """The last known value of the same phase of the season (horizon,).

    A phase without a known value, and a history shorter than a season, get `naive`'s.
    """
    return _seasonal_naive(history, season, horizon).point


def naive2(history: Vector, season: int, horizon: int) -> Vector:
    """M4's Naive2 (horizon,): `naive` of the series without its season, which is then put back.

    Where M4's 90 % test detects no season, or there are fewer than three, it is `naive`. The
    decomposition is multiplicative; additive where a known value is zero or negative.
    """
    return _naive2(history, season, horizon).point


def exponential_smoothing(history: Vector, season: int, horizon: int) -> Vector:
    """M4's SES (horizon,): simple exponential smoothing of the series without its season.

    Season as in `naive2`; the smoothing constant and the first level by least squares.
    """
    return _exponential_smoothing(history, season, horizon).point


BASELINES: Mapping[str, Baseline] = MappingProxyType(
    {
        "Naive": naive,
        "SeasonalNaive": seasonal_naive,
        "Naive2": naive2,
        "SES": exponential_smoothing,
    }
)
"""Every baseline by its name in the field."""

MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "Naive": "repeating the last value",
        "SeasonalNaive": "repeating the last season",
        "Naive2": "repeating the last value, seasonally adjusted",
        "SES": "exponential smoothing, seasonally adjusted",
    }
)
"""The method of each baseline, as part of a sentence."""


def baseline_quantiles(
    history: Vector, name: str, season: int, horizon: int, levels: Sequence[float]
) -> Vector:
    """Quantiles (horizon, Q) of a baseline's forecast at levels (Q,) between 0 and 1.

    Normal, with the deviation of the one-step errors in the history and the growth of the
    textbook (Hyndman & Athanasopoulos, "Forecasting: principles and practice", 3rd edition,
    section 5.5; Hyndman et al., "Forecasting with exponential smoothing", 2008, table 6.1), h
    steps after the last known value: `sqrt(h)` for Naive and Naive2, `sqrt(k + 1)` after k whole
    seasons for SeasonalNaive, `sqrt(1 + (h - 1) a²)` for SES with the constant a. With too few
    values for an error, every quantile is the forecast itself.

        >>> baseline_quantiles(np.array([1.0, 2.0, 1.0]), "Naive", 1, 2, (0.5, 0.9)).round(2)
        array([[1.  , 2.28],
               [1.  , 2.81]])
    """
    if name not in _FORECASTS:
        raise ConfigError(f"{name!r} is not a baseline; choose from {', '.join(_FORECASTS)}.")
    if not all(0 < level < 1 for level in levels):
        raise ConfigError(f"The levels {tuple(levels)} must lie between 0 and 1.")
    normal = statistics.NormalDist()
    bounds = np.array([normal.inv_cdf(level) for level in levels])
    forecast = _FORECASTS[name](np.asarray(history, dtype=np.float64), season, horizon)
    spread: Vector = forecast.deviation[:, None] * bounds
    return forecast.point[:, None] + spread


def _naive(history: Vector, season: int, horizon: int) -> _Forecast:
    steps = np.flatnonzero(~np.isnan(history))
    if not len(steps):
        return _Forecast(np.full(horizon, np.nan), np.full(horizon, np.nan))
    values = history[steps]
    # A step over a gap of g missing values is a walk of g + 1 steps.
    squares = np.diff(values) ** 2 / np.diff(steps)
    return _Forecast(
        np.full(horizon, values[-1]),
        _root_mean(squares) * np.sqrt(_distances(history, horizon)),
    )


def _seasonal_naive(history: Vector, season: int, horizon: int) -> _Forecast:
    simple = _naive(history, season, horizon)
    if season < 2 or len(history) < season:
        return simple
    last = _last_of_phases(history, season)
    ahead = len(history) + np.arange(horizon)
    source = last[ahead % season]
    available = source >= 0
    changes = history[season:] - history[:-season]
    squares = changes[~np.isnan(changes)] ** 2
    seasons = (ahead - source) // season
    deviation = _root_mean(squares) * np.sqrt(seasons) if len(squares) else simple.deviation
    return _Forecast(
        np.where(available, history[source], simple.point),
        np.where(available, deviation, simple.deviation),
    )


def _naive2(history: Vector, season: int, horizon: int) -> _Forecast:
    without = adjusted(history, season)
    ahead = len(history) + np.arange(horizon)
    point, deviation = _naive(without.values, 1, horizon)
    return _Forecast(without.restore(point, ahead), deviation * without.size(ahead))


def _exponential_smoothing(history: Vector, season: int, horizon: int) -> _Forecast:
    without = adjusted(history, season)
    values = without.values[~np.isnan(without.values)]
    if not len(values):
        return _naive(history, season, horizon)
    ahead = len(history) + np.arange(horizon)
    fit = fit_smoothing(values)
    growth = np.sqrt(1 + (_distances(history, horizon) - 1) * fit.constant**2)
    return _Forecast(
        without.restore(np.full(horizon, fit.level), ahead),
        fit.deviation * growth * without.size(ahead),
    )


_FORECASTS: Mapping[str, Callable[[Vector, int, int], _Forecast]] = MappingProxyType(
    {
        "Naive": _naive,
        "SeasonalNaive": _seasonal_naive,
        "Naive2": _naive2,
        "SES": _exponential_smoothing,
    }
)


def _distances(history: Vector, horizon: int) -> Vector:
    """Steps (horizon,) from the last known value."""
    trailing = int(np.isnan(history)[::-1].argmin())
    return np.arange(1 + trailing, 1 + trailing + horizon, dtype=np.float64)


def _last_of_phases(history: Vector, season: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The index of each phase's (season,) last known value in the history; -1 without one."""
    steps = np.flatnonzero(~np.isnan(history))
    last = np.full(season, -1, dtype=np.int64)
    np.maximum.at(last, steps % season, steps)
    return last


def _root_mean(squares: Vector) -> float:
    return float(np.sqrt(squares.mean())) if len(squares) else 0.0


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
