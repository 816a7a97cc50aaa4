"""Ink found on paper: which of the two is the darker, and how dark each is, place by place."""

from typing import Any, Literal, NamedTuple

import numpy as np

from recurra.data.images.image_file import Floats
from recurra.data.images.resampling import resize

__all__ = ["InkPicture", "Polarity", "ink_picture"]

Polarity = Literal["auto", "dark", "light"]
"""The ink is darker than the paper, or lighter, or that is seen from the picture."""

_LEAST_CONTRAST = 0.08
"""Ink differs from paper by at least this share of the scale; noise and paper's grain by less."""


_DARKEST_PAPER = 0.25
"""Ink on paper in a shadow is dark in proportion; below this level noise would be, too."""


class InkPicture(NamedTuple):
    """The picture (H, W), 0 for paper and 1 for ink, and what was seen on the way."""

    ink: Floats
    light_ink: bool
    blank: bool


def ink_picture(grey: Floats, polarity: Polarity = "auto") -> InkPicture:
    """Ink from grey (H, W), which is 0 for black and 1 for white.

    The paper is the level that is common around each place, so that a shadow across the line goes
    away. Levels between paper and full ink stay between 0 and 1.
    """
    light_ink = _has_light_ink(grey) if polarity == "auto" else polarity == "light"
    paper_white = 1 - grey if light_ink else grey
    around = _local_paper(paper_white)
    darkness = (around - paper_white) / np.maximum(around, _DARKEST_PAPER)
    split = _otsu(darkness)
    marks = darkness > split
    if not marks.any() or marks.all():
        return InkPicture(np.zeros_like(grey), light_ink, True)
    paper, ink = float(np.median(darkness[~marks])), float(np.percentile(darkness[marks], 75))
    if ink - paper < _LEAST_CONTRAST:
        return InkPicture(np.zeros_like(grey), light_ink, True)
    level = np.clip((darkness - paper) / (ink - paper), 0, 1)
    return InkPicture(level.astype(np.float32), light_ink, False)


def _has_light_ink(grey: Floats) -> bool:
    """Whether the rarer level is the lighter: the skewness about the levels around is positive."""
    height, width = grey.shape
    residual = grey - _joined(_coarse(grey, np.mean), height, width)
    return float(np.mean((residual - residual.mean()) ** 3)) > 0


def _local_paper(grey: Floats) -> Floats:
    """The paper's level at each pixel: a high percentile of the cell around, smoothly joined."""
    height, width = grey.shape
    levels = _coarse(grey, lambda cell: np.percentile(cell, 85))
    return _joined(_without_ink(levels), height, width)


def _joined(levels: Floats, height: int, width: int) -> Floats:
    """The levels of cells as a smooth picture (height, width), the slope kept to its edges."""
    below, right = round(height / levels.shape[0]), round(width / levels.shape[1])
    wide = resize(_continued(levels), height + 2 * below, width + 2 * right)
    return wide[below : below + height, right : right + width]


def _continued(levels: Floats) -> Floats:
    """Levels with one more cell at each side, on the line through the last two."""
    for axis in (0, 1):
        sides = [(int(axis == 0),) * 2, (int(axis == 1),) * 2]
        if levels.shape[axis] > 1:
            levels = np.pad(levels, sides, mode="reflect", reflect_type="odd")
        else:
            levels = np.pad(levels, sides, mode="edge")
    return levels


def _without_ink(levels: Floats) -> Floats:
    """Cells that ink covers take the level of a neighbour that it doesn't: a grey closing."""
    return -_greatest_around(-_greatest_around(levels))


def _greatest_around(levels: Floats) -> Floats:
    framed = _continued(levels)
    views = [
        framed[y : y + len(levels), x : x + levels.shape[1]] for y in range(3) for x in range(3)
    ]
    return np.asarray(np.max(views, axis=0), np.float32)


_CELL = 128
"""Pixels of a cell where a picture is higher: it may be a page, in a shadow of its own."""
_CELLS_ACROSS = 64
"""Cells at most in either direction: the paper varies slowly."""


def _coarse(grey: Floats, level: Any) -> Floats:
    """`level` of each cell of the picture; a cell is as high as a line, and smaller than a page."""
    height, width = grey.shape
    least = min(height, width)
    side = min(least, max(_CELL, least / 8))
    down = min(max(round(height / side), 1), _CELLS_ACROSS)
    across = min(max(round(width / side), 1), _CELLS_ACROSS)
    rows = np.array_split(np.arange(height), down)
    columns = np.array_split(np.arange(width), across)
    return np.array(
        [[level(grey[r[0] : r[-1] + 1, c[0] : c[-1] + 1]) for c in columns] for r in rows],
        np.float32,
    )


def _otsu(values: np.ndarray[Any, Any]) -> float:
    """The threshold that parts the values best into two classes (Otsu 1979)."""
    counts, edges = np.histogram(values, 256)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * middles)
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = sums / below - (sums[-1] - sums) / above
    spread = np.nan_to_num(below.astype(np.float64) * above * gap**2)
    best = np.flatnonzero(spread >= spread.max() * (1 - 1e-9))
    return float(edges[1:][best[len(best) // 2]])
