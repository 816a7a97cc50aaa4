"""Anomaly scores: the surprise of each observation to a forecast made one step before it."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recurra.data.series.panel import Panel
from recurra.tasks.forecast.frames import MODEL_NAME, interval_columns
from recurra.tasks.forecast.model import Model
from recurra.tasks.forecast.store import PlacedPanel
from recurra.tasks.forecast.windows.splits import Origins, origins_between

__all__ = ["anomaly_columns", "normal_scores"]

Floats = NDArray[np.float64]

_MOST = 40.0
"""The highest score: beyond it a normal probability is less than a float64 can hold."""


def anomaly_columns(
    model: Model, placed: PlacedPanel, last: int, *, seed: int = 0
) -> dict[str, NDArray[Any]]:
    """The columns id, time, target, forecast, its intervals, and score of the last observations of
    each series, each forecast from all observations before it.

    Where the table ends, future covariates are taken to stay as they were last: a model may read
    some of them for the first step too.
    """
    lengths = placed.panel.lengths
    origins = origins_between(np.maximum(lengths - last, 1), lengths - 1, 1)
    order = np.lexsort((origins.cutoffs, origins.series))
    origins = Origins(origins.series[order], origins.cutoffs[order])
    cutter = model.cutter(placed, _constant_future(placed.panel, model.config.horizon))
    predicted = model.forecast(cutter, origins, seed=seed)
    actual, quantiles = cutter.actual(origins)[:, 0], predicted.quantiles[:, 0]
    intervals = interval_columns(model.config.levels, model.config.widths)
    panel, columns = placed.panel, placed.panel.schema.columns
    stamps = panel.frequency.shift(panel.starts[origins.series], origins.cutoffs)
    return {
        columns.id: panel.ids[origins.series],
        columns.time or "ds": stamps,
        columns.target: actual,
        MODEL_NAME: predicted.point[:, 0],
        **{name: quantiles[:, k] for name, k in intervals.items()},
        "score": np.abs(normal_scores(predicted.unrounded[:, 0], model.config.levels, actual)),
    }


def _constant_future(panel: Panel, horizon: int) -> NDArray[np.float32]:
    """The last future covariates of each series, repeated for each step after it."""
    last = panel.future[panel.offsets[1:] - 1]
    return np.broadcast_to(last[:, None], (len(panel), horizon, last.shape[1]))


def normal_scores(quantiles: Floats, levels: tuple[float, ...], actual: Floats) -> Floats:
    """Normal scores of actual values (W,) in distributions with quantiles (W, Q).

    0 is the median, 2 and -2 leave a fortieth beyond. Linear between the quantiles, and beyond them
    as from the median to the outermost: two that nearly coincide make nothing rare. NaN where the
    actual value is; at most 40 in size, as for any value beside a certain forecast.

    >>> normal_scores(np.array([[-1.0, 0.0, 1.0]]), (0.1, 0.5, 0.9), np.array([2.0])).round(2)
    array([2.56])
    """
    normal = torch.special.ndtri(torch.tensor(levels, dtype=torch.double)).numpy()
    middle = levels.index(0.5)
    place = (quantiles < actual[:, None]).sum(1)
    right = np.where(place == len(normal), len(normal) - 1, np.maximum(place, 1))
    left = np.where(place == len(normal), middle, right - 1)
    right = np.where(place == 0, middle, right)
    left = np.where(place == 0, 0, left)
    rows = np.arange(len(actual))
    low, high = quantiles[rows, left], quantiles[rows, right]
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = normal[left] + (actual - low) / (high - low) * (normal[right] - normal[left])
    certain = quantiles[:, 0] == quantiles[:, -1]
    away = np.sign(actual - quantiles[:, middle])
    scores = np.where(certain, _MOST * away, scores)
    scores = np.where(away == 0, 0.0, scores)
    clipped: Floats = np.where(np.isnan(actual), np.nan, np.clip(scores, -_MOST, _MOST))
    return clipped
