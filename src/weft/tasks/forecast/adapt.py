"""Quantiles that follow what comes: moved after each truth, so that in the long run they hold.

The quantile tracker of Angelopoulos, Candès and Tibshirani 2023, "Conformal PID Control for Time
Series Prediction" (arXiv:2307.16895), after Gibbs and Candès 2021 (arXiv:2106.00263): a quantile
that a truth lay above moves up by its level, one that a truth lay below moves down by the rest.
"""

import numpy as np
from numpy.typing import NDArray

from weft.tasks.forecast.windows import Origins

__all__ = ["adapted"]

Floats = NDArray[np.float64]


def adapted(
    quantiles: Floats, truth: Floats, origins: Origins, levels: tuple[float, ...], rate: float
) -> Floats:
    """Quantiles (W, H, Q) of rolling origins, those of a series moved by its earlier truths (W, H).

    Each on the scale of its window. A truth counts from the first origin that knows it, and moves
    each quantile of its distance by `rate` of the width between the outermost two, times level or
    level - 1. Missing truths move nothing.
    """
    moved = quantiles.copy()
    for series in np.unique(origins.series):
        rows = np.flatnonzero(origins.series == series)
        rows = rows[np.argsort(origins.known[rows], kind="stable")]
        moved[rows] = _of_series(
            quantiles[rows], truth[rows], origins.known[rows], np.array(levels), rate
        )
    return moved


def _of_series(
    quantiles: Floats, truth: Floats, known: NDArray[np.int64], levels: Floats, rate: float
) -> Floats:
    moved, offset = quantiles.copy(), np.zeros(quantiles.shape[1:])
    told = np.zeros(quantiles.shape[1], np.int64)  # by distance: truths that counted already
    for window, now in enumerate(known):
        width = quantiles[window, :, -1] - quantiles[window, :, 0]
        # A truth `step` steps ahead of an origin is known from step + 1 steps later on.
        ready = np.searchsorted(known, now - np.arange(len(told)), side="left")
        for step in np.flatnonzero(ready > told):
            for earlier in range(told[step], ready[step]):
                if np.isfinite(truth[earlier, step]):
                    below = truth[earlier, step] <= moved[earlier, step]
                    offset[step] += rate * width[step] * (levels - below)
        told = ready
        # Sorted, so that what is judged is what is told, where two quantiles would cross.
        moved[window] = np.sort(quantiles[window] + offset, axis=-1)
    return moved
