"""Pictures from files, as arrays of grey. The one file that imports Pillow, lazily.

What a file is, and how large, is read from its header before anything is decoded: a few bytes
that claim a thousand million pixels cost nothing.
"""

import contextlib
import importlib
import importlib.util
import io
import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from recurra.data import check_exists
from recurra.errors import DataError, MissingExtra

__all__ = [
    "FORMATS",
    "MOST_PIXELS",
    "MOST_WIDTH",
    "Floats",
    "ImageFacts",
    "image_facts",
    "load_pillow",
    "png_bytes",
    "read_grey",
]

Floats = np.ndarray[Any, np.dtype[np.float32]]

FORMATS = ("PNG", "JPEG", "TIFF")
MOST_WIDTH = 20_000
"""Pictures as wide or as high as this are refused; a page of A3 at 1,200 dots an inch is."""
MOST_PIXELS = 80_000_000
"""More are refused as well: a page of A4 at 800 dots an inch has 62 million."""

_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
)
"""What Pillow's decoders are seen to raise for damaged files."""


class ImageFacts(NamedTuple):
    """A picture's size in pixels as it is shown, its mode, its format and the pictures it holds."""

    width: int
    height: int
    mode: str
    format: str
    frames: int


def load_pillow(module: str, purpose: str) -> Any:
    """`PIL.{module}`; MissingExtra, naming the purpose, where Pillow is not installed."""
    if importlib.util.find_spec("PIL") is None:
        raise MissingExtra("pillow", "transcribe", purpose)
    importlib.import_module("PIL")
    return importlib.import_module(f"PIL.{module}")


def image_facts(path: str | os.PathLike[str]) -> ImageFacts:
    """The facts in a file's header, without decoding it; DataError where it is not an image."""
    with _opened(path) as image:
        return _facts(image)


def read_grey(path: str | os.PathLike[str]) -> Floats:
    """The picture (height, width), 0 for black and 1 for white, as it is shown.

    Colours become their luma (ITU-R 601), transparent pixels lie on white, and the EXIF
    orientation is applied; samples of 16 bits keep their precision, and those of a file of floats
    lie between its least and greatest.

    Raises DataError, naming the file, for what is not a PNG, JPEG or TIFF image, is damaged or cut
    short, holds several pictures, or is too large.
    """
    with _opened(path) as image:
        facts = _facts(image)
        _check_single(path, facts)
        _check_size(path, facts)
        try:
            with _quiet():
                image.load()
                shown = load_pillow("ImageOps", "Reading images").exif_transpose(image)
                return _grey_of(shown)
        except _DAMAGE as error:
            raise DataError(
                f"{_shown(path)}: is damaged or cut short ({_reason(error)}); copy the file again."
            ) from error


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Pillow's image of a file, closed at the end."""
    pillow = load_pillow("Image", "Reading images")
    check_exists(path)
    if Path(path).is_dir():
        raise DataError(f"{_shown(path)}: is a folder; give the path of an image in it.")
    try:
        with _quiet():
            image = pillow.open(path, formats=FORMATS)
    except pillow.DecompressionBombError as error:
        raise DataError(_too_large(path, "more pixels than can be read")) from error
    except _DAMAGE as error:  # Pillow's UnidentifiedImageError is an OSError
        raise DataError(
            f"{_shown(path)}: is not a {', '.join(FORMATS[:-1])} or {FORMATS[-1]} image"
            f"{_if_empty(path)}; give one, or convert it."
        ) from error
    with image:
        yield image


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Pillow's warnings: of sizes, which are checked here, and of stray metadata."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _facts(image: Any) -> ImageFacts:
    with _quiet():
        try:
            turned = image.getexif().get(_ORIENTATION, 1) in _ON_ITS_SIDE
        except _DAMAGE:  # metadata that can't be read say nothing of the pixels
            turned = False
        # A telephone's JPEG may hold a small preview beside the picture: Pillow calls it MPO.
        frames = 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))
    width, height = image.size[::-1] if turned else image.size
    name = "JPEG" if image.format == "MPO" else image.format
    return ImageFacts(int(width), int(height), str(image.mode), str(name), frames)


_ORIENTATION = 0x0112
"""EXIF's tag; values 5 to 8 stand for pictures stored on their side."""
_ON_ITS_SIDE = range(5, 9)


def _check_single(path: str | os.PathLike[str], facts: ImageFacts) -> None:
    if facts.frames > 1:
        raise DataError(
            f"{_shown(path)}: holds {facts.frames} pictures, several pages or an animation; save "
            "each as a file of its own."
        )


def _check_size(path: str | os.PathLike[str], facts: ImageFacts) -> None:
    size = f"{facts.width:,} x {facts.height:,} pixels"
    large = facts.width * facts.height > MOST_PIXELS
    if large or max(facts.width, facts.height) >= MOST_WIDTH:
        raise DataError(_too_large(path, size))


def _too_large(path: str | os.PathLike[str], size: str) -> str:
    return (
        f"{_shown(path)}: has {size}; at most {MOST_WIDTH - 1:,} on a side and "
        f"{MOST_PIXELS:,} in all are read: scale it down or cut it into lines."
    )


def _grey_of(image: Any) -> Floats:
    """The luma of an image in any of Pillow's modes, on white."""
    if image.mode.startswith("I") or image.mode == "F":
        return _grey_of_numbers(np.asarray(image), image.mode)
    if image.mode in ("P", "PA", "LA", "La", "RGBA", "RGBa") or "transparency" in image.info:
        coloured = np.asarray(image.convert("RGBA"), np.float32) / 255
        luma = coloured[..., :3] @ _LUMA
        return np.asarray(luma * coloured[..., 3] + (1 - coloured[..., 3]), np.float32)
    return np.asarray(image.convert("L"), np.float32) / np.float32(255)


_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def _grey_of_numbers(values: np.ndarray[Any, Any], mode: str) -> Floats:
    """Samples of 16 bits as shares of 65,535; those of 32 bits or floats between their extremes."""
    numbers: np.ndarray[Any, Any] = np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
    if mode.startswith("I") and numbers.min() >= 0 and 255 < numbers.max() <= 65_535:
        return np.asarray(numbers / 65_535, np.float32)
    least, greatest = float(numbers.min()), float(numbers.max())
    return np.asarray((numbers - least) / (greatest - least or 1.0), np.float32)


def _shown(path: str | os.PathLike[str]) -> str:
    return os.fspath(path)


def _if_empty(path: str | os.PathLike[str]) -> str:
    return "" if Path(path).stat().st_size else " (the file is empty)"


def _reason(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def png_bytes(grey: Floats) -> bytes:
    """A picture (height, width), 0 for black and 1 for white, as a PNG file in memory."""
    levels = np.clip(grey * 255 + 0.5, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    load_pillow("Image", "Writing pictures").fromarray(levels).save(file, "PNG", optimize=True)
    return file.getvalue()
