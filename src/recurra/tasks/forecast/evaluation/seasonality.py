"""Seasonality: M4's test of a season, and the series without it by classical decomposition."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Adjusted", "Vector", "adjusted", "filled", "is_seasonal", "season_index"]

Vector = np.ndarray[Any, np.dtype[np.float64]]

_CRITICAL = 1.645
"""The normal distribution's bound at 90 %, both sides counted."""


@dataclass(frozen=True, eq=False)
class Adjusted:
    """A series without its season, and the functions that put the season back after its end.

    `values` (n,) has NaN where the history has; `restore` takes values and steps (from 0 at the
    first of the history); `size` gives the growth of a spread at such steps.
    """

    values: Vector
    restore: Callable[[Vector, np.ndarray[Any, Any]], Vector]
    size: Callable[[np.ndarray[Any, Any]], Vector]


def adjusted(history: Vector, season: int) -> Adjusted:
    """The history (n,) without its season where M4's test detects one, else unchanged.

    The season is a factor (classical multiplicative decomposition), or a term that is added where
    a known value is zero or negative.
    """
    positive = not (history <= 0).any()
    index = season_index(history, season, positive) if is_seasonal(history, season) else None
    if index is None:
        return Adjusted(history, lambda values, _: values, lambda at: np.ones(len(at)))
    phases = np.arange(len(history)) % season
    if positive:
        return Adjusted(
            history / index[phases],
            lambda values, at: values * index[at % season],
            lambda at: index[at % season],
        )
    return Adjusted(
        history - index[phases],
        lambda values, at: values + index[at % season],
        lambda at: np.ones(len(at)),
    )


def is_seasonal(history: Vector, season: int) -> bool:
    """M4's test at 90 %: the autocorrelation at the season against Bartlett's bound.

    False below three seasons of history (Makridakis, Spiliotis & Assimakopoulos, "The
    M4 Competition", 2020, and its published R code). Missing values count as on a straight line
    between their neighbours.
    """
    if season < 2 or len(history) < 3 * season or np.isnan(history).all():
        return False
    centred = filled(history)
    centred = centred - centred.mean()
    total = centred @ centred
    if total == 0:
        return False
    products = [centred[lag:] @ centred[:-lag] for lag in range(1, season + 1)]
    correlations = np.array(products) / total
    bound = _CRITICAL * math.sqrt((1 + 2 * (correlations[:-1] ** 2).sum()) / len(history))
    return bool(abs(correlations[-1]) > bound)


def season_index(history: Vector, season: int, positive: bool) -> Vector | None:
    """The factor or term of each phase (season,); None where a phase has no known value."""
    trend = _moving_average(filled(history), season)
    apart = history / trend if positive else history - trend
    defined = ~np.isnan(apart)
    phases = np.arange(len(history))[defined] % season
    counts = np.bincount(phases, minlength=season)
    if (counts == 0).any():
        return None
    index: Vector = np.bincount(phases, weights=apart[defined], minlength=season) / counts
    if positive:
        index /= index.mean()
    else:
        index -= index.mean()
    return index


def _moving_average(values: Vector, season: int) -> Vector:
    """The centred average over a season; NaN within half a season of either end."""
    half = season // 2
    weights = np.ones(2 * half + 1) / season
    if season % 2 == 0:
        weights[[0, -1]] /= 2
    trend = np.full(len(values), np.nan)
    trend[half : len(values) - half] = np.convolve(values, weights, mode="valid")
    return trend


def filled(history: Vector) -> Vector:
    """The history with missing values interpolated, and constant before and after known ones."""
    missing = np.isnan(history)
    if not missing.any():
        return history
    steps = np.arange(len(history))
    return np.interp(steps, steps[~missing], history[~missing])
