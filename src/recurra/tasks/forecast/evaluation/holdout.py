"""How good a trained model is on the part that was kept from training, cheaply."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from recurra.data.series.panel import Panel
from recurra.files import digest
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.evaluation.rolling import Backtest, judged, without_coverage
from recurra.tasks.forecast.facts import CALIBRATED_ON
from recurra.tasks.forecast.model import Model
from recurra.tasks.forecast.store import Kept
from recurra.tasks.forecast.windows.splits import held_back, split
from recurra.tasks.forecast.windows.windows import Origins

__all__ = ["judged_held_back", "remarks", "spread_evenly"]

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


def remarks(
    config: ForecastConfig, record: Mapping[str, Any], found: Backtest, windows: int, step: int
) -> list[str]:
    """What has to be known of a judgement without retraining: what the windows were used for.

    `record` is the run's config.json; `windows` and `step` say which origins were judged.
    """
    if digest(found.panel.y.tobytes()) != record.get("values digest"):
        return [
            "These are other values than the run was trained on: other series, or another time."
        ]
    if config.final_steps:
        return [
            "The final steps of training were on all of these values, so the table flatters the "
            "model; --backtest trains anew on what came before."
        ]
    steps = config.held_steps(found.panel.lengths)
    if config.horizon + step * (windows - 1) <= steps:
        return [CALIBRATED_ON]
    return [
        f"Only the last {steps} steps of each series were held back: the "
        "windows before them were trained on, so the table flatters the model; --backtest trains "
        "anew on what came before."
    ]
