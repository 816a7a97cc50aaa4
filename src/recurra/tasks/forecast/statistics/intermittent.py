"""Forecasts of intermittent demand, series that are mostly zero: Croston's method and ADIDA.

Croston 1972, "Forecasting and stock control for intermittent demands"; Nikolopoulos, Syntetos,
Boylan, Petropoulos & Assimakopoulos 2011, "An aggregate-disaggregate intermittent demand approach".
Both are means of the demand a step, not medians: orders are sums.
"""

from collections.abc import Callable, Sequence

import numpy as np

from recurra.tasks.forecast.statistics.histories import Outlook, Vector
from recurra.tasks.forecast.statistics.simple_smoothing import fit_smoothing

__all__ = ["adida", "croston"]

_CONSTANT = 0.1
"""Croston's smoothing constant, as in the paper."""


def croston(histories: Sequence[Vector], season: int, horizon: int) -> Outlook:
    """Croston's forecasts (W, horizon): smoothed size of a demand over the smoothed interval.

    A history without a demand other than zero has zeros, one without any value NaN.
    """
    return _outlook(histories, horizon, _croston)


def adida(histories: Sequence[Vector], season: int, horizon: int) -> Outlook:
    """ADIDA's forecasts (W, horizon): sums over the mean interval between two demands, smoothed,
    and divided among its steps. Without zeros it is simple exponential smoothing.
    """
    return _outlook(histories, horizon, _adida)


def _outlook(
    histories: Sequence[Vector], horizon: int, level: Callable[[Vector], float]
) -> Outlook:
    points, deviations = (np.full((len(histories), horizon), np.nan) for _ in range(2))
    for window, history in enumerate(histories):
        known = history[np.isfinite(history)]
        if len(known):
            points[window] = level(known)
            deviations[window] = known.std()
    return Outlook(points, deviations)


def _croston(known: Vector) -> float:
    steps = np.flatnonzero(known)
    if not len(steps):
        return 0.0
    intervals = np.diff(steps, prepend=-1)
    return _smoothed(known[steps]) / _smoothed(intervals.astype(np.float64))


def _smoothed(values: Vector) -> float:
    level = values[0]
    for value in values[1:]:
        level += _CONSTANT * (value - level)
    return float(level)


def _adida(known: Vector) -> float:
    steps = np.flatnonzero(known)
    if not len(steps):
        return 0.0
    mean = np.diff(steps).mean() if len(steps) > 1 else len(known)
    size = min(max(round(float(mean)), 1), len(known))
    whole = known[len(known) % size :]
    return fit_smoothing(whole.reshape(-1, size).sum(1)).level / size
