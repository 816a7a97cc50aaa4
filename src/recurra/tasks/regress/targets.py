"""The numbers that a regressor predicts: read from labels, standardised, and put back."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from recurra.errors import DataError
from recurra.tasks.inputs.collection import Part

__all__ = ["Targets", "actual_numbers", "numbers_of", "step_numbers", "target_text"]

Floats = np.ndarray[Any, np.dtype[np.float64]]


def numbers_of(text: str, *, missing: bool = False) -> list[float]:
    """The number, or the numbers of a JSON list, that a label is; DataError for any other label.

    `missing` allows NaN among them.

    >>> numbers_of("3.5"), numbers_of("[1, 2]")
    ([3.5], [1.0, 2.0])
    """
    try:
        found = json.loads(text) if text.lstrip().startswith("[") else [float(text)]
        values = [float(each) for each in found]
    except (ValueError, TypeError, RecursionError):
        values = []
    allowed = [value for value in values if not (missing and math.isnan(value))]
    if not values or not all(map(math.isfinite, allowed)):
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


def step_numbers(labels: Sequence[str], count: int = 1) -> Floats:
    """The numbers (T, K) of labels of steps, NaN where one is missing; `count` is K where all are.

    DataError for a label that is no number, or has more or fewer than the others.

    >>> step_numbers(["1", "", "3"]).tolist()
    [[1.0], [nan], [3.0]]
    """
    first = next((text for text in labels if text), "0")
    if not first.startswith("["):
        try:
            found = np.array([float(text) if text else np.nan for text in labels])
        except ValueError:
            found = np.array([np.inf])
        if not np.isinf(found).any() and any(labels):  # else it is named below
            return found[:, None]
    rows = [numbers_of(text, missing=True) if text else None for text in labels]
    sizes = {len(row): step for step, row in enumerate(rows, start=1) if row is not None}
    if len(sizes) > 1:
        shown = " and ".join(f"{size} (step {step:,})" for size, step in sizes.items())
        raise DataError(f"labels of steps have {shown} numbers; give as many for each.")
    size = next(iter(sizes), count)
    return np.array([[np.nan] * size if row is None else row for row in rows])


def actual_numbers(part: Part) -> list[Floats]:
    """The numbers of each item: (1, K) of a whole one, else (T, K) of its steps, NaN: missing.

    DataError where items differ in K.
    """
    whole = [getattr(item.data, "labels", None) is None for item in part.items]
    found = [
        np.array([numbers_of(item.text or "")]) if one else step_numbers(item.data.labels)
        for item, one in zip(part.items, whole, strict=True)
    ]
    sizes = {numbers.shape[1] for numbers in found}
    if len(sizes) > 1:
        raise DataError(
            f"Labels have {' and '.join(map(str, sorted(sizes)))} numbers; give as many for "
            "each sequence."
        )
    return found


@dataclasses.dataclass(frozen=True)
class Targets:
    """The means and deviations of K targets in training; networks predict in those units."""

    means: Sequence[float]
    deviations: Sequence[float]

    @classmethod
    def of(cls, values: Floats) -> Targets:
        """Those of training labels (N, K), NaN where missing; DataError where all are the same."""
        deviations = np.nanstd(values, 0)
        if not deviations.any():
            raise DataError(
                f"All {len(values):,} labels to train on are {values[0].tolist()}; there is "
                "nothing to learn."
            )
        deviations = np.where(deviations > 0, deviations, 1.0)
        return cls(np.nanmean(values, 0).tolist(), deviations.tolist())

    def __len__(self) -> int:
        return len(self.means)

    def standardised(self, values: Floats) -> Floats:
        """Values (N, K) in units of the deviations in training."""
        return (values - self.means) / self.deviations

    def restored(self, values: Floats) -> Floats:
        """Standardised values (N, K) in their own units."""
        restored: Floats = values * self.deviations + self.means
        return restored
