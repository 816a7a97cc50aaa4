"""Pictures resampled: resized with a triangle filter, and read between their pixels."""

import math
from typing import Any

import numpy as np

from recurra.data.images.image_file import Floats

__all__ = ["bilinear", "resize", "shear"]


def resize(picture: Floats, height: int, width: int) -> Floats:
    """The picture (H, W) at another size, by a triangle filter as wide as a step where it shrinks.

    >>> resize(np.array([[0.0, 1.0]], np.float32), 1, 4).tolist()
    [[0.0, 0.25, 0.75, 1.0]]
    """
    return _resize_rows(_resize_rows(picture, height).T, width).T


def _resize_rows(picture: Floats, size: int) -> Floats:
    rows = len(picture)
    if rows == size:
        return picture
    step = rows / size
    reach = max(step, 1.0)
    middle = (np.arange(size) + 0.5) * step
    first = np.floor(middle - reach).astype(np.int64)
    taps = first[:, None] + np.arange(math.ceil(2 * reach) + 1)
    weights = np.maximum(1 - np.abs(taps + 0.5 - middle[:, None]) / reach, 0)
    weights *= (taps >= 0) & (taps < rows)
    weights /= weights.sum(1, keepdims=True)
    taps = taps.clip(0, rows - 1)
    picture = np.ascontiguousarray(picture)
    result = np.zeros((size, picture.shape[1]), np.float32)
    for tap, weight in zip(taps.T, weights.T.astype(np.float32), strict=True):
        result += weight[:, None] * picture[tap]
    return result


def bilinear(picture: Floats, y: np.ndarray[Any, Any], x: np.ndarray[Any, Any]) -> Floats:
    """The values at positions between pixels (their centres are whole numbers); 0 outside."""
    height, width = picture.shape
    # A frame of zeros, so that what lies outside needs no test: positions are moved onto it.
    framed = np.zeros((height + 3, width + 3), np.float32)
    framed[1 : height + 1, 1 : width + 1] = picture
    y, x = np.clip(y, -1, height) + 1, np.clip(x, -1, width) + 1
    top, left = y.astype(np.intp), x.astype(np.intp)
    down, right = (y - top).astype(np.float32), (x - left).astype(np.float32)
    flat, at = framed.ravel(), top * (width + 3) + left
    above: Floats = flat.take(at)
    below: Floats = flat.take(at + (width + 3))
    above += right * (flat.take(at + 1) - above)
    below += right * (flat.take(at + (width + 4)) - below)
    above += down * (below - above)
    return above


def shear(picture: Floats, slope: float) -> Floats:
    """The picture (H, W) with row y moved right by slope (H - 1 - y) pixels, and wider for it.

    The bottom row stays where slope is positive; where it is negative the top row does.
    """
    height, width = picture.shape
    moves = slope * np.arange(height - 1, -1, -1.0)
    moves -= moves.min()
    wider = width + math.ceil(moves.max())
    x = np.arange(wider) - moves[:, None]
    return bilinear(picture, np.broadcast_to(np.arange(height)[:, None], x.shape), x)
