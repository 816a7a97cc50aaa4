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
    """The means (W, H) of distributions with quantiles (W, H, Q), normal between them and with
    nothing beyond: the tails of skewed ones are left to the held-out error.

    >>> round(float(mean_of(np.array([[[1.0, 2.0, 3.0]]]), (0.1, 0.5, 0.9))[0, 0]), 9)
    2.0
    """
    mean: Floats = quantiles @ _weights(levels)
    return mean


@functools.cache
def _weights(levels: tuple[float, ...]) -> Floats:
    """The weight (Q,) of each quantile in the mean, which is linear in them."""
    places = (np.arange(_PLACES) + 0.5) / _PLACES
    places = places.clip(levels[0], levels[-1])
    basis = np.eye(len(levels))
    values = quantiles_at(basis, levels, np.repeat(places[:, None], len(levels), 1))
    return np.asarray(values.mean(0))


def measure_bias(
    mean: Floats, actual: Floats, size: Floats, traits: WindowTraits, disjoint: int
) -> Floats:
    """The mean errors (2, H) of means (W, H), in units of the errors to expect of the data (W, H),
    of windows that are not regular and of those that are. Their sums are compared, so that those of
    forecasts come out right.

    All steps share theirs; one of few disjoint windows is shrunk towards zero.
    """
    bias = np.zeros((2, mean.shape[1]))
    share = disjoint / max(len(mean), 1)
    usable = np.isfinite(traits.error) & np.isfinite(actual).any(1)
    for kind, chosen in enumerate((usable & ~traits.regular, usable & traits.regular)):
        known = np.isfinite(actual[chosen])
        expected = float(size[chosen][known].sum())
        if expected > 0:
            found = float((actual - mean)[chosen][known].sum()) / expected
            windows = share * float(chosen.sum())
            bias[kind] = found * windows / (windows + _PRIOR_WINDOWS)
    return bias
