"""Candidates of a search: settings of networks, and the statistical methods beside them."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from recurra.data.series.panel import Panel
from recurra.errors import ConfigError
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.evaluation.scores import is_intermittent
from recurra.tasks.forecast.statistics.lag_regression import can_regress
from recurra.tasks.forecast.windows.splits import season_of

__all__ = ["candidates_of", "common_settings", "default_seconds"]

_LEAST, _MOST, _VALUES = 30.0, 300.0, 3000.0
"""Seconds that a search has at least and at most where no budget is given, and the values of all
series that add a second between; not tuned."""


def default_seconds(panel: Panel) -> float:
    """The seconds of a search and the training after it, where no budget is given."""
    return float(np.clip(_LEAST + np.isfinite(panel.y).sum() / _VALUES, _LEAST, _MOST))


def common_settings(config: ForecastConfig, panel: Panel, given: Iterable[str]) -> dict[str, Any]:
    """Settings that all candidates share: the statistical methods that the data allow."""
    season = season_of(config, panel)
    settings: dict[str, Any] = {}
    histories = [panel.values(n) for n in range(len(panel))]
    names = ["SeasonalNaiveDrift", "Theta", "ETS"]
    if any(can_regress(history, season) for history in histories):
        names.append("LagRegression")
    if any(is_intermittent(history) for history in histories):
        names += ["Croston", "ADIDA"]
    settings["members"] = ",".join(names)
    return _without(settings, given)


def candidates_of(
    config: ForecastConfig, panel: Panel, given: Iterable[str]
) -> list[dict[str, Any]]:
    """The settings to try, the first of them the likeliest; what was given is not changed."""
    season, known = season_of(config, panel), panel.y[np.isfinite(panel.y)]
    positive = bool(len(known) and known.min() > 0)
    logarithm = {"transform": "log"} if positive else {}
    tried: list[dict[str, Any]] = [
        {"model": "segments", "scaling": "last", "loss": "mae", **logarithm},
        {"model": "direct", "scaling": "last", "loss": "mae", **logarithm},
        {"model": "segments"},
    ]
    if season > 1:
        smoothing = {"model": "smoothing", "loss": "mae", "learning_rate": 5e-3, **logarithm}
        if positive:
            smoothing["errors"] = "both"
        if np.median(panel.lengths) >= 25 * season >= 7 * 25:
            smoothing |= {"segment": 7 * season, "lookback": 21 * season}
        tried.append(smoothing)
    counted = {"scaling": "mean", "transform": "none"}  # as a distribution of counts needs them
    free = all(getattr(config, n) == value for n, value in counted.items() if n in set(given))
    if _are_sparse_counts(known) and not config.past and free:
        tried.append({"model": "autoregressive", "distribution": "negative-binomial", **counted})
    usable = [_without(settings, set(given) - {"model"}) for settings in tried]
    return [settings for settings in usable if _is_allowed(config, settings)]


def _are_sparse_counts(known: np.ndarray[Any, np.dtype[np.float64]]) -> bool:
    """Tell whether values are whole numbers from 0 on, two fifths of them zero or more."""
    counts = bool((known >= 0).all() and (known == known.round()).all())
    return counts and len(known) > 0 and bool(np.mean(known == 0) >= 0.4)


def _without(settings: Mapping[str, Any], given: Iterable[str]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in set(given)}


def _is_allowed(config: ForecastConfig, settings: Mapping[str, Any]) -> bool:
    """Tell whether settings go with those that were given."""
    try:
        config.changed(settings)
    except ConfigError:
        return False
    return True
