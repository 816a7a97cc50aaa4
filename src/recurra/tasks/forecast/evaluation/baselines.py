"""Baselines: forecasts without training, those of the M4 competition and stronger ones.

Each takes a history (n,) of float64, NaN where a value is missing, the steps in a season and a
horizon, and gives (horizon,). A history without any known value gives NaN.
"""

import functools
import statistics
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from recurra.errors import ConfigError
from recurra.tasks.forecast.config import STATISTICAL
from recurra.tasks.forecast.evaluation.seasonality import Vector, adjusted
from recurra.tasks.forecast.statistics.histories import Outlook
from recurra.tasks.forecast.statistics.methods import METHODS
from recurra.tasks.forecast.statistics.simple_smoothing import fit_smoothing

__all__ = [
    "BASELINES",
    "MEANINGS",
    "Baseline",
    "baseline_outlook",
    "baseline_quantiles",
    "normal_quantiles",
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


def _by_method(name: str, history: Vector, season: int, horizon: int) -> Vector:
    """The points (horizon,) of one of the statistical methods."""
    point: Vector = METHODS[name]([history], season, horizon).point[0]
    return point


BASELINES: Mapping[str, Baseline] = MappingProxyType(
    {
        "Naive": naive,
        "SeasonalNaive": seasonal_naive,
        "Naive2": naive2,
        "SES": exponential_smoothing,
        **{name: functools.partial(_by_method, name) for name in METHODS},
    }
)
"""Every baseline by its name in the field."""

MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "Naive": "repeating the last value",
        "SeasonalNaive": "repeating the last season",
        "Naive2": "repeating the last value, seasonally adjusted",
        "SES": "exponential smoothing, seasonally adjusted",
        **STATISTICAL,
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
    seasons for SeasonalNaive, `sqrt(1 + (h - 1) a²)` for SES with the constant a; for the others
    that of their model. With too few values for an error, every quantile is the forecast itself.

        >>> baseline_quantiles(np.array([1.0, 2.0, 1.0]), "Naive", 1, 2, (0.5, 0.9)).round(2)
        array([[1.  , 2.28],
               [1.  , 2.81]])
    """
    outlook = baseline_outlook([np.asarray(history, dtype=np.float64)], name, season, horizon)
    quantiles: Vector = normal_quantiles(outlook, levels)[0]
    return quantiles


def baseline_outlook(histories: Sequence[Vector], name: str, season: int, horizon: int) -> Outlook:
    """A baseline's forecasts (W, horizon) of many histories (n,), with their deviations."""
    if name not in BASELINES:
        raise ConfigError(f"{name!r} is not a baseline; choose from {', '.join(BASELINES)}.")
    if name in METHODS:
        return METHODS[name](histories, season, horizon)
    parts = [_FORECASTS[name](history, season, horizon) for history in histories]
    shape = (len(parts), horizon)
    points, deviations = (np.array(part).reshape(shape) for part in zip(*parts, strict=True))
    return Outlook(points, deviations)


def normal_quantiles(outlook: Outlook, levels: Sequence[float]) -> Vector:
    """Quantiles (W, horizon, Q) of normal forecasts at levels (Q,) between 0 and 1."""
    if not all(0 < level < 1 for level in levels):
        raise ConfigError(f"The levels {tuple(levels)} must lie between 0 and 1.")
    normal = statistics.NormalDist()
    bounds = np.array([normal.inv_cdf(level) for level in levels])
    quantiles: Vector = outlook.point[..., None] + outlook.deviation[..., None] * bounds
    return quantiles


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
