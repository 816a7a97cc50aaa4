"""What is refused, or put right, of sequences and labels in memory before they are read."""

from __future__ import annotations

import warnings
from numbers import Number
from typing import Any

import numpy as np

from recurra.errors import DataError, RecurraWarning

__all__ = ["as_array", "as_labels", "as_sequences", "check_classes"]


def as_array(data: Any) -> Any:
    """The data, a column of a data frame, or another object that gives an array, as that array."""
    gives = hasattr(data, "__array__") and not hasattr(data, "columns")
    return np.asarray(data) if gives and _is_column(data) else data


def _is_column(data: Any) -> bool:
    return hasattr(data, "to_numpy") or not hasattr(data, "__iter__")


def as_sequences(data: Any, *, recording: bool = False) -> Any:
    """The data, an object that gives an array as that array.

    DataError for a sparse matrix, or for numbers that stand alone rather than in sequences, unless
    they may be one `recording`.

    >>> as_sequences(np.zeros(3))
    Traceback (most recent call last):
    recurra.errors.DataError: Reshape your data: an array of shape (3,) is no list of sequences; ...
    """
    if hasattr(data, "toarray") and hasattr(data, "nnz"):
        raise DataError(
            "The data are a sparse matrix, and sequences are dense: give its toarray()."
        )
    data = as_array(data)
    if not recording and _is_flat(data):
        raise DataError(
            f"Reshape your data: an array of shape ({len(data)},) is no list of sequences; give "
            "(sequences, steps) or (sequences, steps, channels); one sequence is [array], and one "
            "with a label for each step takes as many labels."
        )
    return data


def _is_flat(data: Any) -> bool:
    """Whether it has numbers where sequences should be."""
    if isinstance(data, np.ndarray):
        return data.ndim == 1 and data.dtype.kind in "biufc"
    return isinstance(data, (list, tuple)) and len(data) > 0 and isinstance(data[0], Number)


def as_labels(labels: Any) -> Any:
    """The labels, those of one column (N, 1) as (N,), with a RecurraWarning."""
    labels = as_array(labels)
    shape: tuple[int, ...] = getattr(labels, "shape", ())
    if len(shape) == 2 and shape[1] == 1:
        warnings.warn(
            f"The labels are a column of shape {shape}, taken as ({shape[0]},).",
            RecurraWarning,
            stacklevel=4,
        )
        return np.asarray(labels)[:, 0]
    return labels


def check_classes(labels: Any) -> None:
    """Raise DataError for an array of numbers that are no whole ones: they name no classes."""
    array = labels if isinstance(labels, np.ndarray) else np.empty(0)
    if array.dtype.kind == "f" and (odd := array[array % 1 != 0]).size:
        raise DataError(
            f"The labels are continuous numbers, such as {odd.flat[0]:g}, and a classifier's are "
            "the names of classes; recurra.Regressor predicts numbers."
        )
