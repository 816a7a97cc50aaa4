"""Rolling-origin tests of a model that has never seen what it is tested on."""

import tempfile

import numpy as np
from numpy.typing import NDArray

from weft.data.panel import Panel
from weft.tasks.forecast.config import ForecastConfig
from weft.tasks.forecast.evaluate import Backtest, judged
from weft.tasks.forecast.fitting import fit_model
from weft.tasks.forecast.model import Model
from weft.tasks.forecast.predict import Predicted
from weft.tasks.forecast.windows import Origins
from weft.training import Progress, Run

__all__ = ["backtested"]


def backtested(
    config: ForecastConfig,
    panel: Panel,
    origins: Origins,
    refit: bool,
    progress: Progress | None,
) -> Backtest:
    """Judge forecasts from `origins` by a model trained on what came before the first of each
    series, or with `refit` by one for each round of origins, trained on all before that.
    """
    rounds = _rounds(origins)
    if not refit:
        model = _trained(config, panel, _ends(panel, origins), progress)
        return judged(model, model.placed(panel), origins, seed=config.seed)
    point = np.empty((len(origins.series), config.horizon))
    quantiles = np.empty((*point.shape, len(config.levels)))
    for chosen in rounds:
        now = Origins(origins.series[chosen], origins.known[chosen])
        model = _trained(config, panel, _ends(panel, now), progress)
        found = model.forecast(model.cutter(model.placed(panel)), now, seed=config.seed)
        point[chosen], quantiles[chosen] = found.point, found.quantiles
    given = Predicted(point, quantiles, None)
    return judged(model, model.placed(panel), origins, given=given)


def _rounds(origins: Origins) -> list[NDArray[np.int64]]:
    """The windows by round: the first origin of every series, then the second, ..."""
    starts = np.flatnonzero(np.diff(origins.series, prepend=-1))
    place = np.arange(len(origins.series)) - np.repeat(
        starts, np.diff([*starts, len(origins.series)])
    )
    return [np.flatnonzero(place == k) for k in range(int(place.max()) + 1)]


def _ends(panel: Panel, origins: Origins) -> NDArray[np.int64]:
    """(N,) the first origin of each series; a series without one is left out whole."""
    ends = np.zeros(len(panel), np.int64)
    np.maximum.at(ends, origins.series, np.iinfo(np.int64).max)
    np.minimum.at(ends, origins.series, origins.known)
    return np.where(np.isin(np.arange(len(panel)), origins.series), ends, 0)


def _trained(
    config: ForecastConfig, panel: Panel, ends: NDArray[np.int64], progress: Progress | None
) -> Model:
    with tempfile.TemporaryDirectory(prefix="weft-") as folder:
        run = Run.create(folder, {}, overwrite=True)
        model = fit_model(config, panel.until(ends), run, resume=False, progress=progress).model
    if model is None:
        raise KeyboardInterrupt
    return model
