"""Where text stands in an ink: its letter height, baseline, slope and slant, and their removal."""

import itertools
from dataclasses import dataclass

import numpy as np

from recurra.data.ink.ink import Ink, Points

__all__ = ["InkFrame", "core_height", "frame_of", "half_strokes"]

_NOISE = 0.1
"""Turns of the pen below this share of the ink's height are no half-strokes. Within a writer of
the pen_text validation words, the logarithm of `core_height` then deviates by 0.22, with a share of
0.2 by 0.28, and that of the box's height by 0.30."""

_STEEPEST_SLOPE = 0.5
_STRONGEST_SLANT = 1.2

_SLOPE_PRIOR = 2.5
"""Scatter of lower ends around the baseline, 0.25 letter heights, by that of slopes, 0.1."""

_SLANT_PRIOR = 1.5
"""Letter heights of down-strokes at which a measured slant is believed by half."""


@dataclass(frozen=True)
class InkFrame:
    """The place, size and inclination of a text in an ink.

    Args:
        unit: the letter height in the ink's units: 1 afterwards.
        left: the ink's left edge in x: 0 afterwards.
        baseline: y of the baseline at the left edge: 0 afterwards.
        slope: rise of the baseline along x, y downwards.
        slant: shift in x along y; positive leans to the left, as y points downwards.
    """

    unit: float
    left: float = 0.0
    baseline: float = 0.0
    slope: float = 0.0
    slant: float = 0.0

    def normalise(self, stroke: Points) -> Points:
        """The points with the letter height as unit, on a level baseline at 0, upright."""
        x = stroke[:, 0] - self.left
        y = stroke[:, 1] - self.baseline - self.slope * x
        normal = stroke.copy()
        normal[:, 0] = (x - self.slant * y) / self.unit
        normal[:, 1] = y / self.unit
        return normal


def half_strokes(y: Points, least: float) -> list[tuple[int, int]]:
    """The rises and falls of more than `least` in y (N,): the indices of their ends.

    >>> half_strokes(np.array([0.0, 5.0, 4.8, 9.0, 2.0]), least=1.0)
    [(0, 3), (3, 4)]
    """
    steps = np.sign(np.diff(y))
    moving = np.flatnonzero(steps)
    if not len(moving):
        return []
    turns = moving[np.flatnonzero(np.diff(steps[moving]))] + 1
    candidates = [int(moving[0]), *map(int, turns), int(moving[-1]) + 1]
    pivots = _pivots(y, candidates, least)
    return [*itertools.pairwise(pivots)]


def _pivots(y: Points, candidates: list[int], least: float) -> list[int]:
    """The turning points that remain where smaller ones are passed over."""
    low = high = best = candidates[0]
    direction, pivots = 0, []
    for c in candidates[1:]:
        if direction:
            if (y[c] - y[best]) * direction > 0:
                best = c
            elif (y[best] - y[c]) * direction > least:
                pivots.append(best)
                best, direction = c, -direction
        elif y[c] - y[low] > least or y[high] - y[c] > least:
            direction = 1 if y[c] - y[low] > least else -1
            pivots.append(low if direction > 0 else high)
            best = c
        else:
            low, high = (c if y[c] < y[low] else low), (c if y[c] > y[high] else high)
    return [*pivots, best] if direction else []


def core_height(ink: Ink) -> float:
    """The letter height of an ink in its own units: the median extent of its half-strokes.

    Ascenders, capitals and descenders are outnumbered by the ups and downs of small letters, so it
    is near the x-height in running text, and the height of the letters in a word of capitals. Where
    nothing rises or falls, as in a dash, it is the larger side of the widest stroke; 1 for dots.
    """
    noise = _noise(ink)
    halves = ((s[:, 1], half) for s in ink.strokes for half in half_strokes(s[:, 1], noise))
    extents = [abs(y[b] - y[a]) for y, (a, b) in halves]
    if extents:
        return float(np.median(extents))
    return float(max(np.ptp(s[:, :2], axis=0).max() for s in ink.strokes)) or 1.0


def _noise(ink: Ink) -> float:
    """The extent below which a rise or fall is noise."""
    widest = max(float(np.ptp(s[:, 0])) for s in ink.strokes)
    return _NOISE * max(ink.box.height, widest / 4)


def frame_of(ink: Ink, *, slope: bool = True, slant: bool = True) -> InkFrame:
    """Estimate where the text of an ink stands; y downwards.

    The slope is a trimmed regression over the lower ends of half-strokes, the baseline their
    median; the slant is the median inclination of down-strokes, weighted by their length. Slope
    and slant are drawn towards 0 where the ink is short, so a lone `c` or `/` stays as it is.
    """
    first = InkFrame(core_height(ink), ink.box.left)
    lows = _lower_ends(ink)
    rise = _slope(lows, first.unit) if slope else 0.0
    level = ink.with_strokes([_levelled(s, first.left, rise) for s in ink.strokes]) if rise else ink
    unit = core_height(level)
    ends = _lower_ends(level)[:, 1]
    baseline = float(np.median(ends)) if len(ends) else level.box.bottom
    return InkFrame(unit, first.left, baseline, rise, _slant(level, unit) if slant else 0.0)


def _levelled(stroke: Points, left: float, rise: float) -> Points:
    level = stroke.copy()
    level[:, 1] -= rise * (stroke[:, 0] - left)
    return level


def _lower_ends(ink: Ink) -> Points:
    """x and y where down-strokes end."""
    noise = _noise(ink)
    ends: list[Points] = []
    for s in ink.strokes:
        ends += [s[b, :2] for a, b in half_strokes(s[:, 1], noise) if s[b, 1] > s[a, 1]]
    return np.array(ends).reshape(len(ends), 2)


def _slope(ends: Points, unit: float) -> float:
    """The rise of a line through the ends, without those far from it (descenders, i-dots)."""
    slope, kept = 0.0, ends
    for reach in (np.inf, 1.0, 0.5):
        if len(kept) < 4:
            return 0.0
        residual = ends[:, 1] - slope * ends[:, 0]
        kept = ends[np.abs(residual - np.median(residual)) <= reach * unit]
        x, y = (kept - kept.mean(axis=0)).T if len(kept) else np.zeros((2, 1))
        slope = float((x * y).sum() / ((x * x).sum() + (_SLOPE_PRIOR * unit) ** 2))
    return float(np.clip(slope, -_STEEPEST_SLOPE, _STEEPEST_SLOPE))


def _slant(ink: Ink, unit: float) -> float:
    """The median dx / dy of steps downwards, weighted by dy."""
    steps = np.concatenate([np.diff(s[:, :2], axis=0) for s in ink.strokes])
    steps = steps[(steps[:, 1] > 0) & (np.abs(steps[:, 0]) < 2 * steps[:, 1])]
    if not len(steps):
        return 0.0
    order = np.argsort(steps[:, 0] / steps[:, 1])
    dx, dy = steps[order].T
    total = np.cumsum(dy)
    median = (dx / dy)[np.searchsorted(total, total[-1] / 2)]
    belief = total[-1] / (total[-1] + _SLANT_PRIOR * unit)
    return float(np.clip(belief * median, -_STRONGEST_SLANT, _STRONGEST_SLANT))
