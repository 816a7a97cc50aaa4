"""Means of forecasts: of the distribution between the quantiles, without its held-out error."""

import functools

import numpy as np
from numpy.typing import NDArray

from recurra.tasks.forecast.intervals.calibration import quantiles_at
from recurra.tasks.forecast.windows.traits import WindowTraits

__all__ = ["mean_of", "measure_bias"]

Floats = NDArray[np.float64]

_PLACES = 4000
"""Levels that an integral over a distribution is taken at."""

_PRIOR_WINDOWS = 10
"""Disjoint windows whose mean error counts half; as that of the median does, not tuned."""


def mean_of(quantiles: Floats, levels: tuple[float, ...]) -> Floats:
    """The means (W, H) of distributions with quantiles (W, H, Q), normal between and beyond them.

    >>> round(float(mean_of(np.array([[[-1.0, 0.0, 1.0]]]), (0.1, 0.5, 0.9))[0, 0]), 9)
    0.0
    """
    mean: Floats = quantiles @ _weights(levels)
    return mean


@functools.cache
def _weights(levels: tuple[float, ...]) -> Floats:
    """The weight (Q,) of each quantile in the mean, which is linear in them."""
    places = (np.arange(_PLACES) + 0.5) / _PLACES
    basis = np.eye(len(levels))
    values = quantiles_at(basis, levels, np.repeat(places[:, None], len(levels), 1))
    return np.asarray(values.mean(0))


def measure_bias(
    mean: Floats, actual: Floats, size: Floats, traits: WindowTraits, disjoint: int
) -> Floats:
    """The mean errors (2, H) of means (W, H), in units of the errors to expect of the data (W, H),
    of windows that are not regular and of those that are.

    All steps share theirs; one of few disjoint windows is shrunk towards zero.
    """
    bias = np.zeros((2, mean.shape[1]))
    share = disjoint / max(len(mean), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.where(size > 0, (actual - mean) / size, np.nan)
    for kind, chosen in enumerate((~traits.regular, traits.regular)):
        own = errors[chosen & np.isfinite(traits.error)]
        if not np.isfinite(own).any():
            continue
        bias[kind] = np.nanmean(own) * share * len(own) / (share * len(own) + _PRIOR_WINDOWS)
    return bias
