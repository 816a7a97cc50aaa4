"""Values as a network sees them: transformed, and scaled by what a window's look-back holds."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.errors import DataError

__all__ = ["Usual", "mean_change", "scale_of", "transformed", "untransformed"]

Floats = NDArray[np.float64]

_LEAST = 1e-9
"""A deviation is at least this share of the values' size: below it there is only rounding."""


class Usual(NamedTuple):
    """Mean and standard deviation (N,) of whole series, transformed: what a window goes by that has
    none of its own. NaN and 0 for a series without a value.
    """

    centre: Floats
    spread: Floats

    def of(self, series: NDArray[np.int64]) -> "Usual":
        """Those of some series."""
        return Usual(self.centre[series], self.spread[series])


def transformed(values: Floats, how: str) -> Floats:
    """Values (any shape, NaN where missing) as `how` says: none, log or log1p; DataError."""
    if how == "none":
        return values
    lowest = float(np.nanmin(values)) if np.isfinite(values).any() else 1.0
    if lowest < 0 or (how == "log" and lowest == 0):
        allowed = "above 0" if how == "log" else "0 or more"
        raise DataError(
            f"transform = {how!r} needs values {allowed}, and the lowest is {lowest:g}; choose "
            "another transform, or none."
        )
    return np.log(values) if how == "log" else np.log1p(values)


def untransformed(values: Floats, how: str) -> Floats:
    """Back to the scale of the data."""
    if how == "none":
        return values
    # Beyond this a float64 overflows; no quantile of real data lies there.
    capped = np.minimum(values, 700.0)
    return np.exp(capped) if how == "log" else np.expm1(capped)


def scale_of(context: Floats, usual: Usual, how: str) -> tuple[Floats, Floats]:
    """Location and scale (B,) of windows by their look-back (L, B), NaN where nothing was seen.

    What is `usual` of each series (B,) stands in where the look-back has no value, or no deviation.
    """
    # A window without a value is at its series' mean, as if it had been seen once.
    context = np.where(np.isfinite(context).any(0), context, np.nan_to_num(usual.centre))
    spread, seen = usual.spread, np.isfinite(context)
    count = seen.sum(0)
    filled = np.where(seen, context, 0.0)
    mean, size = filled.sum(0) / count, np.abs(filled).sum(0) / count
    if how == "none":
        return np.zeros_like(mean), np.ones_like(mean)
    if how == "mean":
        return np.zeros_like(mean), _positive(size, spread, size)
    if how == "last":
        return _last(filled, seen), _positive(spread, spread, size)
    deviation = np.sqrt((np.where(seen, context - mean, 0.0) ** 2).sum(0) / count)
    return mean, _positive(deviation, spread, size)


def _positive(scale: Floats, spread: Floats, size: Floats) -> Floats:
    """`scale` where it is more than rounding, else the spread, else 1."""
    least = _LEAST * size
    scale = np.where(scale > least, scale, spread)
    return np.where(scale > least, scale, 1.0)


def _last(filled: Floats, seen: NDArray[np.bool_]) -> Floats:
    """The last value that was seen."""
    index = np.where(seen, np.arange(len(seen))[:, None], 0).max(0)
    last: Floats = np.take_along_axis(filled, index[None], 0)[0]
    return last


def mean_change(values: Floats, seen: NDArray[np.bool_]) -> Floats:
    """The mean absolute change from step to step (B,) of windows (L, B), where both were seen;
    0 where there is none.

    >>> mean_change(np.array([[1.0], [4.0], [3.0]]), np.ones((3, 1), bool))
    array([2.])
    """
    both = seen[1:] & seen[:-1]
    total: Floats = np.where(both, np.abs(np.diff(values, axis=0)), 0.0).sum(0)
    found: Floats = total / np.maximum(both.sum(0), 1)
    return found
