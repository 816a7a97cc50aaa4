"""Lines of ink distorted at random, so that a few hands or founts teach as many.

The place of every pixel changes in one pass: slant, scales, shift and an elastic field add up to
one map of positions (Simard, Steinkraus and Platt 2003; the field on a grid after Wigington et al.
2017). Then the strokes grow or thin, and blur, contrast and noise follow.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from recurra.data.images.image_file import Floats
from recurra.data.images.resampling import bilinear, resize
from recurra.errors import ConfigError

__all__ = ["ImageDistortion", "blurred", "distort", "thickened"]

Generator = np.random.Generator


@dataclass(frozen=True)
class ImageDistortion:
    """Sizes of random distortions; the defaults suit a few hundred to a few thousand lines.

    chance: of each distortion, apart, for each line. slant: the greatest slope, columns to a row.
    scale_x, scale_y: the greatest change of scale, 0.2 from 1 / 1.2 to 1.2. shift: the greatest
    move up or down, a share of the height. elastic: the deviation of the random field, a share of
    the height; grid: the distance of its nodes, a share of the height. thickness: the greatest
    share of a pixel by which strokes grow or thin at each side. blur: the greatest deviation, in
    pixels. contrast: the greatest share of the ink that fades. noise: the greatest deviation of the
    noise, of 1 for full ink.
    """

    chance: float = 0.7
    slant: float = 0.3
    scale_x: float = 0.2
    scale_y: float = 0.15
    shift: float = 0.05
    elastic: float = 0.025
    grid: float = 0.4
    thickness: float = 0.5
    blur: float = 0.8
    contrast: float = 0.4
    noise: float = 0.06

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least, most = _RANGES.get(field.name, (0.0, 1.0))
            if not least <= value <= most:
                raise ConfigError(f"{field.name} = {value}: give a number from {least} to {most}.")

    @classmethod
    def none(cls) -> "ImageDistortion":
        """Without any distortion: lines stay as they are, to the bit."""
        return cls(chance=0.0)


_RANGES = {"grid": (0.05, 10.0), "blur": (0.0, 5.0)}


def distort(image: Floats, how: ImageDistortion, generator: Generator) -> Floats:
    """A distorted copy of a line of ink (W, H), as high and about as wide.

    The same for the same state of the generator. A scale below 1 leaves fewer columns, at least
    1 / (1 + scale_x) of them; a slant adds some, so that no end is lost.

    >>> line = np.zeros((90, 48), np.float32)
    >>> distort(line, ImageDistortion(), np.random.default_rng(1)).shape[1]
    48
    """
    picture = image.T
    sizes = _drawn(how, generator)
    if any(sizes[name] for name in ("slant", "scale_x", "scale_y", "shift", "elastic")):
        picture = _moved(picture, how, sizes, generator)
    if sizes["thickness"]:
        picture = thickened(picture, sizes["thickness"])
    if sizes["blur"]:
        picture = blurred(picture, abs(sizes["blur"]))
    if sizes["contrast"]:
        picture = picture * np.float32(1 - abs(sizes["contrast"]))
    if sizes["noise"]:
        grain = generator.standard_normal(picture.shape, np.float32)
        picture = np.clip(picture + np.float32(abs(sizes["noise"])) * grain, 0, 1)
    return np.ascontiguousarray(picture.T, np.float32)


_NAMES = tuple(f.name for f in fields(ImageDistortion) if f.name not in ("chance", "grid"))


def _drawn(how: ImageDistortion, generator: Generator) -> dict[str, float]:
    """The signed size of each distortion, 0 for those that chance leaves out."""
    chosen = generator.random(len(_NAMES)) < how.chance
    shares = generator.uniform(-1, 1, len(_NAMES))
    return {
        name: getattr(how, name) * float(share) if use else 0.0
        for name, use, share in zip(_NAMES, chosen, shares, strict=True)
    }


def _moved(
    picture: Floats, how: ImageDistortion, sizes: dict[str, float], generator: Generator
) -> Floats:
    """The picture (H, W) read at the positions that slant, scales, shift and field give."""
    height, width = picture.shape
    across, down = _factor(sizes["scale_x"]), _factor(sizes["scale_y"])
    slope = sizes["slant"]
    wider = max(round(width * across + abs(slope) * height * down), 1)
    middle_y, middle_x = (height - 1) / 2, (wider - 1) / 2
    rows = np.arange(height, dtype=np.float32)[:, None] - np.float32(middle_y)
    columns = np.arange(wider, dtype=np.float32)[None] - np.float32(middle_x)
    y = np.broadcast_to(rows / down + (middle_y + sizes["shift"] * height), (height, wider))
    x = (columns + slope * rows) / across + (width - 1) / 2
    if sizes["elastic"]:
        strength = np.float32(abs(sizes["elastic"]) * height)
        y = y + strength * _field(height, wider, how.grid, generator)
        x = x + strength * _field(height, wider, how.grid, generator)
    return bilinear(picture, y, x)


def _factor(change: float) -> float:
    """The scale for a change: 1.2 for 0.2, and 1 / 1.2 for -0.2."""
    return 1 + change if change >= 0 else 1 / (1 - change)


def _field(height: int, width: int, grid: float, generator: Generator) -> Floats:
    """A smooth random field (height, width) of about unit deviation at the nodes of its grid."""
    step = grid * height
    nodes = (max(round(height / step), 1) + 1, max(round(width / step), 1) + 1)
    return resize(generator.standard_normal(nodes, np.float32), height, width)


def thickened(picture: Floats, amount: float) -> Floats:
    """Strokes of ink (H, W) grown by `amount` of a pixel at each side, or thinned where negative.

    A mix of the picture with its grey dilation, or erosion, by the pixel and its 4 neighbours.
    """
    extreme = np.maximum if amount > 0 else np.minimum
    result = picture.copy()
    extreme(result[1:], picture[:-1], out=result[1:])
    extreme(result[:-1], picture[1:], out=result[:-1])
    extreme(result[:, 1:], picture[:, :-1], out=result[:, 1:])
    extreme(result[:, :-1], picture[:, 1:], out=result[:, :-1])
    return np.asarray(picture + np.float32(abs(amount)) * (result - picture), np.float32)


def blurred(picture: Floats, deviation: float) -> Floats:
    """The picture (H, W) under a Gaussian of this deviation in pixels; paper around it."""
    reach = max(round(3 * deviation), 1)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(deviation, 1e-3)) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    return _blurred_rows(_blurred_rows(picture, weights).T, weights).T


def _blurred_rows(picture: Floats, weights: np.ndarray[Any, Any]) -> Floats:
    reach = len(weights) // 2
    framed = np.pad(picture, ((reach, reach), (0, 0)))
    result = np.zeros_like(picture)
    for first, weight in enumerate(weights):
        result += weight * framed[first : first + len(picture)]
    return result
