"""The sample that intervals rest on: whether there are enough held-out windows, and the remedy."""

import numpy as np

from recurra.data.series.panel import Panel
from recurra.metrics.conformal import errors_needed
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.windows.splits import (
    Origins,
    count_disjoint,
    holdout_origins,
    season_of,
    split,
)

__all__ = ["interval_warnings"]


def interval_warnings(config: ForecastConfig, panel: Panel) -> list[str]:
    """A sentence where intervals are calibrated on fewer windows than their tails need.

    Windows that overlap add no evidence.
    """
    if not (config.calibrate or (config.loss != "quantiles" and config.model != "autoregressive")):
        return []
    origins = _origins_with_actual(config, panel)
    count = count_disjoint(origins, config.horizon)
    lacking = {name: need for name, need in _needs(config).items() if count < need}
    if not lacking:
        return []
    needs = ", ".join(f"{name} needs {need}" for name, need in lacking.items())
    return [
        f"The intervals rest on {count} held-out windows that don't overlap, too few to estimate "
        f"the tails ({needs}); actual coverage may be lower than stated. "
        f"{_remedy(config, panel, origins, max(lacking.values()))}"
    ]


def _needs(config: ForecastConfig) -> dict[str, int]:
    """The windows that the interval of each width needs, and each quantile that bounds none."""
    tails = {f"{width:g} %": round(0.5 - width / 200, 6) for width in config.widths}
    bounds = {0.5, *tails.values(), *(round(1 - tail, 6) for tail in tails.values())}
    others = {f"the quantile {q:g}": min(q, 1 - q) for q in config.levels if q not in bounds}
    return {name: errors_needed(tail) for name, tail in (tails | others).items()}


def _origins_with_actual(config: ForecastConfig, panel: Panel) -> Origins:
    """The held-out origins with any known actual value."""
    points = split(config, panel, config.lookback_steps(season_of(config, panel)))
    origins = holdout_origins(config, panel, points)
    known_before = np.concatenate([[0], np.cumsum(np.isfinite(panel.y))])
    start = panel.offsets[origins.series] + origins.cutoffs
    return origins.at(known_before[start + config.horizon] > known_before[start])


def _remedy(config: ForecastConfig, panel: Panel, origins: Origins, need: int) -> str:
    """The remedy: a larger holdback only where the series are long enough for it."""
    series = np.unique(origins.series)
    if len(series):
        steps = -(-need // len(series)) * config.horizon
        if (panel.lengths[series] >= steps + 2 * config.horizon).all():
            return f"Hold out more (holdback = {steps}), or give longer or more series."
    return "Give longer or more series, or ask for narrower intervals."
