"""Scaling: transforms of values, and the scale of a window by its look-back."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.data.series.panel import Panel
from recurra.errors import DataError

__all__ = [
    "SeriesScale",
    "series_scale",
    "transformed",
    "untransformed",
    "window_scale",
]

Floats = NDArray[np.float64]

_LEAST = 1e-9
"""A smaller deviation, as a share of the values' size, is taken for rounding; not tuned."""

_MOST_LOGARITHM = 700.0
"""The exponential of more overflows float64; no quantile of real data lies there."""


class SeriesScale(NamedTuple):
    """Mean and standard deviation (N,) of whole series, transformed: the fallback of a window
    without its own. NaN and 0 for a series without a value.

    `typical` (N,) is a deviation that a series of such a mean has, by the other series: the
    fallback of one that never changed.
    """

    centre: Floats
    spread: Floats
    typical: Floats

    def of(self, series: NDArray[np.int64]) -> "SeriesScale":
        """The scales of some series."""
        return SeriesScale(*(part[series] for part in self))


def series_scale(
    panel: Panel,
    transform: str,
    limit: NDArray[np.int64] | None = None,
    *,
    others: SeriesScale | None = None,
) -> SeriesScale:
    """Mean and deviation of each series before its limit (N,), or as a whole; what is typical is
    by the `others`, or by these series themselves.
    """
    y = transformed(panel.y, transform)
    series = np.repeat(np.arange(len(panel)), panel.lengths)
    row = np.arange(len(y)) - panel.offsets[series]
    counts = np.isfinite(y) & (row < (panel.lengths if limit is None else limit)[series])
    series, y = series[counts], y[counts]
    size = np.bincount(series, minlength=len(panel))
    sums = np.bincount(series, y, minlength=len(panel))
    mean = np.divide(sums, size, out=np.full(len(panel), np.nan), where=size > 0)
    squares = np.bincount(series, (y - mean[series]) ** 2, minlength=len(panel))
    spread = np.sqrt(squares / np.maximum(size, 1))
    # A constant series has no deviation, whatever its mean was rounded to.
    varies = np.zeros(len(panel), bool)
    varies[series[1:][(np.diff(series) == 0) & (np.diff(y) != 0)]] = True
    spread = np.where(varies, spread, 0.0)
    known = others or SeriesScale(mean, spread, spread)
    return SeriesScale(mean, spread, _typical_spread(mean, known))


def _typical_spread(centre: Floats, known: SeriesScale) -> Floats:
    """The deviation (N,) that series of these means have by the known ones: the median share of the
    mean, or the median deviation for a mean of zero; 1 where none varies.
    """
    varies = known.spread > 0
    if not varies.any():
        return np.ones_like(centre)
    spread, size = known.spread[varies], np.abs(known.centre[varies])
    share = np.median(np.divide(spread, size, out=np.ones_like(size), where=size > 0))
    typical: Floats = share * np.nan_to_num(np.abs(centre))
    return np.where(typical > 0, typical, np.median(spread))


def transformed(values: Floats, transform: str) -> Floats:
    """Values (any shape, NaN where missing) transformed by "none", "log" or "log1p"; DataError."""
    if transform == "none":
        return values
    lowest = float(np.nanmin(values)) if np.isfinite(values).any() else 1.0
    if lowest < 0 or (transform == "log" and lowest == 0):
        allowed = "above 0" if transform == "log" else "0 or more"
        raise DataError(
            f"transform = {transform!r} needs values {allowed}, and the lowest is {lowest:g}; "
            "choose another transform, or none."
        )
    return np.log(values) if transform == "log" else np.log1p(values)


def untransformed(values: Floats, transform: str) -> Floats:
    """Transformed values back on the scale of the data."""
    if transform == "none":
        return values
    capped = np.minimum(values, _MOST_LOGARITHM)
    return np.exp(capped) if transform == "log" else np.expm1(capped)


def window_scale(lookback: Floats, usual: SeriesScale, scaling: str) -> tuple[Floats, Floats]:
    """Location and scale (B,) of windows by their look-back (L, B), NaN where nothing was seen.

    The `usual` scale of each series (B,) is taken where the look-back has no value or no deviation.
    """
    # A window without a value is at its series' mean, as if it had been seen once.
    lookback = np.where(np.isfinite(lookback).any(0), lookback, np.nan_to_num(usual.centre))
    spread, seen = usual.spread, np.isfinite(lookback)
    count = seen.sum(0)
    filled = np.where(seen, lookback, 0.0)
    mean, size = filled.sum(0) / count, np.abs(filled).sum(0) / count
    if scaling == "none":
        return np.zeros_like(mean), np.ones_like(mean)
    if scaling == "mean":
        return np.zeros_like(mean), _positive(size, usual, size)
    if scaling == "last":
        return _last(filled, seen), _positive(spread, usual, size)
    deviation = np.sqrt((np.where(seen, lookback - mean, 0.0) ** 2).sum(0) / count)
    return mean, _positive(deviation, usual, size)


def _positive(scale: Floats, usual: SeriesScale, size: Floats) -> Floats:
    """`scale` where it is more than rounding, else the series' spread, else a typical one."""
    least = _LEAST * size
    scale = np.where(scale > least, scale, usual.spread)
    return np.where(scale > least, scale, usual.typical)


def _last(filled: Floats, seen: NDArray[np.bool_]) -> Floats:
    """The last value that was seen."""
    index = np.where(seen, np.arange(len(seen))[:, None], 0).max(0)
    last: Floats = np.take_along_axis(filled, index[None], 0)[0]
    return last
