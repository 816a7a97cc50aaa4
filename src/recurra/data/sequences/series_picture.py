"""Pictures of series: the curve of each channel, one below another."""

import numpy as np

from recurra.data.sequences.number_cells import Doubles
from recurra.data.sequences.series import Floats, Series

__all__ = ["drawn_series"]

_MOST = 8
"""Channels that are drawn."""
_NARROW, _WIDE = 120, 600
_MARGIN = 3


def drawn_series(series: Series, height: int = 40) -> Floats:
    """A picture (rows, columns) of the first channels, 0 for black and 1 for white.

    Each channel has so many rows and its own scale; what is missing leaves a gap.

    >>> drawn_series(Series.of([[0.0, 1.0], [1.0, 0.0]])).shape
    (80, 120)
    """
    curves = series.values.T[:_MOST]
    width = int(np.clip(4 * series.steps, _NARROW, _WIDE))
    return np.concatenate([_curve(values.astype(np.float64), height, width) for values in curves])


def _curve(values: Doubles, height: int, width: int) -> Floats:
    picture = np.ones((height, width), np.float32)
    seen = values[~np.isnan(values)]
    if not len(seen):
        return picture
    extent = np.ptp(seen)
    shares = (values - seen.min()) / extent if extent > 0 else values * 0 + 0.5
    heights = _outlined(shares, width // 2)
    y = (1 - heights) * (height - 1 - 2 * _MARGIN) + _MARGIN
    x = np.linspace(_MARGIN, width - 1 - _MARGIN, len(y))
    points = np.stack([x, y], axis=1)
    for start, end in zip(points, points[1:] if len(points) > 1 else points, strict=False):
        end = start if np.isnan(end).any() else end
        if not np.isnan(start).any():
            steps = int(np.abs(end - start).max()) + 2
            columns, rows = np.linspace(start, end, steps).round().astype(int).T
            picture[rows, columns] = picture[rows + 1, columns] = 0
    if not np.isnan(y[-1]):
        picture[round(y[-1]), round(x[-1])] = 0
    return picture


def _outlined(values: Doubles, most: int) -> Doubles:
    """Values, or of more than twice so many the least and the greatest of each stretch by turns."""
    if len(values) <= 2 * most:
        return values
    starts = np.arange(most) * len(values) // most
    pair = (np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts))
    return np.stack(pair, axis=1).ravel()
