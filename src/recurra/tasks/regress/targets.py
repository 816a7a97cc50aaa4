"""The numbers that a regressor predicts: read from labels, standardised, and put back."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from recurra.errors import DataError

__all__ = ["Targets", "numbers_of", "target_text"]

Floats = np.ndarray[Any, np.dtype[np.float64]]


def numbers_of(text: str) -> list[float]:
    """The number, or the numbers of a JSON list, that a label is; DataError for any other label.

    >>> numbers_of("3.5"), numbers_of("[1, 2]")
    ([3.5], [1.0, 2.0])
    """
    try:
        found = json.loads(text) if text.lstrip().startswith("[") else [float(text)]
        values = [float(each) for each in found]
    except (ValueError, TypeError, RecursionError):
        values = []
    if not values or not all(map(math.isfinite, values)):
        raise DataError(f"the label {text!r} is no number; give a number, or a list of numbers.")
    return values


def target_text(label: Any) -> str:
    """A label as the text that `numbers_of` reads; DataError where it is no number.

    >>> target_text(2.5), target_text(np.array([1.0, 2.0]))
    ('2.5', '[1.0, 2.0]')
    """
    try:
        values = np.asarray(label, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"the label {label!r} is no number; give a number, or as many for each sequence."
        ) from error
    return repr(float(values)) if values.ndim == 0 else json.dumps(values.tolist())


@dataclasses.dataclass(frozen=True)
class Targets:
    """The means and deviations of K targets in training; networks predict in those units."""

    means: Sequence[float]
    deviations: Sequence[float]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Targets:
        """Those of training labels; DataError where all are the same."""
        values = cls.numbers(texts)
        deviations = values.std(0)
        if not deviations.any():
            raise DataError(
                f"All {len(values):,} labels to train on are {values[0].tolist()}; there is "
                "nothing to learn."
            )
        deviations = np.where(deviations > 0, deviations, 1.0)
        return cls(values.mean(0).tolist(), deviations.tolist())

    @staticmethod
    def numbers(texts: Sequence[str]) -> Floats:
        """Labels as (N, K); DataError where they differ in how many numbers they are."""
        rows = [numbers_of(text) for text in texts]
        sizes = {len(row) for row in rows}
        if len(sizes) > 1:
            raise DataError(
                f"Labels have {' and '.join(map(str, sorted(sizes)))} numbers; give as many for "
                "each sequence."
            )
        return np.array(rows, np.float64)

    def __len__(self) -> int:
        return len(self.means)

    def standardised(self, values: Floats) -> Floats:
        """Values (N, K) in units of the deviations in training."""
        return (values - self.means) / self.deviations

    def restored(self, values: Floats) -> Floats:
        """Standardised values (N, K) in their own units."""
        restored: Floats = values * self.deviations + self.means
        return restored
