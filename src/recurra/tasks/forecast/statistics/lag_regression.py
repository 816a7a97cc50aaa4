"""Linear regression on lags: what the same phase had in earlier seasons, and the last errors.

Two ridge regressions of each history. The first, shared by all steps of a season, weighs the values
of the same phase in the last seasons; without any evidence it is their mean. The second, one a step
ahead, corrects it by its own last errors. Both penalties are chosen by generalised cross-validation
(Golub, Heath & Wahba 1979).
"""

from collections.abc import Sequence

import numpy as np

from recurra.tasks.forecast.evaluation.seasonality import filled
from recurra.tasks.forecast.statistics.drift import seasonal_naive_drift
from recurra.tasks.forecast.statistics.histories import Ints, Outlook, Vector

__all__ = ["can_regress", "lag_regression"]

_MOST = 40_000
"""Steps of a history that are read at most: a limit of time."""
_SEASONS, _FEWEST = 21, 5
"""Seasons whose values are weighed at most (four weeks of days, three years of months), and those
that a history needs; not tuned."""
_STEPS = 50
"""Steps that a history needs, whatever its season; not tuned."""
_ERRORS = 24
"""Last errors that the correction reads at most; not tuned."""
_FEWEST_ROWS = 10
"""Rows that the correction is learnt from at least; not tuned."""
_PENALTIES = 10.0 ** np.arange(-4, 5)
"""Penalties tried, in units of the mean variance of the inputs."""


def lag_regression(histories: Sequence[Vector], season: int, horizon: int) -> Outlook:
    """Forecasts (W, horizon) of histories (n,).

    One with less than five seasons or 50 steps, or values missing for a tenth or more of it, has
    the forecasts of the seasonal naive method with drift; one without any value NaN.
    """
    plain = seasonal_naive_drift(histories, season, horizon)
    points, deviations = plain.point.copy(), plain.deviation.copy()
    for window, history in enumerate(histories):
        if can_regress(history, season):
            begun = history[np.flatnonzero(np.isfinite(history))[0] :]
            points[window], deviations[window] = _forecast(filled(begun[-_MOST:]), season, horizon)
    return Outlook(points, deviations)


def can_regress(history: Vector, season: int) -> bool:
    """Tell whether a history is long and whole enough for the regression."""
    seen = np.isfinite(history)
    if not seen.any():
        return False
    begun = seen[seen.argmax() :]
    return len(begun) >= max(_FEWEST * season, _STEPS) and bool(begun.mean() > 0.9)


def _forecast(values: Vector, season: int, horizon: int) -> tuple[Vector, Vector]:
    if season < 2:
        return _from_last(values, np.arange(horizon))
    points, deviations = np.empty(horizon), np.empty(horizon)
    for block in range(-(-horizon // season)):
        ahead = np.arange(horizon)[block * season : (block + 1) * season]
        fitted, points[ahead] = _seasonal(values, season, block + 1, ahead)
        begun = (values - fitted)[np.isfinite(fitted)]
        correction, deviations[ahead] = _correction(begun, begun, ahead, season)
        points[ahead] += correction
    return points, np.maximum.accumulate(deviations)


def _from_last(values: Vector, ahead: Ints) -> tuple[Vector, Vector]:
    """Points and deviations of a series without a season: changes from its last value."""
    reach = min(_ERRORS, max(len(values) // 4, 1))
    mean = np.convolve(values, np.ones(reach) / reach)[: len(values)]
    correction, deviation = _correction(values - mean, values, ahead, 2 * reach)
    return values[-1] + correction, np.maximum.accumulate(deviation)


def _seasonal(values: Vector, season: int, first: int, ahead: Ints) -> tuple[Vector, Vector]:
    """Forecasts by the values of the same phase, the latest of them `first` seasons before: (n,) of
    the past, NaN at first, and those of the steps ahead.
    """
    steps = len(values)
    count = min(_SEASONS, steps // season // 2)
    lags = season * (first + np.arange(count))
    rows = np.arange(lags[-1], steps)
    inputs = _before(values, rows, lags)
    centre = inputs.mean(1)
    apart = inputs - centre[:, None]
    weights = _ridge(apart, (values[rows] - centre)[:, None])[:, 0]
    fitted = np.full(steps, np.nan)
    fitted[rows] = centre + apart @ weights
    later = _before(values, steps + ahead, lags)
    middle = later.mean(1)
    return fitted, middle + (later - middle[:, None]) @ weights


def _before(values: Vector, rows: Ints, lags: Ints) -> Vector:
    before: Vector = values[rows[:, None] - lags]
    return before


def _correction(errors: Vector, targets: Vector, ahead: Ints, season: int) -> tuple[Vector, Vector]:
    """What the last errors (n,) add to each step, and the deviation left.

    `targets` are the errors themselves, or the values, of which the change from the last is learnt.
    """
    begun = len(errors)
    if not begun:
        return np.zeros(len(ahead)), np.full(len(ahead), np.nan)
    size = float(np.sqrt((errors**2).mean()))
    reach = min(_ERRORS, max(begun // 4, 1))
    span = min(season, max(begun // 4, 1))
    means = np.convolve(errors, np.ones(span) / span)[:begun]
    rows = np.arange(max(reach, span) - 1, begun)
    inputs = np.concatenate([_before(errors, rows, np.arange(reach)), means[rows, None]], 1)
    known = rows + int(ahead[-1]) + 1 < begun
    if known.sum() < _FEWEST_ROWS:
        return np.zeros(len(ahead)), np.full(len(ahead), size)
    wanted = targets[rows[known][:, None] + 1 + ahead]
    if targets is not errors:
        wanted = wanted - targets[rows[known], None]
    weights = _ridge(inputs[known], wanted)
    left = wanted - inputs[known] @ weights
    correction: Vector = inputs[-1] @ weights
    return correction, np.sqrt((left**2).mean(0))


def _ridge(inputs: Vector, targets: Vector) -> Vector:
    """Weights (P, K) of inputs (N, P), each target (N, K) with the penalty of the least GCV."""
    gram, cross = inputs.T @ inputs, inputs.T @ targets
    values, vectors = np.linalg.eigh(gram)
    values = np.maximum(values, 0.0)
    unit = values.mean()
    if unit == 0:
        return np.zeros(cross.shape)
    turned, total, rows = vectors.T @ cross, (targets**2).sum(0), len(inputs)
    best, chosen = np.full(targets.shape[1], np.inf), np.zeros(cross.shape)
    for penalty in _PENALTIES * unit:
        shrunk = turned / (values + penalty)[:, None]
        explained = (shrunk * (2 * turned - values[:, None] * shrunk)).sum(0)
        free = (values / (values + penalty)).sum()
        score = (total - explained) / max(rows - free, 1e-9) ** 2
        better = score < best
        best = np.where(better, score, best)
        chosen = np.where(better, shrunk, chosen)
    weights: Vector = vectors @ chosen
    return weights
