"""Pen strokes from pictures: ink thinned to lines, and these followed.

The order and direction in which a picture was written are not in it; strokes start at the topmost
left end and go straight on where lines cross. Such ink is a stand-in for a pen's.
"""

from collections.abc import Iterable

import numpy as np

from recurra.data.ink.ink import Floats, Ink, Points
from recurra.data.ink.line_graph import LineGraph, Pixel
from recurra.data.ink.thinning import Mask, thin
from recurra.errors import DataError

__all__ = ["trace", "trace_all"]

MAX_PIXELS = 4_000_000
"""The largest picture, rows by columns."""

_BATCH = 4_000_000
"""Pixels that are thinned at once, so that memory stays bounded."""


def trace(image: Floats, *, threshold: float = 0.4, spur: float = 2.0) -> Ink:
    """The strokes of a grey picture (rows, columns), 0 for paper and larger for ink, in pixels.

    The picture is made twice as fine, cut at `threshold` of its darkest value, thinned (Guo-Hall)
    and followed from end points, then from what is left; lines are smoothed a little. A pixel by
    itself becomes a dot.

    Args:
        image: the picture; any finite values, 0 to 1 or 0 to 255.
        threshold: the share of the darkest value from which a pixel is ink.
        spur: side branches shorter than that many pixels are cut off, as thinning leaves them.

    Raises:
        DataError: no such picture, one of more than 4,000,000 pixels, or one without ink.

    >>> picture = np.zeros((9, 9), np.float32)
    >>> picture[1:8, 4] = 1
    >>> [stroke[[0, -1], 0].round().tolist() for stroke in trace(picture).strokes]
    [[4.0, 4.0]]
    """
    if image.ndim != 2:
        raise DataError(f"a picture of shape {image.shape}; give (rows, columns).")
    return trace_all(image[None], threshold=threshold, spur=spur)[0]


def trace_all(images: Floats, *, threshold: float = 0.4, spur: float = 2.0) -> list[Ink]:
    """As `trace`, for many pictures (N, rows, columns) at once: some thousand digits in seconds."""
    if images.ndim != 3 or not images.shape[1] * images.shape[2]:
        raise DataError(f"pictures of shape {images.shape}; give (pictures, rows, columns).")
    pixels = images.shape[1] * images.shape[2]
    if pixels > MAX_PIXELS:
        raise DataError(f"a picture has {pixels:,} pixels, and {MAX_PIXELS:,} are allowed.")
    if not 0 < threshold <= 1:
        raise DataError(f"threshold={threshold}; give a share above 0, at most 1.")
    count = max(1, _BATCH // (4 * pixels))
    batches = (images[i : i + count] for i in range(0, len(images), count))
    lines = (line for batch in batches for line in thin(_ink(batch, threshold)))
    return [_traced(line, number, spur) for number, line in enumerate(lines)]


def _ink(images: Floats, threshold: float) -> Mask:
    """The ink of pictures, at twice their resolution by linear interpolation."""
    fine: Floats = images.astype(np.float32)
    for axis in (1, 2):
        fine = np.repeat(fine, 2, axis=axis)
        before, after = (_shifted(fine, step, axis) for step in (-1, 1))
        fine = 0.25 * (before + 2 * fine + after)
    darkest = images.max(axis=(1, 2))[:, None, None]
    mask: Mask = (fine >= threshold * darkest) & (darkest > 0)
    return mask


def _shifted(images: Floats, step: int, axis: int) -> Floats:
    """The neighbours along an axis, the border's pixels repeated."""
    length = images.shape[axis]
    places = np.clip(np.arange(length) + step, 0, length - 1)
    shifted: Floats = np.take(images, places, axis=axis)
    return shifted


def _traced(line: Mask, number: int, spur: float) -> Ink:
    if not line.any():
        raise DataError(
            f"picture {number} has no ink: ink is what is larger than 0 and finite; invert it if "
            "paper is white."
        )
    rows, columns = np.nonzero(line)
    graph = LineGraph({*zip(rows.tolist(), columns.tolist(), strict=True)})
    graph.prune(2 * spur)
    return Ink(tuple(map(_smoothed, graph.walks())))


def _smoothed(pixels: Iterable[Pixel]) -> Points:
    """A walk's points x, y in pixels of the picture, without the stairs; its ends stay."""
    points = np.array([[column, row] for row, column in pixels], dtype=np.float64)
    points = (points + 0.5) / 2 - 0.5
    for _ in range(2):
        points[1:-1] = (points[:-2] + 2 * points[1:-1] + points[2:]) / 4
    return points
