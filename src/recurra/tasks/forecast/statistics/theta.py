"""The dynamic optimised Theta model, fitted to many histories at once.

Fiorucci, Pellegrini, Louzada, Petropoulos & Koehler 2016, "Models for optimising the theta method
and their relationship to state space models": exponential smoothing of the line that doubles (or
multiplies by theta) the series' curvature, with a linear trend that is fitted again at each step.
The season is taken off before by M4's test and decomposition, and put back after.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from recurra.tasks.forecast.evaluation.seasonality import adjusted, filled
from recurra.tasks.forecast.statistics.histories import Histories, Ints, Outlook, Vector, aligned

__all__ = ["theta"]

_MOST = 600
"""Steps of a history that are read at most: a limit of time."""
_CONSTANTS = (0.1, 0.99)
"""The bounds of the smoothing constant, as in R's forecTheta."""
_TRIED, _ROUNDS = 15, 3
"""Constants that each round tries about the best of the round before."""
_FEWEST = 4
"""Values that a history needs; of a shorter one the last is repeated."""
_LEAST = 1e-12
"""A smaller share of independence is rounding: two columns are one then."""
_TOGETHER = 1000
"""Windows that are fitted together: a limit of memory."""


def theta(histories: Sequence[Vector], season: int, horizon: int) -> Outlook:
    """Forecasts (W, horizon) of histories (n,); one without any value has NaN."""
    without = [adjusted(history[-_MOST:], season) for history in histories]
    trimmed = [_known(one.values) for one in without]
    points, deviations = (np.full((len(histories), horizon), np.nan) for _ in range(2))
    order = np.argsort([-len(values) for values in trimmed], kind="stable")
    for low in range(0, len(order), _TOGETHER):
        chosen = [at for at in order[low : low + _TOGETHER] if len(trimmed[at])]
        if chosen:
            batch = aligned([trimmed[at] for at in chosen], 1, _MOST)
            points[chosen], deviations[chosen] = _fitted(batch, horizon)
    for window, (one, history) in enumerate(zip(without, histories, strict=True)):
        steps = min(len(history), _MOST) + np.arange(horizon)
        points[window] = one.restore(points[window], steps)
        deviations[window] *= one.size(steps)
    return Outlook(points, deviations)


def _known(values: Vector) -> Vector:
    """The values from the first known one on, gaps filled on straight lines."""
    seen = np.flatnonzero(np.isfinite(values))
    return filled(values[seen[0] :]) if len(seen) else values[:0]


def _fitted(batch: Histories, horizon: int) -> tuple[Vector, Vector]:
    """Points and deviations (W, H): the constant from a grid that is refined about the best."""
    windows = np.arange(batch.values.shape[1])
    alpha = np.broadcast_to(np.linspace(*_CONSTANTS, _TRIED)[:, None], (_TRIED, len(windows)))
    reach = (_CONSTANTS[1] - _CONSTANTS[0]) / (_TRIED - 1)
    for _ in range(_ROUNDS):
        fit = _least_squares(batch, alpha)
        best = alpha[fit.squares.argmin(0), windows]
        offsets = np.linspace(-reach, reach, _TRIED)[:, None]
        alpha = np.clip(best + offsets, *_CONSTANTS)
        reach *= 2 / (_TRIED - 1)
    fit = _least_squares(batch, best[None])
    points = _continued(batch, best, fit.level[0], fit.weight[0], horizon)
    growth = np.sqrt(1 + np.arange(horizon) * best[:, None] ** 2)
    left = np.maximum(batch.counts - 4, 1)
    short = batch.counts < _FEWEST
    points = np.where(short[:, None], batch.values[-1][:, None], points)
    return points, np.sqrt(np.maximum(fit.squares[0], 0.0) / left)[:, None] * growth


class _ThetaFit(NamedTuple):
    """Sums of squared one-step errors (K, W), and the first level and 1 - 1/theta (K, W)."""

    squares: Vector
    level: Vector
    weight: Vector


class _Trend:
    """Mean and slope (W,) of the line through the values so far, and their number."""

    def __init__(self, starts: Ints) -> None:
        self._starts = starts
        self.mean, self.slope = np.zeros(len(starts)), np.zeros(len(starts))

    def line(self, row: int, alpha: Vector, power: Vector) -> Vector:
        """The part of the forecast of a row that 1 - 1/theta weighs; `power` is that of 1 - alpha
        by the number of values before.
        """
        first = self.mean - self.slope * self.count(row) / 2
        return first * power + self.slope * (1 - power * (1 - alpha)) / alpha

    def count(self, row: int) -> Ints:
        """The number (W,) of a row's value in its history, from 1 on; 0 before."""
        return np.maximum(row - self._starts + 1, 0)

    def add(self, row: int, value: Vector) -> None:
        """Take the values (W,) of a row in."""
        count = self.count(row)
        number = np.maximum(count, 1)
        change = 6 * (value - self.mean) / number
        slope = ((number - 2) * self.slope + change) / (number + 1)
        self.slope = np.where(count > 1, slope, self.slope)
        mean = ((number - 1) * self.mean + value) / number
        self.mean = np.where(count > 0, mean, self.mean)


def _least_squares(batch: Histories, alpha: Vector) -> _ThetaFit:
    """The best first level and weight for constants (K, W): the errors are linear in both."""
    trend, level, power = _Trend(batch.starts), np.zeros(alpha.shape), np.ones(alpha.shape)
    origin = batch.values[batch.starts, np.arange(len(batch.starts))]
    sums = np.zeros((6, *alpha.shape))
    for row, values in enumerate(batch.values):
        count = trend.count(row)
        line = trend.line(row, alpha, power)
        value = np.where(count > 0, values, 0.0)
        # Levels are counted from the first value, so that large ones lose no digits.
        error = np.where(count > 1, value - origin - level, 0.0)
        flat, line = np.where(count > 1, power, 0.0), np.where(count > 1, line, 0.0)
        sums += (error**2, flat * error, line * error, flat**2, flat * line, line**2)
        trend.add(row, value)
        begun = count > 0
        level = np.where(begun, level + alpha * (value - origin - level), level)
        power = np.where(begun, power * (1 - alpha), power)
    total, flat_error, line_error, flats, both, lines = sums
    inner = flats * lines - both**2
    usable = inner > _LEAST * flats * lines
    weight = (flats * line_error - both * flat_error) / np.where(usable, inner, 1.0)
    weight = np.clip(np.where(usable, weight, 0.0), 0.0, 1.0)
    first = np.where(flats > 0, flat_error - weight * both, 0.0) / np.where(flats > 0, flats, 1.0)
    squares = total - first * flat_error - weight * line_error
    squares += first * (first * flats + weight * both - flat_error)
    squares += weight * (first * both + weight * lines - line_error)
    return _ThetaFit(squares, first + origin, weight)


def _continued(
    batch: Histories, alpha: Vector, level: Vector, weight: Vector, horizon: int
) -> Vector:
    """The forecasts (W, H): the recursion fed with its own forecasts after the last value."""
    trend, power = _Trend(batch.starts), np.ones(alpha.shape)
    points = np.empty((len(alpha), horizon))
    steps = len(batch.values)
    for row in range(steps + horizon):
        begun = trend.count(row) > 0
        if row < steps:
            value = np.where(begun, batch.values[row], 0.0)
        else:
            value = level + weight * trend.line(row, alpha, power)
            points[:, row - steps] = value
        trend.add(row, value)
        level = np.where(begun, level + alpha * (value - level), level)
        power = np.where(begun, power * (1 - alpha), power)
    return points
