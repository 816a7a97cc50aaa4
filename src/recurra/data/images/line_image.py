"""Pictures of lines of text as columns of ink of one height."""

import math
import os
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from recurra.data.images.image_file import MOST_WIDTH, Floats, read_grey
from recurra.data.images.ink_contrast import Polarity, ink_picture
from recurra.data.images.resampling import bilinear, resize, shear
from recurra.data.images.text_core import slant_of, text_core, text_rows
from recurra.errors import ConfigError, DataError

__all__ = [
    "ImageSource",
    "LineImage",
    "LineImages",
    "grey_array",
    "normalise_line",
    "read_line_image",
]

ImageSource = Any
"""A path (str or Path), or an array (height, width): bytes, or floats from 0 (black) to 1."""


@dataclass(frozen=True)
class LineImages:
    """Settings that make columns of ink from pictures of lines.

    height: rows of the result. centre: place the core of the letters, between baseline and the top
    of an `x`, at one height; without it the picture's own rows are the line's. core_scale: the
    share of the core in the scale, from 0, where the picture's height decides, to 1, where all
    cores become equally high, which suits print. contrast: stretch the levels between paper and
    ink; without it darkness is taken as it is. deslant: make leaning stems upright. trim: cut empty
    columns from both ends. padding: columns of paper that are then added at each end.
    """

    height: int = 48
    centre: bool = True
    core_scale: float = 0.5
    contrast: bool = True
    polarity: Polarity = "auto"
    deslant: bool = False
    trim: bool = True
    padding: int = 4

    def __post_init__(self) -> None:
        if not 8 <= self.height <= 512:
            raise ConfigError(f"height = {self.height}: a line has from 8 to 512 rows.")
        if not 0 <= self.padding <= 1000:
            raise ConfigError(f"padding = {self.padding}: add from 0 to 1,000 columns.")
        if not 0 <= self.core_scale <= 1:
            raise ConfigError(f"core_scale = {self.core_scale}: give a share from 0 to 1.")
        if self.polarity not in ("auto", "dark", "light"):
            raise ConfigError(f"polarity = {self.polarity!r}: choose auto, dark or light.")


class LineImage(NamedTuple):
    """Columns of ink (W, height), 0 for paper and 1 for ink, and notes on what was seen."""

    columns: Floats
    notes: tuple[str, ...]


LIGHT_INK = "light ink on dark paper: the picture was inverted"
BLANK = "no ink: the picture is blank"


def read_line_image(source: ImageSource, how: LineImages | None = None) -> Floats:
    """The columns of ink (W, height), float32, of a picture of one line of text.

    source: a path of a PNG, JPEG or TIFF image, or an array (see `ImageSource`).

    Raises DataError, naming the file, for what is not an image, damaged, smaller than 4 pixels on
    a side, too large, or a page of several lines.

    >>> picture = np.full((40, 90), 255, np.uint8)
    >>> picture[10:30, 20:70:10] = 0
    >>> read_line_image(picture, LineImages(centre=False)).shape
    (57, 48)
    """
    return normalise_line(source, how).columns


def normalise_line(source: ImageSource, how: LineImages | None = None) -> LineImage:
    """`read_line_image` with its notes: an inverted picture, or a blank one."""
    how = how or LineImages()
    name = os.fspath(source) if isinstance(source, str | os.PathLike) else "the picture"
    grey = grey_array(source, name)
    _check_line_size(grey, name)
    seen = ink_picture(grey, how.polarity)
    if seen.blank:
        width = max(round(grey.shape[1] * how.height / len(grey)), 1) + 2 * how.padding
        return LineImage(np.zeros((width, how.height), np.float32), (BLANK,))
    _check_one_line(seen.ink, name)
    darkness = grey if seen.light_ink else 1 - grey
    ink = _shaped(seen.ink if how.contrast else darkness, seen.ink, how, name)
    ink = np.pad(ink, ((0, 0), (how.padding, how.padding)))
    return LineImage(np.ascontiguousarray(ink.T), (LIGHT_INK,) if seen.light_ink else ())


def grey_array(source: ImageSource, name: str) -> Floats:
    """The picture (height, width), 0 for black and 1 for white, of a file or an array."""
    if isinstance(source, str | os.PathLike):
        return read_grey(source)
    array = np.asarray(source)
    if array.ndim != 2 or not array.size or array.dtype.kind not in "bufi":
        raise DataError(
            f"{name}: an array of {array.dtype} of shape {array.shape} is not a grey picture; give "
            "(height, width) of bytes, or of floats from 0 (black) to 1 (white)."
        )
    values = array.astype(np.float32) / np.float32(255 if array.dtype.kind in "ui" else 1)
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        raise DataError(
            f"{name}: has values from {array.min()} to {array.max()}; bytes are from 0 to 255, and "
            "floats from 0 (black) to 1 (white)."
        )
    return values


