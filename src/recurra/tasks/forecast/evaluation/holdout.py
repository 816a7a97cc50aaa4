"""Evaluation on the held-out part of a training table, cheaply."""

import numpy as np

from recurra.data.series.panel import Panel
from recurra.files import digest
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.evaluation.backtest import Backtest, judge_origins, without_coverage
from recurra.tasks.forecast.model import Model
from recurra.tasks.forecast.store import PlacedPanel
from recurra.tasks.forecast.windows.splits import Origins, holdout_origins, split

__all__ = ["judge_holdout", "remarks", "spread_evenly"]

_FEWEST, _MOST = 50, 500
_VALUES = 2_000_000
"""Windows that are judged: between the two, fewer where their histories hold more values than that
in all, since the baselines read every value."""


def judge_holdout(model: Model, panel: Panel) -> Backtest | None:
    """Judge the model beside the baselines on windows of the held-out part, spread evenly over it.

    Each window's quantiles are calibrated on others that share no step with it; without such
    others, coverage is undefined. None where nothing was held out, or nothing of it is known.
    """
    points = split(model.config, panel, model.nets[0].lookback)
    origins = holdout_origins(model.config, panel, points)
    if not len(origins.series):
        return None
    most = int(np.clip(_VALUES // max(1, int(origins.cutoffs.mean())), _FEWEST, _MOST))
    placed = PlacedPanel(panel, np.zeros(len(panel), np.int64))
    chosen = spread_evenly(origins, most)
    cutter = model.cutter(placed)
    if not np.isfinite(cutter.actual(chosen)).any():
        return None
    predicted = model.forecast_crosswise(cutter, chosen)
    backtest = judge_origins(model, placed, chosen, predicted=predicted, seed=model.config.seed)
    return backtest if predicted is not None else without_coverage(backtest)


def spread_evenly(origins: Origins, most: int) -> Origins:
    """At most `most` of the origins, with the first and the last.

    >>> spread_evenly(Origins(np.arange(5), np.arange(5)), 3).cutoffs.tolist()
    [0, 2, 4]
    """
    count = len(origins.series)
    return origins.at(np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int)))


def remarks(
    config: ForecastConfig, values: str, backtest: Backtest, windows: int, step: int
) -> list[str]:
    """Caveats of a judgement without retraining: the earlier use of its windows.

    `values` is the digest of the training's values; `windows` and `step` define the origins that
    were judged.
    """
    if digest(backtest.panel.y.tobytes()) != values:
        return ["These values differ from those of the training: other series, or another time."]
    if config.final_steps:
        return [
            "The final steps of training were on all of these values, so the table flatters the "
            "model; --backtest trains again on the steps before the windows."
        ]
    steps = config.held_steps(backtest.panel.lengths)
    if config.horizon + step * (windows - 1) <= steps:
        return [
            "No weights were trained on these windows, but the best weights were chosen and the "
            "intervals calibrated on them, so they flatter the model; --backtest trains again on "
            "the steps before the windows."
        ]
    return [
        f"Only the last {steps} steps of each series were held out: the windows before them were "
        "trained on, so the table flatters the model; --backtest trains again on the steps before "
        "the windows."
    ]
