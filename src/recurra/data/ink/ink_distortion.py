"""Random distortions of ink that leave it readable, for training on few writers."""

from dataclasses import dataclass, fields

import numpy as np

from recurra.data.ink.ink import MAX_POINTS, Ink, Points
from recurra.data.ink.ink_normalisation import core_height
from recurra.errors import ConfigError

__all__ = ["InkDistortion", "distort"]

_WAVES = 4
"""Waves that add up to one elastic displacement."""


@dataclass(frozen=True)
class InkDistortion:
    """The strength of each distortion; lengths are in letter heights, 0 switches one off.

    Args:
        slant: standard deviation of the shift in x along y.
        scale: standard deviation of the logarithms of the factors in x and in y.
        rotation: standard deviation of the angle in radians.
        elastic: standard deviation of a smooth displacement, the same for neighbouring points.
        wavelength: the shortest wave of that displacement.
        noise: standard deviation of a displacement of each point by itself.
        stroke: standard deviation of a displacement of each stroke as a whole.
        drop: probability that a point inside a stroke is left out.
        duplicate: probability that a point is written twice, as by a pen at rest.
    """

    slant: float = 0.2
    scale: float = 0.12
    rotation: float = 0.05
    elastic: float = 0.08
    wavelength: float = 2.0
    noise: float = 0.01
    stroke: float = 0.05
    drop: float = 0.05
    duplicate: float = 0.02

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            most = 0.9 if field.name in ("drop", "duplicate") else 100.0
            if not 0 <= value <= most:
                raise ConfigError(f"{field.name}={value}; give a number from 0 to {most:g}.")
        if self.elastic and not self.wavelength:
            raise ConfigError("wavelength=0 with an elastic distortion; give letter heights.")

    @classmethod
    def none(cls) -> "InkDistortion":
        """Every distortion off: ink stays as it is."""
        return cls(**{field.name: 0.0 for field in fields(cls)})


def distort(ink: Ink, how: InkDistortion, generator: np.random.Generator) -> Ink:
    """The ink, distorted; it never loses a stroke, and the same generator gives the same again.

    >>> ink = Ink((np.array([[0.0, 0.0], [3.0, 9.0]]),))
    >>> distort(ink, InkDistortion(), np.random.default_rng(1)).points
    2
    """
    if how == InkDistortion.none():
        return ink
    unit, box = core_height(ink), ink.box
    centre = np.array([(box.left + box.right) / 2, (box.top + box.bottom) / 2])
    matrix, waves = _matrix(how, generator), _elastic(how, generator)
    strokes = []
    for stroke in ink.strokes:
        places = (stroke[:, :2] - centre) / unit
        places = places + _waved(places, waves) + how.stroke * generator.normal(size=2)
        places = places @ matrix.T + how.noise * generator.normal(size=places.shape)
        moved = np.concatenate([places * unit + centre, stroke[:, 2:]], axis=1)
        strokes.append(moved[_chosen(len(stroke), how, generator)])
    if sum(map(len, strokes)) > MAX_POINTS:
        return ink
    return ink.with_strokes(strokes)


def _matrix(how: InkDistortion, generator: np.random.Generator) -> Points:
    """Slant first, then scale, then rotation, (2, 2)."""
    slant, angle = generator.normal(size=2) * (how.slant, how.rotation)
    wide, high = np.exp(how.scale * generator.normal(size=2))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix: Points = turn @ np.diag([wide, high]) @ np.array([[1.0, slant], [0.0, 1.0]])
    return matrix


_Waves = tuple[Points, Points, Points]


def _elastic(how: InkDistortion, generator: np.random.Generator) -> _Waves:
    """Plane waves: their vectors (W, 2), phases (W, 1) and amplitudes (W, 2)."""
    direction = generator.uniform(0, 2 * np.pi, _WAVES)
    length = how.wavelength * generator.uniform(1.0, 3.0, _WAVES)
    number = 2 * np.pi / np.where(length > 0, length, 1.0)
    vectors = number[:, None] * np.stack([np.cos(direction), np.sin(direction)], axis=1)
    phases = generator.uniform(0, 2 * np.pi, (_WAVES, 1))
    amplitudes = how.elastic * np.sqrt(2 / _WAVES) * generator.normal(size=(_WAVES, 2))
    return vectors, phases, amplitudes


def _waved(places: Points, waves: _Waves) -> Points:
    vectors, phases, amplitudes = waves
    displaced: Points = np.sin(places @ vectors.T + phases.T) @ amplitudes
    return displaced


def _chosen(
    count: int, how: InkDistortion, generator: np.random.Generator
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The points that stay, some twice, in order; the first and last always do."""
    chances = generator.random((2, count))
    times = (chances[0] >= how.drop).astype(np.int64)
    times[[0, -1]] = 1
    return np.repeat(np.arange(count), times * (1 + (chances[1] < how.duplicate)))
