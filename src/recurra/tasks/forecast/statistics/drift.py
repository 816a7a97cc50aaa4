"""The seasonal naive forecast with drift: the last season, moved by the mean change a step."""

from collections.abc import Sequence

import numpy as np

from recurra.tasks.forecast.statistics.histories import Outlook, Vector

__all__ = ["seasonal_naive_drift"]


def seasonal_naive_drift(histories: Sequence[Vector], season: int, horizon: int) -> Outlook:
    """Forecasts (W, horizon) of histories (n,); one without any value has NaN.

    The mean change over a season, per step, is added to the last known value of each phase; a
    history of less than two seasons has a season of one step. With a season of one step it is the
    drift method of Hyndman & Athanasopoulos ("Forecasting: principles and practice", section 5.2).
    """
    parts = [_forecast(history, season, horizon) for history in histories]
    points, deviations = (np.array([part[k] for part in parts]) for k in (0, 1))
    shape = (len(parts), horizon)
    return Outlook(points.reshape(shape), deviations.reshape(shape))


def _forecast(history: Vector, season: int, horizon: int) -> tuple[Vector, Vector]:
    steps = np.flatnonzero(np.isfinite(history))
    if not len(steps):
        return np.full(horizon, np.nan), np.full(horizon, np.nan)
    season = season if len(history) >= 2 * season else 1
    slope, last = _slope(history, season), np.full(season, -1)
    np.maximum.at(last, steps % season, steps)
    ahead = len(history) + np.arange(horizon)
    source = last[ahead % season]
    source = np.where(source < 0, steps[-1], source)
    changes = history[season:] - history[:-season]
    errors = changes[np.isfinite(changes)] - slope * season
    size = np.sqrt((errors**2).sum() / max(len(errors) - 1, 1))
    seasons = (ahead - source + season - 1) // season
    spans = max(len(errors) / season, 1)
    deviation = size * np.sqrt(seasons * (1 + seasons / spans))
    return history[source] + slope * (ahead - source), deviation


def _slope(history: Vector, season: int) -> float:
    """The mean change a step; over whole seasons, so that the season's place doesn't count."""
    changes = history[season:] - history[:-season]
    known = changes[np.isfinite(changes)]
    return float(known.mean() / season) if len(known) else 0.0
