"""How good a trained model is on the part that was kept from training, cheaply."""

import numpy as np

from recurra.data.panel import Panel
from recurra.tasks.forecast.evaluate import Backtest, judged, without_coverage
from recurra.tasks.forecast.model import Model
from recurra.tasks.forecast.setup import held_back, split
from recurra.tasks.forecast.store import Kept
from recurra.tasks.forecast.windows import Origins

__all__ = ["judged_held_back", "spread_evenly"]

_FEWEST, _MOST = 50, 500
_VALUES = 2_000_000
"""Windows that are judged: so many; fewer where their histories hold more values than that, since
the baselines read all of them."""


def judged_held_back(model: Model, panel: Panel) -> Backtest | None:
    """Judge the model beside the baselines on windows of the held-back part, spread evenly over it.

    Each window's quantiles are calibrated on others that share no truth with it; where there are
    none, how often intervals held is not told. None where nothing was held back, or nothing of it
    is known.
    """
    parts = split(model.config, panel, model.nets[0].lookback)
    origins = held_back(model.config, panel, parts)
    if not len(origins.series):
        return None
    most = int(np.clip(_VALUES // max(1, int(origins.known.mean())), _FEWEST, _MOST))
    kept = Kept(panel, np.zeros(len(panel), np.int64))
    chosen = spread_evenly(origins, most)
    cutter = model.cutter(kept)
    if not np.isfinite(cutter.truth(chosen)).any():
        return None
    given = model.crossed(cutter, chosen)
    found = judged(model, kept, chosen, given=given, seed=model.config.seed)
    return found if given is not None else without_coverage(found)


def spread_evenly(origins: Origins, most: int) -> Origins:
    """At most so many of the origins, the first and the last among them.

    >>> spread_evenly(Origins(np.arange(5), np.arange(5)), 3).known.tolist()
    [0, 2, 4]
    """
    count = len(origins.series)
    chosen = np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))
    return Origins(origins.series[chosen], origins.known[chosen])
