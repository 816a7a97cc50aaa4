"""Features of mean zero and deviation one, by the statistics of the training data."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.errors import DataError

__all__ = ["Standardiser"]

Frames = np.ndarray[Any, np.dtype[np.float32]]

_CONSTANT = 1e-5
"""A feature that varies less is only centred."""


@dataclass(frozen=True)
class Standardiser:
    """The mean and the standard deviation of each feature (F,), as JSON has them.

    >>> standardiser = Standardiser.of([np.array([[0.0], [2.0]], np.float32)])
    >>> standardiser
    Standardiser(mean=(1.0,), std=(1.0,))
    >>> standardiser.apply(np.array([[3.0]], np.float32))
    array([[2.]], dtype=float32)
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", tuple(map(float, self.mean)))
        object.__setattr__(self, "std", tuple(map(float, self.std)))
        if len(self.mean) != len(self.std) or not all(std > 0 for std in self.std):
            raise DataError(
                f"A standardiser has {len(self.mean)} means and {len(self.std)} deviations; "
                "it needs as many of both, and deviations above 0. Compute it from data again."
            )

    @classmethod
    def of(cls, items: Iterable[Frames]) -> "Standardiser":
        """The statistics of all frames of the items (T, F), which are read once.

        A feature that never varies gets a deviation of 1. DataError where there is no frame, the
        items differ in F, or a value isn't finite.
        """
        count, mean, squares = 0, np.zeros(0), np.zeros(0)
        for number, item in enumerate(items):
            values = _checked(item, number, len(mean) if count else None)
            if not len(values):
                continue
            if not count:
                mean = squares = np.zeros(values.shape[1])
            count += len(values)
            change = values.mean(axis=0) - mean
            share = len(values) / count
            squares = squares + ((values - values.mean(axis=0)) ** 2).sum(axis=0)
            squares = squares + change**2 * len(values) * (1 - share)
            mean = mean + change * share
        if not count:
            raise DataError("There are no frames to standardise by; give items that have some.")
        std = np.sqrt(squares / count)
        std = np.where(std < _CONSTANT, 1.0, std)
        return cls(_plain(mean), _plain(std))

    def apply(self, frames: Frames) -> Frames:
        """The frames (T, F) standardised; DataError where F is another."""
        if frames.ndim != 2 or frames.shape[1] != len(self.mean):
            raise DataError(
                f"Frames of the shape {frames.shape} can't be standardised by the statistics of "
                f"{len(self.mean)} features; give (T, {len(self.mean)})."
            )
        mean, std = np.array(self.mean), np.array(self.std)
        standardised: Frames = ((frames - mean) / std).astype(np.float32)
        return standardised


def _checked(item: Frames, number: int, features: int | None) -> Frames:
    if item.ndim != 2 or features not in (None, item.shape[1]):
        needed = "F" if features is None else str(features)
        raise DataError(
            f"Item {number} has the shape {item.shape}; items are (T, {needed}), with as many "
            "features each."
        )
    if not np.isfinite(item).all():
        raise DataError(f"Item {number} has values that aren't finite; leave it out.")
    values: Frames = item.astype(np.float64)
    return values


def _plain(values: Iterable[Any]) -> tuple[float, ...]:
    return tuple(map(float, values))
