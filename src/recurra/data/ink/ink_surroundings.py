"""The pen path around each sample of an ink: a picture of 3 x 3 cells, also of later strokes."""

from typing import Any

import numpy as np

from recurra.data.ink.ink import Floats, Points
from recurra.errors import DataError

__all__ = ["CELLS", "surroundings"]

CELLS = tuple(f"{v}_{h}" for v in ("above", "level", "below") for h in ("left", "middle", "right"))
"""The cells, in the order of `surroundings`."""

_BINS = 4
"""Bins along a cell's side, which is one letter height."""

_MAX_BINS = 4_000_000
"""The most bins of an ink: 4 MB; 20 x 12,500 letter heights."""


def surroundings(places: Points, spacing: float) -> Floats:
    """Path length l in each of 3 x 3 cells around the samples `places` (T, 2), as l / (1 + l).

    Cells are a letter height wide and high, the middle one around the sample. They are counted on
    bins of a quarter of that, so a cell's border may be off by half a bin. DataError where the ink
    is spread over more than any line of text.
    """
    bins = np.floor(_BINS * places).astype(np.int64)
    bins -= bins.min(axis=0)
    width, height = (bins.max(axis=0) + 1).tolist()
    if width * height > _MAX_BINS:
        raise DataError(
            f"the ink is spread over {width / _BINS:,.0f} x {height / _BINS:,.0f} letter heights; "
            "give one line of text, without stray points."
        )
    low, high = _BINS + _BINS // 2, _BINS + (_BINS + 1) // 2
    counts = np.zeros((height + low + high, width + low + high))
    np.add.at(counts, (bins[:, 1] + low, bins[:, 0] + low), spacing)
    sums = np.zeros((counts.shape[0] + 1, counts.shape[1] + 1))
    sums[1:, 1:] = counts.cumsum(axis=0).cumsum(axis=1)
    lengths = [_in_cell(sums, bins, down, right) for down in range(3) for right in range(3)]
    path = np.stack(lengths, axis=1)
    squashed: Floats = (path / (1.0 + path)).astype(np.float32)
    return squashed


def _in_cell(
    sums: Points, bins: np.ndarray[Any, np.dtype[np.int64]], down: int, right: int
) -> Points:
    """What lies in one cell around each bin, from the sums over all bins above and left."""
    top, left = bins[:, 1] + down * _BINS, bins[:, 0] + right * _BINS
    bottom, far = top + _BINS, left + _BINS
    inside: Points = sums[bottom, far] - sums[top, far] - sums[bottom, left] + sums[top, left]
    return np.maximum(inside, 0.0)
