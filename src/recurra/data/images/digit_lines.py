"""Lines of several digits, joined from pictures of single ones as in MNIST."""

from typing import Any, NamedTuple

import numpy as np

from recurra.data.images.image_file import Floats
from recurra.data.images.resampling import shear
from recurra.errors import ConfigError, DataError

__all__ = ["DigitLine", "join_digits"]


class DigitLine(NamedTuple):
    """Columns of ink (W, rows), 0 for paper and 1 for ink, and the digits in them."""

    columns: Floats
    text: str


_MARGIN = 2
"""Columns of paper at either end."""


def join_digits(
    pictures: np.ndarray[Any, Any],
    labels: np.ndarray[Any, Any],
    generator: np.random.Generator,
    count: tuple[int, int] = (3, 7),
    slant: float = 0.3,
    spacing: tuple[int, int] = (-1, 6),
) -> DigitLine:
    """A line of `count[0]` to `count[1]` different pictures, chosen at random.

    pictures: (N, rows, columns) of bytes, 0 for paper and 255 for ink; labels: (N,) digits.
    slant: the greatest slope, columns to a row, one for the line, as a hand has; each digit differs
    from it by up to a quarter of that. spacing: the fewest and the most empty columns between the
    ink of neighbours; negative ones let their boxes overlap.
    """
    _check(pictures, labels, count)
    chosen = generator.choice(len(pictures), generator.integers(*count, endpoint=True), False)
    slope = generator.uniform(-slant, slant)
    own = slope + generator.uniform(-slant, slant, len(chosen)) / 4
    digits = [_upright_box(pictures[n], s) for n, s in zip(chosen, own, strict=True)]
    gaps = generator.integers(*spacing, size=len(digits) - 1, endpoint=True)
    line = _joined(digits, gaps.tolist())
    return DigitLine(np.ascontiguousarray(line.T), "".join(str(int(n)) for n in labels[chosen]))


def _check(
    pictures: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], count: tuple[int, int]
) -> None:
    if pictures.ndim != 3 or labels.shape != pictures.shape[:1]:
        raise DataError(
            f"pictures of shape {pictures.shape} and labels of shape {labels.shape}: give "
            "(N, rows, columns) and (N,)."
        )
    if not 1 <= count[0] <= count[1] <= len(pictures):
        raise ConfigError(
            f"count = {count}: a line has from 1 to {len(pictures)} digits, each another picture; "
            "the first number is the smaller."
        )


def _upright_box(picture: np.ndarray[Any, Any], slope: float) -> Floats:
    """A slanted digit (rows, W) without the empty columns at its sides."""
    ink = shear(picture.astype(np.float32) / np.float32(255), slope)
    columns = np.flatnonzero(ink.max(0) > 0.1)
    return ink[:, columns[0] : columns[-1] + 1] if len(columns) else ink


def _joined(digits: list[Floats], gaps: list[int]) -> Floats:
    """Digits (rows, W) beside each other; where they overlap the darker ink is seen."""
    starts, at = [], _MARGIN
    for digit, gap in zip(digits, [*gaps, _MARGIN], strict=True):
        starts.append(max(at, 0))
        at = starts[-1] + digit.shape[1] + gap
    line = np.zeros((len(digits[0]), max(at, _MARGIN)), np.float32)
    for start, digit in zip(starts, digits, strict=True):
        place = line[:, start : start + digit.shape[1]]
        np.maximum(place, digit, out=place)
    return line
