"""A line of text in its picture: the core of its letters, its slant, and whether it is one line."""

from typing import NamedTuple

import numpy as np

from recurra.data.images.image_file import Floats
from recurra.data.images.resampling import resize, shear

__all__ = ["TextCore", "slant_of", "text_core", "text_rows"]


class TextCore(NamedTuple):
    """The rows between which the small letters of a line lie: their middle and their height."""

    middle: float
    height: float


def text_core(ink: Floats) -> TextCore:
    """The core of a line of ink (H, W): the peak of its rows' ink, as wide as at half its height.

    Ascenders, descenders and what other lines leave at the edges have less ink to a row. The peak
    is that of a broadly smoothed profile, so that a ruled line or the bars of many `t` aren't one.
    """
    rows = np.pad(ink.sum(1, dtype=np.float64), 1)
    share = np.cumsum(rows) / rows.sum()
    first, last = np.searchsorted(share, (0.01, 0.99))
    reach = max(int(last - first), 8) / 8
    smooth, peak = _smooth(rows, reach / 2), int(np.argmax(_smooth(rows, reach)))
    near = smooth[max(peak - round(reach), 0) : peak + round(reach) + 1]
    level = 0.5 * float(near.max())
    peak += int(np.argmax(near)) - min(peak, round(reach)) if smooth[peak] <= level else 0
    top, bottom = _crossing(smooth[peak::-1], level), _crossing(smooth[peak:], level)
    return TextCore(peak + (bottom - top) / 2 - 1, top + bottom)


def _crossing(values: np.ndarray, level: float) -> float:
    """The place, between two values, at which they first fall to the level; they begin above it."""
    below = np.flatnonzero(values <= level)
    if not len(below):
        return len(values) - 0.5
    after = int(below[0])
    high, low = float(values[after - 1]), float(values[after])
    return after - 1 + (high - level) / (high - low)


def _smooth(values: np.ndarray, deviation: float) -> np.ndarray:
    reach = int(3 * deviation) + 1
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    return np.convolve(np.pad(values, reach), weights / weights.sum(), mode="valid")


_SLOPES = np.tan(np.radians(np.arange(-45, 46, 3)))
_SLANT_HEIGHT = 32
"""Rows of the small copy on which slants are tried."""


def slant_of(ink: Floats) -> float:
    """The slope of the letters' stems, columns to a row, positive where they lean to the right.

    It is the one that leaves the columns most uneven when taken out (Vinciarelli and Luettin
    2001): upright stems gather in few columns.
    """
    height, width = ink.shape
    small = resize(ink, _SLANT_HEIGHT, max(round(width * _SLANT_HEIGHT / height), 1))
    unevenness = [float((shear(small, -slope).sum(0) ** 2).sum()) for slope in _SLOPES]
    return float(_SLOPES[int(np.argmax(unevenness))])


_STRIPS = 8
_FULL_ROW = 0.5
"""A band of ink half as high as the highest is a line of text; a cut neighbour or accents less."""


def text_rows(ink: Floats) -> int:
    """The number of lines of text in ink (H, W), in the middle of several upright strips.

    Strips make pages that are slightly turned countable. Each is at least a sixth as wide as the
    picture is high, and the letter of a line of one letter may be cut by them: 3 bars of an `E`.
    """
    height, width = ink.shape
    strips = int(np.clip(min(_STRIPS, width / (height / 6)), 1, width))
    counts = [_bands(strip) for strip in np.array_split(ink > 0.5, strips, axis=1)]
    return int(np.median([count for count in counts if count] or [0]))


def _bands(marks: np.ndarray) -> int:
    """The bands of rows with ink, those that are at least half as high as the highest."""
    inked = marks.sum(1) > 0.02 * marks.shape[1]
    edges = np.flatnonzero(np.diff(np.concatenate([[0], inked, [0]])))
    heights = edges[1::2] - edges[::2]
    return int((heights >= _FULL_ROW * heights.max()).sum()) if len(heights) else 0
