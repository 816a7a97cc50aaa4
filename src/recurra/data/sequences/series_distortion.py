"""Random distortions of series for training: jitter, magnitude, length and a smooth warp of time.

They are those of Um et al. (2017, "Data augmentation of wearable sensor data for Parkinson's
disease monitoring using convolutional neural networks").
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from recurra.data.sequences.series import Floats, Series, Times
from recurra.errors import ConfigError

__all__ = ["SeriesDistortion", "distort"]

_WAVES = 3
"""Waves that add up to one course of speed, of 1 to so many periods."""


@dataclass(frozen=True)
class SeriesDistortion:
    """The strength of each distortion; 0 switches one off.

    Args:
        noise: standard deviation of a displacement of each value, in deviations of its channel
            within the sequence.
        scale: standard deviation of the logarithm of a factor of each channel's distance from its
            mean.
        length: the largest logarithm of the factor that the number of steps is multiplied by.
        warp: standard deviation of the logarithm of the speed along the sequence.
    """

    noise: float = 0.05
    scale: float = 0.1
    length: float = 0.1
    warp: float = 0.15

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 <= value <= 2:
                raise ConfigError(f"{field.name}={value}; give a number from 0 to 2.")

    @classmethod
    def none(cls) -> "SeriesDistortion":
        """Every distortion off: series stay as they are."""
        return cls(**{field.name: 0.0 for field in fields(cls)})


def distort(series: Series, how: SeriesDistortion, generator: np.random.Generator) -> Series:
    """The series, distorted; the same generator gives the same again.

    The first and the last step stay, values missing stay missing, and labels of steps move along.

    >>> series = Series.of([0.0, 1.0, 2.0, 3.0])
    >>> distort(series, SeriesDistortion(scale=0.0, noise=0.0), np.random.default_rng(0)).values[-1]
    array([3.], dtype=float32)
    """
    places = _places(series.steps, how, generator)
    values = _valued(_resampled(series.values, places), how, generator)
    times = None if series.times is None else _between(series.times, places)
    nothing = np.isnan(values).all() or not np.isfinite(values[~np.isnan(values)]).all()
    if nothing or (times is not None and not (np.diff(times) > 0).all()):
        return series  # its one value lay between the new steps, say
    labels = series.labels
    if labels is not None:
        labels = tuple(labels[place] for place in np.rint(places).astype(int))
    return Series(values, times, labels, series.channels)


def _places(steps: int, how: SeriesDistortion, generator: np.random.Generator) -> Times:
    """Where the new steps lie among the old ones, from 0 to T - 1, always forwards."""
    factor = np.exp(how.length * generator.uniform(-1, 1))
    count = 1 if steps == 1 else max(2, round(steps * float(factor)))
    amplitudes, phases = generator.normal(size=_WAVES), generator.uniform(0, 2 * np.pi, _WAVES)
    if count == 1 or not how.warp:
        return np.linspace(0.0, steps - 1, count)
    along = (np.arange(count - 1) + 0.5) / (count - 1)
    angles = 2 * np.pi * np.outer(along, np.arange(1, _WAVES + 1)) + phases
    wave = np.sin(angles) @ amplitudes * np.sqrt(2 / _WAVES)
    passed = np.concatenate([[0.0], np.cumsum(np.exp(how.warp * wave))])
    places: Times = passed * ((steps - 1) / passed[-1])
    places[-1] = steps - 1
    return places


def _around(places: Times, steps: int) -> tuple[Any, Any, Times]:
    """The steps before and after each place, and its share of the way between them."""
    before = np.floor(places).astype(np.int64)
    return before, np.minimum(before + 1, steps - 1), places - before


def _between(times: Times, places: Times) -> Times:
    before, after, share = _around(places, len(times))
    moved: Times = times[before] + share * (times[after] - times[before])
    return moved


def _resampled(values: Floats, places: Times) -> Floats:
    """Values at these places: on the line between two, or the nearer one where one is missing."""
    before, after, share = _around(places, len(values))
    low, high = values[before], values[after]
    weight = share[:, None].astype(np.float32)
    line = (1 - weight) * low + weight * high
    nearer = np.where(weight < 0.5, low, high)
    resampled: Floats = np.where(np.isnan(line), nearer, line)
    return resampled


def _valued(values: Floats, how: SeriesDistortion, generator: np.random.Generator) -> Floats:
    """Values (T, C) further from or nearer to the mean of their channel, and trembling."""
    seen = ~np.isnan(values)
    counts = np.maximum(seen.sum(axis=0), 1)
    wide = np.where(seen, values, 0.0).astype(np.float64)
    mean = wide.sum(axis=0) / counts
    off = np.where(seen, wide - mean, 0.0)
    spread = np.sqrt(np.square(off).sum(axis=0) / counts)
    factors = np.exp(how.scale * generator.normal(size=values.shape[1]))
    noise = how.noise * spread * generator.normal(size=values.shape)
    with np.errstate(over="ignore"):
        moved = (mean + off * factors + noise).astype(np.float32)
    return np.where(seen, moved, np.float32(np.nan))
