"""Rolling-origin tests of a model that has never seen what it is tested on."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from recurra.data.series.panel import Panel
from recurra.data.series.read import UnencodedPanel
from recurra.errors import DataError
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.evaluation.rolling import Backtest, judged
from recurra.tasks.forecast.model import Model
from recurra.tasks.forecast.predict import Predicted
from recurra.tasks.forecast.store import Kept
from recurra.tasks.forecast.windows.windows import Origins

__all__ = ["backtested"]

Train = Callable[[Panel], Model]
"""Trains a model on the series of a panel alone."""


def backtested(
    config: ForecastConfig, opened: UnencodedPanel, origins: Origins, refit: bool, train: Train
) -> Backtest:
    """Judge forecasts from `origins` by a model trained on what came before the first of each
    series, or with `refit` by one for each round of origins, trained on all before that.

    A series without an origin in a round is trained on as far as it is not later than what the
    earliest of the round's origins knows, so no model has seen what comes after its round.
    """
    if not refit:
        model, kept = _trained(config, opened, origins, train)
        return judged(model, kept, origins, seed=config.seed)
    point = np.empty((len(origins.series), config.horizon))
    quantiles = np.empty((*point.shape, len(config.levels)))
    for chosen in _rounds(origins):
        now = Origins(origins.series[chosen], origins.known[chosen])
        model, kept = _trained(config, opened, now, train)
        found = model.forecast(model.cutter(kept), now, seed=config.seed)
        point[chosen], quantiles[chosen] = found.point, found.quantiles
    return judged(model, kept, origins, given=Predicted(point, quantiles, None))


def _rounds(origins: Origins) -> list[NDArray[np.int64]]:
    """The windows by round: in the last one the last origin of every series, before it those one
    earlier, and so on; a series that is too short has none in the first rounds.
    """
    last = np.flatnonzero(np.diff(origins.series, append=-1))
    counts = np.diff(last, prepend=-1)
    left = np.repeat(last, counts) - np.arange(len(origins.series))
    return [np.flatnonzero(left == k) for k in range(int(left.max()), -1, -1)]


def _ends(opened: UnencodedPanel, origins: Origins) -> NDArray[np.int64]:
    """(N,) what is trained on of each series: up to its first origin; of one that has none, what is
    not later than all that the earliest origin knows.
    """
    ends = opened.counts_until(opened.last_stamps(*origins).min())
    ends[origins.series] = opened.lengths[origins.series]
    np.minimum.at(ends, origins.series, origins.known)
    return ends


def _trained(
    config: ForecastConfig, opened: UnencodedPanel, origins: Origins, train: Train
) -> tuple[Model, Kept]:
    """A model of what came before `origins`, and the series as it may read them there.

    Covariates are encoded by what it was trained on, and after the last origin of each series and
    its horizon not at all: nobody reads them, so what they are is no error.
    """
    ends = _ends(opened, origins)
    if ends.max() <= config.horizon:
        raise DataError(
            f"Before the first of these windows the longest series has {ends.max()} steps, and "
            f"horizon = {config.horizon} needs at least {config.horizon + 1} to train on; ask for "
            "fewer windows, or a smaller step."
        )
    known = ends.copy()
    np.maximum.at(known, origins.series, origins.known)
    panel = opened.encode(opened.fit_schema(ends), known, config.horizon)
    model = train(panel.until(ends))
    return model, model.placed(panel)
