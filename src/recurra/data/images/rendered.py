"""Lines of text drawn with a fount, as a picture to train on."""

import os
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from recurra.data import check_exists
from recurra.data.images.image_distortion import blurred
from recurra.data.images.image_file import MOST_WIDTH, Floats, load_pillow
from recurra.data.images.resampling import shear
from recurra.errors import ConfigError, DataError

__all__ = ["Rendering", "render_line"]


@dataclass(frozen=True)
class Rendering:
    """The look of rendered lines: greatest slant (columns to a row), blur (pixels) and noise.

    noise is a deviation, of 1 from black to white; fading the greatest share of the ink that is
    missing; margin the paper around the text, a share of the fount's size.
    """

    slant: float = 0.25
    blur: float = 1.0
    noise: float = 0.1
    fading: float = 0.4
    margin: float = 0.25

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0 <= getattr(self, field.name) <= 5:
                raise ConfigError(
                    f"{field.name} = {getattr(self, field.name)}: give a number from 0 to 5."
                )


def render_line(
    text: str,
    font: str | os.PathLike[str],
    size: float,
    generator: np.random.Generator,
    how: Rendering | None = None,
) -> Floats:
    """The text as a picture (height, width), 0 for black ink and 1 for white paper.

    font: the path of a TrueType or OpenType file; size: its em in pixels. Slant, blur, noise and
    fading are drawn from the generator, up to those of `how`. Raises DataError for a text that is
    empty or has no visible character, and for a file that is not a fount.
    """
    how = how or Rendering()
    if not text.strip() or len(text.splitlines()) > 1:
        raise DataError(f"{text!r}: is not a line of text; give one line with visible characters.")
    ink = _drawn(text, font, size, round(how.margin * size))
    slant, blur, noise, fading = generator.uniform((-1, 0, 0, 0), 1)
    if how.slant:
        ink = shear(ink, how.slant * slant)
    if how.blur * blur > 0.1:
        ink = blurred(ink, how.blur * blur)
    ink = ink * (1 - how.fading * fading)
    grain = generator.standard_normal(ink.shape, np.float32)
    return np.asarray(1 - np.clip(ink + how.noise * noise * grain, 0, 1), np.float32)


def _drawn(text: str, font: str | os.PathLike[str], size: float, margin: int) -> Floats:
    """The ink (height, width) of a text; as high as the fount's lines, whatever the letters."""
    purpose = "Rendering text"
    fount = _fount(font, size)
    _check_characters(text, font, fount)
    left, _, right, _ = fount.getbbox(text)
    ascent, descent = fount.getmetrics()
    width, height = int(right - left) + 2 * margin, int(ascent + descent) + 2 * margin
    if width >= MOST_WIDTH:
        raise DataError(
            f"{text[:40]!r}...: would be {width:,} pixels wide; at most {MOST_WIDTH - 1:,} are "
            "drawn: give a shorter text or a smaller size."
        )
    canvas = load_pillow("Image", purpose).new("L", (max(width, 1), max(height, 1)))
    draw = load_pillow("ImageDraw", purpose).Draw(canvas)
    draw.text((margin - left, margin), text, fill=255, font=fount)
    return np.asarray(canvas, np.float32) / np.float32(255)


def _check_characters(text: str, font: str | os.PathLike[str], fount: Any) -> None:
    """DataError for characters that the fount lacks: it draws the same box, or nothing, for all."""
    absent = bytes(fount.getmask(_UNASSIGNED))
    lacking = [c for c in sorted({*text}) if not c.isspace() and bytes(fount.getmask(c)) == absent]
    if lacking:
        raise DataError(
            f"{text[:40]!r}: {os.fspath(font)} has no {' '.join(lacking)}; leave the text out, or "
            "choose another fount."
        )


_UNASSIGNED = "\U0010ffff"


def _fount(font: str | os.PathLike[str], size: float) -> Any:
    check_exists(font)
    if not 4 <= size <= 1000:
        raise ConfigError(f"size = {size}: a fount's em is from 4 to 1,000 pixels.")
    try:
        return load_pillow("ImageFont", "Rendering text").truetype(os.fspath(font), size)
    except OSError as error:
        raise DataError(
            f"{os.fspath(font)}: is not a fount ({error}); give a .ttf or .otf file."
        ) from error
