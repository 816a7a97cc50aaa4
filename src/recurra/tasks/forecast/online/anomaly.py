"""How surprising each observation was to a forecast made just before it."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recurra.data.series.panel import Panel
from recurra.tasks.forecast.frames import NAME, interval_columns
from recurra.tasks.forecast.model import Model
from recurra.tasks.forecast.store import Kept
from recurra.tasks.forecast.windows.windows import Origins, origins_between

__all__ = ["normal_scores", "surprises"]

Floats = NDArray[np.float64]

_MOST = 40.0
"""Scores end here: beyond, a normal probability is less than a float64 can hold."""


def surprises(model: Model, kept: Kept, last: int, *, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Of the last observations of each series, each forecast from all that came before it: the
    columns id, time, target, forecast, its intervals, and score.

    Covariates known ahead are taken to stay as they were last where the table ends: a model may
    read some of them for the first step too.
    """
    lengths = kept.panel.lengths
    origins = origins_between(np.maximum(lengths - last, 1), lengths - 1, 1)
    order = np.lexsort((origins.known, origins.series))
    origins = Origins(origins.series[order], origins.known[order])
    cutter = model.cutter(kept, _held(kept.panel, model.config.horizon))
    found = model.forecast(cutter, origins, seed=seed)
    truth, quantiles = cutter.truth(origins)[:, 0], found.quantiles[:, 0]
    named = interval_columns(model.config.levels, model.config.widths)
    panel, columns = kept.panel, kept.panel.schema.columns
    stamps = panel.frequency.shift(panel.starts[origins.series], origins.known)
    return {
        columns.id: panel.ids[origins.series],
        columns.time or "ds": stamps,
        columns.target: truth,
        NAME: found.point[:, 0],
        **{name: quantiles[:, k] for name, k in named.items()},
        "score": np.abs(normal_scores(quantiles, model.config.levels, truth)),
    }


def _held(panel: Panel, horizon: int) -> NDArray[np.float32]:
    """The last future-known covariates of each series once more for each step after it."""
    last = panel.future[panel.offsets[1:] - 1]
    return np.broadcast_to(last[:, None], (len(panel), horizon, last.shape[1]))


def normal_scores(quantiles: Floats, levels: tuple[float, ...], truth: Floats) -> Floats:
    """Where truths (W,) stand in distributions with quantiles (W, Q), as normal scores.

    0 is the median, 2 and -2 leave a fortieth beyond. Linear between the quantiles, and beyond them
    as from the median to the outermost: two that nearly coincide make nothing rare. NaN where the
    truth is; at most 40 in size, which a truth beside a certain forecast has.

    >>> normal_scores(np.array([[-1.0, 0.0, 1.0]]), (0.1, 0.5, 0.9), np.array([2.0])).round(2)
    array([2.56])
    """
    known = torch.special.ndtri(torch.tensor(levels, dtype=torch.double)).numpy()
    middle = levels.index(0.5)
    place = (quantiles < truth[:, None]).sum(1)
    right = np.where(place == len(known), len(known) - 1, np.maximum(place, 1))
    left = np.where(place == len(known), middle, right - 1)
    right = np.where(place == 0, middle, right)
    left = np.where(place == 0, 0, left)
    rows = np.arange(len(truth))
    low, high = quantiles[rows, left], quantiles[rows, right]
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = known[left] + (truth - low) / (high - low) * (known[right] - known[left])
    certain = quantiles[:, 0] == quantiles[:, -1]
    away = np.sign(truth - quantiles[:, middle])
    scores = np.where(certain, _MOST * away, scores)
    scores = np.where(away == 0, 0.0, scores)
    found: Floats = np.where(np.isnan(truth), np.nan, np.clip(scores, -_MOST, _MOST))
    return found
