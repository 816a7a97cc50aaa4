"""The linear filter that comes nearest to targets of steps, by least squares."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = ["filtered", "least_squares_filter", "usual_taps"]

Floats = np.ndarray[Any, np.dtype[np.float64]]

_ROWS = 4096
"""Steps that are taken in at once."""
_RIDGE = 1e-4
"""Added to the variances of standardised features."""
_MOST = 1024
"""Numbers of a filter for each output."""


def usual_taps(features: int, washout: int) -> int:
    """Steps that a filter looks back on: those of the washout, fewer where features are many.

    >>> usual_taps(1, 128), usual_taps(20, 128)
    (128, 51)
    """
    return min(washout, _MOST // features)


def least_squares_filter(
    pairs: Iterable[tuple[np.ndarray[Any, Any], Floats]], taps: int
) -> tuple[Floats, Floats]:
    """Weights (K, F, taps), the oldest step first, and a bias (K,).

    pairs: features (T, F) of series and their targets (T, K), NaN where one is missing: those
        steps don't count. A series begins after zeros.

    >>> features = np.random.default_rng(0).normal(size=(500, 1))
    >>> weight, _ = least_squares_filter([(features, features * 3)], 2)
    >>> abs(weight).round(2).tolist()
    [[[0.0, 3.0]]]
    """
    square, product, count = np.zeros((0, 0)), np.zeros((0, 0)), 0
    for features, targets in pairs:
        for rows, known in _lagged(features.astype(np.float64), targets, taps):
            square = rows.T @ rows + (square if count else 0.0)
            product = rows.T @ known + (product if count else 0.0)
            count += len(rows)
    ridge = _RIDGE * max(count, 1) * np.eye(len(square))
    ridge[-1, -1] = 1e-9
    found = np.linalg.solve(square + ridge, product)
    weight = found[:-1].T.reshape(found.shape[1], taps, -1)
    return np.ascontiguousarray(weight.transpose(0, 2, 1)), found[-1]


def filtered(features: np.ndarray[Any, Any], weight: Floats, bias: Floats) -> Floats:
    """What a filter of weights (K, F, taps) and bias (K,) makes of features (T, F): (T, K).

    >>> filtered(np.ones((3, 1)), np.array([[[1.0, 2.0]]]), np.zeros(1)).tolist()
    [[2.0], [3.0], [3.0]]
    """
    found = [
        sum(
            np.convolve(column, own[::-1])[: len(features)]
            for column, own in zip(features.T, each, strict=True)
        )
        for each in weight
    ]
    return np.stack(found, axis=1) + bias


def _lagged(features: Floats, targets: Floats, taps: int) -> Iterable[tuple[Floats, Floats]]:
    """Rows of the steps until each one, with a 1, and its targets, piece by piece."""
    padded = np.concatenate([np.zeros((taps - 1, features.shape[1])), features])
    for first in range(0, len(features), _ROWS):
        known = targets[first : first + _ROWS]
        part = padded[first : first + len(known) + taps - 1]
        windows = np.lib.stride_tricks.sliding_window_view(part, taps, axis=0)
        rows = windows.transpose(0, 2, 1).reshape(len(known), -1)
        seen = np.isfinite(known).all(1)
        yield np.concatenate([rows, np.ones((len(rows), 1))], 1)[seen], known[seen]
