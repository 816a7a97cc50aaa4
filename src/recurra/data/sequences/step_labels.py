"""Labels of arrays: one for a whole sequence, or one for each of its steps; as they show."""

import json
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from recurra.data.sequences.series import label_text
from recurra.errors import DataError

__all__ = ["LabelScope", "are_of_steps", "is_one_recording", "step_texts"]

LabelScope = Literal["sequence", "step", "auto"]
"""What has a label: a whole sequence, each of its steps, or what the data show."""

_LEAST_ROWS, _MOST_CHANNELS = 1000, 8
"""An array of so many rows and columns is one recording rather than short sequences."""
_NEAR = 0.8
"""Labels that are nearly as many as the steps were meant for them."""


def is_one_recording(data: Any, labels: Any, scope: LabelScope) -> bool:
    """Tell whether an array (T, C), (C, T) or (T,) is one sequence with a label for each step.

    For "auto" one of two axes has thousands of rows and a few columns, or it is not one sequence.

    >>> is_one_recording(np.zeros(5), [1, 2, 3, 4, 5], "auto")
    True
    >>> is_one_recording(np.zeros((5, 24)), [1, 2, 3, 4, 5], "auto")
    False
    >>> is_one_recording(np.array(["good", "bad"]), [1, 0], "auto")
    False
    """
    if not isinstance(data, np.ndarray) or data.dtype.kind not in "biuf" or scope == "sequence":
        return False
    count = len(labels)
    if data.ndim != 2:
        return data.ndim == 1 and count == len(data)
    rows, columns = (int(size) for size in data.shape)
    if count != rows:
        return count == columns
    if scope == "step":
        return np.ndim(labels[0]) == 0 or len(labels[0]) != columns or columns < rows
    return rows >= _LEAST_ROWS and columns <= _MOST_CHANNELS


def are_of_steps(shapes: Sequence[tuple[int, ...]], labels: Sequence[Any]) -> bool:
    """Tell whether labels are for the steps of sequences of these shapes, (T, C), (C, T) or (T,).

    They are where each label has further ones inside, as many as its sequence has steps.

    Raises DataError where they are nearly as many, so that it can't be told.

    >>> are_of_steps([(3, 2), (4, 2)], [[1, 0, 0], [0, 1, 1, 0]])
    True
    >>> are_of_steps([(30, 2), (40, 2)], [[1.5, 2.5], [1.0, 2.0]])
    False
    """
    if not len(labels) or not all(map(_is_sized, labels)):
        return False
    counts = [len(label) for label in labels]
    if any(np.ndim(label[0]) for label in labels if len(label)):
        return True
    steps = [max(shape, default=0) for shape in shapes]
    if len(set(counts)) > 1:
        return any(n >= _NEAR * most > 0 for n, most in zip(counts, steps, strict=True))
    if all(count == most for count, most in zip(counts, steps, strict=True)):
        return True
    if len(set(steps)) == 1 and counts[0] < steps[0] and counts[0] >= _NEAR * steps[0]:
        raise DataError(
            f"the sequences have {steps[0]:,} steps and {counts[0]:,} labels each; give one label "
            "for each step, or fewer for the whole sequence."
        )
    return False


def step_texts(labels: Any) -> list[str]:
    """Labels of steps (T,) or (T, K) as texts, "" where one is missing; of K numbers a JSON list.

    DataError for a label that stands alone.

    >>> step_texts([1.0, float("nan")]), step_texts([[1.0, 2.5]])
    (['1', ''], ['[1.0, 2.5]'])
    """
    if isinstance(labels, str) or not hasattr(labels, "__iter__"):
        raise DataError(f"has the label {labels!r}, and one for each step is wanted; give a list.")
    return [_text(label) for label in labels]


def _text(label: Any) -> str:
    if not _is_sized(label):
        return label_text(label) or ""
    values = np.asarray(label, np.float64)
    return "" if np.isnan(values).all() else json.dumps(values.tolist())


def _is_sized(label: Any) -> bool:
    return hasattr(label, "__len__") and not isinstance(label, str)