_LEAST_SIDE = 4


def _check_line_size(grey: Floats, name: str) -> None:
    height, width = grey.shape
    if min(height, width) < _LEAST_SIDE:
        raise DataError(
            f"{name}: has {width} x {height} pixels; a line of text has at least {_LEAST_SIDE} x "
            f"{_LEAST_SIDE}, and is legible from about 20 rows on."
        )
    if max(height, width) >= MOST_WIDTH:
        raise DataError(
            f"{name}: has {width:,} x {height:,} pixels; at most {MOST_WIDTH - 1:,} on a side are "
            "read: scale it down, or cut the line in two."
        )


def _too_long(name: str, ink: Floats, width: int, height: int) -> str:
    return (
        f"{name}: {ink.shape[1]:,} x {len(ink):,} pixels become {width:,} columns of {height}; "
        f"at most {MOST_WIDTH - 1:,} are read: cut the line in two, or choose a smaller height."
    )


def _check_one_line(ink: Floats, name: str) -> None:
    height, width = ink.shape
    scale = min(1.0, 1000 / height)  # lines of a page stay apart in a smaller copy
    small = ink if scale == 1 else resize(ink, round(height * scale), max(round(width * scale), 1))
    rows = text_rows(small)
    # Letters of few strokes, `E` or `=`, also have bands where the picture is narrow.
    if rows >= (3 if width > 2 * height else 4):
        raise DataError(
            f"{name}: looks like a page of {rows} or more lines ({width} x {height} pixels), and "
            "one line is read at a time; cut it into lines, by PAGE or ALTO XML if there is one."
        )


def _shaped(ink: Floats, clear: Floats, how: LineImages, name: str) -> Floats:
    """Ink (H, W), upright, trimmed and at its height; `clear` is the same with contrast."""
    if how.deslant:
        slope = -slant_of(clear)
        ink, clear = shear(ink, slope), shear(clear, slope)
    if how.trim:
        inked = np.flatnonzero((clear > _INKED).any(0))
        ends = (inked[0], inked[-1] + 1) if len(inked) else (0, ink.shape[1])
        ink, clear = ink[:, slice(*ends)], clear[:, slice(*ends)]
    top, rows = _window(clear, how.core_scale) if how.centre else (0.0, float(len(ink)))
    width = max(round(ink.shape[1] * how.height / rows), 1)
    if width + 2 * how.padding >= MOST_WIDTH:
        raise DataError(_too_long(name, ink, width, how.height))
    return _scaled(ink, top, rows, (how.height, width))


_INKED = 0.4
"""A column is trimmed where no pixel has more ink than this."""
_WINDOW = 3.6
"""Rows of a line to those of its core: ascenders and descenders, and some air."""
_PLACE = 0.57
"""The place of the core's middle in the line, from its top: the median of 500 handwritten and of
500 printed training lines, cut around their outlines."""
_OTHERS = 0.01
"""The share of the ink, at the top and at the bottom, that may lie outside the window."""
_LEAST_WINDOW, _MOST_WINDOW = 0.3, 1.5
"""Shares of the picture's height between which a line stays: a dash alone has no core."""


def _window(ink: Floats, core_scale: float) -> tuple[float, float]:
    """The first row and the number of rows of the picture that become the line."""
    core, height = text_core(ink), len(ink)
    own = _WINDOW * core.height
    rows = min(own**core_scale * height ** (1 - core_scale), 1.5 * own)
    rows = float(np.clip(rows, _LEAST_WINDOW * height, _MOST_WINDOW * height))
    return _with_ink(core.middle + 0.5 - _PLACE * rows, rows, ink)


def _with_ink(top: float, rows: float, ink: Floats) -> tuple[float, float]:
    """The window, grown to hold all rows of ink but what little may be of other lines.

    A line's core is well known, that of a letter alone may be the bar of a `7`.
    """
    share = np.cumsum(ink.sum(1, dtype=np.float64))
    first, last = np.searchsorted(share, np.array([_OTHERS, 1 - _OTHERS]) * share[-1])
    bottom = max(top + rows, last + 1.0)
    top = min(top, float(first))
    return top, bottom - top


def _scaled(ink: Floats, top: float, rows: float, size: tuple[int, int]) -> Floats:
    """`rows` rows from `top` on, with paper where there are none, at a size (height, width)."""
    height, width = size
    first, last = math.floor(top), math.ceil(top + rows)
    framed = np.pad(ink, ((max(-first, 0), max(last - len(ink), 0)), (0, 0)))
    framed = framed[max(first, 0) : max(first, 0) + last - first]
    whole = resize(framed, max(round(len(framed) * height / rows), 1), width)
    y = top - first + (np.arange(height) + 0.5) * rows / height
    y = y * len(whole) / len(framed) - 0.5
    return bilinear(whole, *np.meshgrid(y, np.arange(width), indexing="ij"))
