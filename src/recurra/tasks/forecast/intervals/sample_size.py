"""On how many held-back windows intervals rest, and whether that tells how far errors go."""

import math

import numpy as np

from recurra.data.series.panel import Panel
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.windows.splits import held_back, season_of, split
from recurra.tasks.forecast.windows.windows import Origins, apart_of

__all__ = ["notes_on_intervals"]


def notes_on_intervals(config: ForecastConfig, panel: Panel) -> list[str]:
    """A sentence where intervals are calibrated on fewer windows than their tails need.

    The largest of n errors is exceeded by the next one once in n + 1 times, so a tail of a share s
    needs n of at least 1 / s - 1. Windows that overlap are no further evidence.
    """
    if not (config.calibrate or (config.loss != "quantiles" and config.model != "autoregressive")):
        return []
    origins = _with_truth(config, panel)
    count = apart_of(origins, config.horizon)
    lacking = {name: need for name, need in _needs(config).items() if count < need}
    if not lacking:
        return []
    needs = ", ".join(f"{name} at least {need}" for name, need in lacking.items())
    return [
        f"The intervals rest on {count} held-back windows that don't overlap, too few for their "
        f"tails to be told ({needs}): truths may well lie outside more often than is said. "
        f"{_remedy(config, panel, origins, max(lacking.values()))}"
    ]


def _needs(config: ForecastConfig) -> dict[str, int]:
    """How many windows the interval of each width needs, and each quantile that bounds none."""
    tails = {f"{width:g} %": round(0.5 - width / 200, 6) for width in config.widths}
    bounds = {0.5, *tails.values(), *(round(1 - tail, 6) for tail in tails.values())}
    others = {f"the quantile {q:g}": min(q, 1 - q) for q in config.levels if q not in bounds}
    return {name: math.ceil(round(1 / tail - 1, 6)) for name, tail in (tails | others).items()}


def _with_truth(config: ForecastConfig, panel: Panel) -> Origins:
    """The windows of the held-back part of which some truth is known."""
    parts = split(config, panel, config.lookback_steps(season_of(config, panel)))
    origins = held_back(config, panel, parts)
    seen = np.concatenate([[0], np.cumsum(np.isfinite(panel.y))])
    start = panel.offsets[origins.series] + origins.known
    known = seen[start + config.horizon] > seen[start]
    return Origins(origins.series[known], origins.known[known])


def _remedy(config: ForecastConfig, panel: Panel, origins: Origins, need: int) -> str:
    """What to do; a larger holdback only where the series are long enough for it."""
    series = np.unique(origins.series)
    if len(series):
        steps = -(-need // len(series)) * config.horizon
        if (panel.lengths[series] >= steps + 2 * config.horizon).all():
            return f"Hold more back (holdback = {steps}), or give longer or more series."
    return "Give longer or more series, or ask for narrower intervals."
