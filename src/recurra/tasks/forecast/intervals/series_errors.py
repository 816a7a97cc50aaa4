"""Errors to expect of series: a law for all, and each series' own held-out errors beside it.

A simple forecast's error in a series' history says how much of it can't be forecast; a network errs
beside that by a share of the swing that it has not learnt. Both shares are fitted to held-out
errors. A series then has more or less of either by what its own held-out windows show.
"""

import math
import statistics
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.tasks.forecast.nets.inference import ScaledForecasts
from recurra.tasks.forecast.windows.scaling import SeriesScale
from recurra.tasks.forecast.windows.splits import Origins
from recurra.tasks.forecast.windows.traits import SeriesTraits

__all__ = [
    "UNFITTED",
    "OwnErrors",
    "errors_by_law",
    "fit_law",
    "own_errors",
    "own_errors_crosswise",
]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_PRIOR_WINDOWS = 2.0
"""Disjoint windows at which a series' own errors count half; not tuned."""

_MOST = 6.0
"""A window's error counts as at most so many times what is expected of it."""

_MEAN_OF_NORMAL = math.sqrt(2 / math.pi)
"""The mean absolute value of the standard normal distribution."""

UNFITTED: Floats = np.array([1.0, 0.0])
"""The law where no errors are known: the simple forecast's error."""


class OwnErrors(NamedTuple):
    """The errors, and the networks' widths, that each series or window has in multiples of what is
    expected of it: (N,) or (W,) each, 1 where nothing is known.
    """

    errors: Floats
    widths: Floats


def errors_by_law(law: Floats, traits: SeriesTraits, scale: SeriesScale) -> SeriesTraits:
    """The traits with the errors that a law (2,) leads to expect: a share of the simple forecast's
    error, and one of the swing.
    """
    error = law[0] * traits.error + law[1] * _swing(traits, scale)
    return traits._replace(error=np.where(traits.error > 0, error, 0.0))


def _swing(traits: SeriesTraits, scale: SeriesScale) -> Floats:
    """The deviation (N,), without what slow changes of the level add."""
    return np.minimum(scale.spread, 10 * traits.change)


def fit_law(
    scaled: ScaledForecasts,
    actual: Floats,
    series: NDArray[np.int64],
    raw: SeriesTraits,
    scale: SeriesScale,
) -> Floats:
    """The shares (2,), none negative, that fit held-out errors best, each series weighing alike.

    `scaled` and `actual` (W, H) are scaled, `raw` the traits with the simple forecast's errors.
    """
    errors, known = _errors(scaled, actual)
    if not known.any():
        return UNFITTED
    expected = scaled.traits.error[known]
    usual = np.where(raw.error > 0, raw.error, np.nan)[series[known]]
    # As if the windows moved as usual: they are expected to err less where they are calm.
    own = _means(errors[known] / expected * usual, series[known], len(raw.error))
    usable = np.isfinite(own) & (own > 0) & (scale.spread > 0)
    if not usable.any():
        return UNFITTED
    parts = np.stack([raw.error, _swing(raw, scale)], 1)[usable] / own[usable, None]
    candidates = []
    for columns in ([0], [1], [0, 1]):
        share = np.zeros(2)
        share[columns] = np.linalg.lstsq(parts[:, columns], np.ones(len(parts)), rcond=None)[0]
        if (share >= 0).all():
            candidates.append((float(((parts @ share - 1) ** 2).sum()), share))
    best: Floats = min(candidates, key=lambda candidate: candidate[0])[1]
    return best


def own_errors(
    scaled: ScaledForecasts,
    actual: Floats,
    origins: Origins,
    horizon: int,
    levels: tuple[float, ...],
    count: int,
) -> OwnErrors:
    """The own errors of each of `count` series, by all of its held-out windows."""
    ratios, known = _ratios(scaled, actual, levels)
    found = np.ones((2, count))
    for n, rows in _by_series(origins.series):
        rows = rows[known[rows]]
        if len(rows):
            windows = float(np.ptp(origins.cutoffs[rows]) // horizon + 1)
            found[:, n] = _shrunk(ratios[:, rows].mean(1), np.array(windows))
    return OwnErrors(*found)


def own_errors_crosswise(
    scaled: ScaledForecasts,
    actual: Floats,
    origins: Origins,
    horizon: int,
    levels: tuple[float, ...],
    calibrating: Mask,
) -> OwnErrors:
    """The own errors of each held-out window, by those of its series that share no step with it.

    Those that are `calibrating` (W,) go by one another alone, so that they know of no other.
    """
    ratios, known = _ratios(scaled, actual, levels)
    found = np.ones((2, len(known)))
    for _, rows in _by_series(origins.series):
        cutoffs = origins.cutoffs[rows]
        apart = (np.abs(cutoffs[:, None] - cutoffs) >= horizon) & known[rows]
        apart &= calibrating[rows] | ~calibrating[rows][:, None]
        number = apart.sum(1)
        mean = np.where(known[rows], ratios[:, rows], 0) @ apart.T / np.maximum(number, 1)
        # Windows that overlap are as good as one a horizon.
        windows = number * (np.ptp(cutoffs) // horizon + 1) / len(rows)
        found[:, rows] = np.where(number > 0, _shrunk(mean, windows), 1.0)
    return OwnErrors(*found)


def _ratios(
    scaled: ScaledForecasts, actual: Floats, levels: tuple[float, ...]
) -> tuple[Floats, Mask]:
    """Errors (2, W) of windows in multiples of what the law and, where the networks have any, their
    own intervals lead to expect; and where they are known.
    """
    errors, known = _errors(scaled, actual)
    by_width = np.ones(len(errors))
    if scaled.quantiles.shape[-1] > 1:
        normal = statistics.NormalDist()
        width = np.abs(scaled.quantiles[..., -1] - scaled.quantiles[..., 0]).mean(1)
        usual = _MEAN_OF_NORMAL / (normal.inv_cdf(levels[-1]) - normal.inv_cdf(levels[0]))
        by_width = np.divide(errors, usual * width, out=by_width, where=width > 0)
    ratios = np.stack([errors / scaled.traits.error, by_width])
    return np.minimum(ratios, _MOST), known


def _errors(scaled: ScaledForecasts, actual: Floats) -> tuple[Floats, Mask]:
    """The mean absolute error (W,) of each window's medians, scaled, and where it is known."""
    middle = (scaled.quantiles.shape[-1] - 1) // 2
    errors = np.abs(actual - scaled.quantiles[..., middle])
    known = np.isfinite(errors).any(1) & np.isfinite(scaled.traits.error)
    mean = np.full(len(errors), np.nan)
    mean[known] = np.nanmean(errors[known], 1)
    return mean, known


def _shrunk(ratios: Floats, windows: Floats) -> Floats:
    """Ratios of so many windows that don't overlap, shrunk towards 1."""
    shrunk: Floats = (windows * ratios + _PRIOR_WINDOWS) / (windows + _PRIOR_WINDOWS)
    return shrunk


def _means(values: Floats, series: NDArray[np.int64], count: int) -> Floats:
    number = np.bincount(series, minlength=count)
    total = np.bincount(series, np.nan_to_num(values), minlength=count)
    means: Floats = np.divide(total, number, out=np.full(count, np.nan), where=number > 0)
    return means


def _by_series(series: NDArray[np.int64]) -> list[tuple[int, NDArray[np.int64]]]:
    """Each series and the indices of its windows."""
    if not len(series):
        return []
    order = np.argsort(series, kind="stable")
    names, starts = np.unique(series[order], return_index=True)
    return list(zip(names.tolist(), np.split(order, starts[1:]), strict=True))
