"""How good a trained model is on the part that was kept from training, cheaply."""

import numpy as np

from recurra.data.series.panel import Panel
from recurra.files import digest
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.evaluation.rolling import Backtest, judged, without_coverage
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
    config: ForecastConfig, values: str, backtest: Backtest, windows: int, step: int
) -> list[str]:
    """Sentences on what the judged windows were used for in training.

    `values` is the digest of the values of the training; `windows` and `step` say which origins
    were judged.
    """
    if digest(backtest.panel.y.tobytes()) != values:
        return ["These values differ from those of the training: other series, or another time."]
    if config.final_steps:
        return [
            "The final steps of training were on all of these values, so the table flatters the "
            "model; --backtest trains again on what came before."
        ]
    steps = config.held_steps(backtest.panel.lengths)
    if config.horizon + step * (windows - 1) <= steps:
        return [CALIBRATED_ON]
    return [
        f"Only the last {steps} steps of each series were held out: the windows before them were "
        "trained on, so the table flatters the model; --backtest trains again on what came before."
    ]


CALIBRATED_ON = (
    "No weights were trained on these windows, but the best weights were chosen and the intervals "
    "calibrated on them, so they flatter the model; --backtest trains again on what came before."
)
