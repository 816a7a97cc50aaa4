"""A line of text cut out of the picture of its page, upright."""

import math
from typing import Any

import numpy as np

from recurra.data.images.image_file import Floats
from recurra.data.images.page_layout import PageLine, Points
from recurra.data.images.resampling import bilinear
from recurra.errors import DataError

__all__ = ["crop_line"]

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Matrix = np.ndarray[Any, np.dtype[np.float64]]


def crop_line(page: Floats, line: PageLine) -> Floats:
    """The picture (height, width) inside the line's polygon, turned until its baseline is level.

    page: the whole page's picture (height, width), as `read_grey` gives it; coordinates are those
    of the corners of pixels. What lies outside the polygon gets the level of the paper inside.
    Baselines are taken from left to right, so lines are turned by up to 90 degrees either way.

    Raises DataError, naming the file and the line, where the polygon lies outside the page.
    """
    along, down = _axes(line.baseline)
    corners = _inside(page, line)
    u, v = corners @ along, corners @ down
    left, top = float(u.min()), float(v.min())
    # What a turn leaves of rounding must not add a row.
    width, height = (math.ceil(np.ptp(side) - 1e-6) for side in (u, v))
    if min(width, height) < 2:
        raise DataError(
            f"{line.source}: {line.id}: covers {width} x {height} pixels of its page "
            f"({page.shape[1]} x {page.shape[0]} pixels: {line.image.name}); correct its outline, "
            "or give the image that the file was made for."
        )
    columns = left + 0.5 + np.arange(width)
    rows = top + 0.5 + np.arange(height)[:, None]
    x = columns * along[0] + rows * down[0] - 0.5
    y = columns * along[1] + rows * down[1] - 0.5
    mask = _mask(u - left, v - top, height, width)
    mask &= (x > -1) & (x < page.shape[1]) & (y > -1) & (y < page.shape[0])
    edges = np.clip(y, 0, page.shape[0] - 1), np.clip(x, 0, page.shape[1] - 1)
    return _on_paper(bilinear(page, *edges), mask)


def _axes(baseline: Points | None) -> tuple[Matrix, Matrix]:
    """Unit vectors (x, y) along the baseline, to the right, and at right angles, downwards."""
    points = np.array(baseline if baseline else [(0.0, 0.0), (1.0, 0.0)])
    centred = points - points.mean(0)
    along = np.linalg.svd(centred)[2][0] if centred.any() else np.array([1.0, 0.0])
    if abs(along[0]) < 1e-9:  # upright: read in the order of the points
        along = along * math.copysign(1.0, float((points[-1] - points[0]) @ along))
    elif along[0] < 0:
        along = -along
    return along, np.array([-along[1], along[0]])


def _inside(page: Floats, line: PageLine) -> Matrix:
    """The corners (N, 2), those outside the page moved to its edge."""
    height, width = page.shape
    return np.clip(np.array(line.polygon, np.float64), 0, [width, height])


def _mask(u: Matrix, v: Matrix, height: int, width: int) -> Mask:
    """The pixels whose centres the polygon winds around."""
    crossings = np.zeros((height, width + 1), np.int32)
    for u0, v0, u1, v1 in zip(u, v, np.roll(u, -1), np.roll(v, -1), strict=True):
        low, high = (math.ceil(side - 0.5) for side in sorted((v0, v1)))
        rows = np.arange(max(low, 0), min(high, height))
        if len(rows):
            at = u0 + (rows + 0.5 - v0) * (u1 - u0) / (v1 - v0)
            columns = np.clip(np.ceil(at - 0.5 - 1e-9), 0, width).astype(np.int64)
            crossings[rows, columns] += 1 if v1 > v0 else -1
    return np.asarray(np.cumsum(crossings, 1)[:, :width] != 0)


def _on_paper(picture: Floats, mask: Mask) -> Floats:
    """The picture where the mask is, and elsewhere the paper's level around: a median of blocks."""
    if mask.all() or not mask.any():
        return picture
    height, width = picture.shape
    blocks = np.array_split(np.arange(width), max(round(width / height), 1))
    inner = [picture[:, block][mask[:, block]] for block in blocks]
    levels = [float(np.median(values if values.size else picture[mask])) for values in inner]
    paper = np.interp(np.arange(width), [float(block.mean()) for block in blocks], levels)
    return np.where(mask, picture, paper.astype(np.float32))
