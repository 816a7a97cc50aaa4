"""Bounds of forecasts by what their series have been: never negative, whole, within reach."""

import numpy as np
from numpy.typing import NDArray

from recurra.tasks.forecast.windows.traits import WindowTraits

__all__ = ["bounded", "jittered", "measure_reach", "rounded"]

Floats = NDArray[np.float64]

_REACH = 2.0
"""The least reach: an interval may leave the range of its series' history by twice its size. Not
tuned."""


def bounded(
    values: Floats, traits: WindowTraits, nonnegative: str, reach: Floats, *, half: bool = False
) -> Floats:
    """Values (W, ...) of the data held to what their series' histories allow.

    No value leaves the range of a history by more than `reach` (2,) of its size, below and above.
    With `nonnegative` "auto" those of series that never were below zero aren't either, with "yes"
    none is; with `half`, whole numbers may lie half a step lower, from where they are rounded up.
    """
    shape = (-1, *[1] * (values.ndim - 1))
    low, high, size = traits.lowest, traits.highest, _size(traits)
    least, most = low - reach[0] * size, high + reach[1] * size
    never = traits.lowest >= -1e-6 * np.maximum(np.abs(high), 1e-300)
    clipped = {"auto": never, "yes": np.ones_like(never), "no": np.zeros_like(never)}[nonnegative]
    floor = np.where(traits.whole & half, -0.5, 0.0)
    least = np.where(clipped, np.fmax(least, floor), least)
    held: Floats = np.fmin(np.fmax(values, least.reshape(shape)), most.reshape(shape))
    return held


def rounded(quantiles: Floats, whole: NDArray[np.bool_]) -> Floats:
    """Quantiles (W, ...) of jittered values as those of whole numbers, where the window's are."""
    shape = (-1, *[1] * (quantiles.ndim - 1))
    near: Floats = np.where(whole.reshape(shape), np.ceil(quantiles.round(6) - 0.5), quantiles)
    return near + 0.0  # no negative zero


def jittered(actual: Floats, traits: WindowTraits, *, lowest: float) -> Floats:
    """Actual values (W, H) with whole numbers spread evenly over the step about each, at least
    `lowest`: continuous quantiles of these, rounded, are the quantiles of the whole numbers.

    Machado and Santos Silva 2005, "Quantiles for counts". The same values for the same shape.
    """
    drawn = np.random.default_rng(0).random(actual.shape) - 0.5
    spread = np.where(traits.whole[:, None], actual + drawn, actual)
    return np.maximum(spread, np.minimum(actual, lowest))


def _size(traits: WindowTraits) -> Floats:
    """The size (W,) of histories: the range, or the largest value where that is more; infinite
    where nothing but zeros is known.
    """
    low, high = traits.lowest, traits.highest
    size = np.maximum(high - low, np.maximum(np.abs(low), np.abs(high)))
    return np.where(size > 0, size, np.inf)


def measure_reach(actual: Floats, traits: WindowTraits) -> Floats:
    """How far (2,) held-out actual values (W, H) leave the range of their histories, in multiples
    of its size: twice what one window in a hundred does, and two at least.
    """
    size = _size(traits)
    known = np.isfinite(actual).any(1) & np.isfinite(size) & np.isfinite(traits.error)
    if not known.any():
        return np.full(2, _REACH)
    below = (traits.lowest[known] - np.nanmin(actual[known], 1)) / size[known]
    above = (np.nanmax(actual[known], 1) - traits.highest[known]) / size[known]
    return np.array([max(_REACH, 2 * np.quantile(part, 0.99)) for part in (below, above)])
