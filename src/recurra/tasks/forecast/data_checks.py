"""Checks of the data: errors for values that can't be trained on, warnings for odd series."""

import warnings
from collections.abc import Sequence

import numpy as np

from recurra.data.series.panel import Panel
from recurra.errors import DataError, RecurraWarning
from recurra.tasks.forecast.config import ForecastConfig

__all__ = ["FEWEST_OF_CONSTANT", "ForecastWarning", "check_values", "series_warnings", "warn"]

FEWEST_OF_CONSTANT = 3
"""The number of equal values from which on a series counts as constant."""


class ForecastWarning(RecurraWarning):
    """Some series are forecast less well than the others, or intervals rest on too few windows; the
    message names them, or their number.
    """


def warn(messages: Sequence[str]) -> None:
    """Issue each message as a ForecastWarning."""
    for message in messages:
        warnings.warn(message, ForecastWarning, stacklevel=3)


def series_warnings(panel: Panel, horizon: int) -> list[str]:
    """A sentence each on series that are all missing, constant, or shorter than the horizon."""
    series = np.repeat(np.arange(len(panel)), panel.lengths)
    seen = np.isfinite(panel.y)
    count = np.bincount(series[seen], minlength=len(panel))
    high, low = np.full(len(panel), -np.inf), np.full(len(panel), np.inf)
    np.maximum.at(high, series[seen], panel.y[seen])
    np.minimum.at(low, series[seen], panel.y[seen])
    varies = (high > low) | (count < FEWEST_OF_CONSTANT)
    kinds = {
        "have no values; their forecasts are missing": count == 0,
        "are constant, and forecast as that constant": ~varies,
        f"are shorter than the horizon ({horizon} steps); the shared model forecasts them": (
            panel.lengths <= horizon
        )
        & (count > 0)
        & varies,
    }
    return [f"{panel.naming(which)} {what}." for what, which in kinds.items() if which.any()]


def check_values(config: ForecastConfig, panel: Panel) -> None:
    """Raise DataError where a series has values that the transform or the distribution excludes."""
    transform = config.transform
    if config.counts:
        _check_counts(panel)
    if transform == "none":
        return
    lowest = np.full(len(panel), np.inf)
    np.fmin.at(lowest, np.repeat(np.arange(len(panel)), panel.lengths), panel.y)
    bad = lowest <= 0 if transform == "log" else lowest < 0
    if bad.any():
        allowed = "above 0" if transform == "log" else "0 or more"
        raise DataError(
            f"transform = {transform!r} needs values {allowed}, and {panel.naming(bad)} go down to "
            f"{lowest[bad].min():g}; choose another transform, or none."
        )


def _check_counts(panel: Panel) -> None:
    seen = np.isfinite(panel.y)
    wrong = seen & ((panel.y < 0) | (panel.y != panel.y.round()))
    if wrong.any():
        bad = np.bincount(np.repeat(np.arange(len(panel)), panel.lengths), wrong, len(panel)) > 0
        raise DataError(
            f"distribution = 'negative-binomial' needs counts, whole numbers from 0 on, and "
            f"{panel.naming(bad)} have others, {panel.y[wrong][0]:g} for one; choose another "
            "distribution, or give counts."
        )
