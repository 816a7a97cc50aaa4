"""From a panel to windows: what is held back, where forecasts may begin, the network's sizes."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.data.series.calendar import calendar_table
from recurra.data.series.panel import Panel
from recurra.data.tables.columns import TableColumns
from recurra.errors import DataError
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.nets import Sizes
from recurra.tasks.forecast.notes import named
from recurra.tasks.forecast.windows.scaling import Usual, transformed
from recurra.tasks.forecast.windows.windows import Cutter, Origins, TrainingWindows, origins_between

__all__ = [
    "Parts",
    "check_values",
    "columns_of",
    "cutter_for",
    "held_back",
    "season_of",
    "sizes_of",
    "split",
    "training_windows",
    "usual_of",
]

Ints = NDArray[np.int64]

_MOST_HELD_BACK = 4000
"""Windows of the held-back part that are looked at; of more, only some."""


def columns_of(config: ForecastConfig) -> TableColumns:
    """What the columns of the table are."""

    def names(text: str) -> tuple[str, ...]:
        return tuple(word.strip() for word in text.split(",") if word.strip())

    return TableColumns(
        id=config.id,
        time=config.time,
        target=config.target,
        past=names(config.past),
        future=names(config.future),
        static=names(config.static),
        layout=config.layout,
        freq=config.freq,
    )


def check_values(config: ForecastConfig, panel: Panel) -> None:
    """Raise DataError where the transform, or a distribution of counts, is not of values that some
    series has.
    """
    how = config.transform
    if config.counts:
        _check_counts(panel)
    if how == "none":
        return
    lowest = np.full(len(panel), np.inf)
    np.fmin.at(lowest, np.repeat(np.arange(len(panel)), panel.lengths), panel.y)
    bad = lowest <= 0 if how == "log" else lowest < 0
    if bad.any():
        allowed = "above 0" if how == "log" else "0 or more"
        raise DataError(
            f"transform = {how!r} needs values {allowed}, and {named(panel, bad)} go down to "
            f"{lowest[bad].min():g}; choose another transform, or none."
        )


def _check_counts(panel: Panel) -> None:
    seen = np.isfinite(panel.y)
    wrong = seen & ((panel.y < 0) | (panel.y != panel.y.round()))
    if wrong.any():
        bad = np.bincount(np.repeat(np.arange(len(panel)), panel.lengths), wrong, len(panel)) > 0
        raise DataError(
            f"distribution = 'negative-binomial' is of counts, whole numbers from 0 on, and "
            f"{named(panel, bad)} have others, {panel.y[wrong][0]:g} for one; choose another "
            "distribution, or give counts."
        )


def season_of(config: ForecastConfig, panel: Panel) -> int:
    """Steps in a season: what was given, else what the frequency has."""
    return config.season or panel.frequency.season


class Parts(NamedTuple):
    """Of each series (N,): where training ends, and the first and last origin trained on."""

    limit: Ints
    first: Ints
    last: Ints


def split(config: ForecastConfig, panel: Panel, lookback: int) -> Parts:
    """Hold the last steps of each series back where two horizons are left before them.

    A series shorter than that is trained on whole. Raises DataError where no series has a window
    to train on, or is long enough for the `holdback` that was asked for.
    """
    lengths, horizon = panel.lengths, config.horizon
    kept = lengths - config.held_steps(lengths)
    limit = np.where(kept >= 2 * horizon, kept, lengths)
    last = limit - horizon
    first = np.maximum(np.minimum(lookback, last // 2), 1)
    if not np.isfinite(panel.y).any():
        raise DataError(
            "No series has any value: all of the target is missing; give a table with values to "
            "train on."
        )
    if not (last >= first).any():
        raise DataError(
            f"No series is long enough to train on: the longest has {lengths.max(initial=0)} steps "
            f"of {panel.frequency.name}, and horizon = {horizon} needs at least {horizon + 1}; "
            "give longer series or a smaller horizon."
        )
    if config.holdback and not (kept >= 2 * horizon).any():
        most = int(lengths.max()) - 2 * horizon
        allowed = f"at most {most}, or longer series" if most >= horizon else "longer series"
        raise DataError(
            f"holdback = {config.holdback}: the longest series has {lengths.max()} steps, and two "
            f"horizons ({2 * horizon}) must be left to train on; give {allowed}."
        )
    return Parts(limit, first, last)


def held_back(config: ForecastConfig, panel: Panel, parts: Parts) -> Origins:
    """Where the forecasts of the held-back part begin: no truth of theirs was trained on."""
    last = np.where(parts.limit < panel.lengths, panel.lengths - config.horizon, -1)
    first = np.where(last >= 0, parts.limit, 0)
    windows = int((np.where(last >= first, last - first, 0)).sum())
    stride = max(1, min(config.horizon, windows // _MOST_HELD_BACK))
    return origins_between(first, last, stride)


def sizes_of(config: ForecastConfig, panel: Panel) -> Sizes:
    """What decides the network's shape."""
    calendar = calendar_table(
        panel.select(np.arange(min(1, len(panel)))), 1, wanted=config.calendar
    )
    return Sizes(
        series=len(panel),
        past=panel.past.shape[1],
        future=panel.future.shape[1] + calendar.features.shape[1],
        static=panel.static.shape[1],
        season=season_of(config, panel),
    )


def cutter_for(
    config: ForecastConfig,
    panel: Panel,
    lookback: int,
    *,
    numbers: Ints | None = None,
    limit: Ints | None = None,
    begun: Ints | None = None,
    usual: Usual | None = None,
    ahead: NDArray[np.float32] | None = None,
) -> Cutter:
    """What cuts windows; what is usual of each series, if left out, is so before `limit`."""
    return Cutter(
        panel=panel,
        numbers=np.arange(len(panel)) if numbers is None else numbers,
        calendar=calendar_table(panel, config.horizon, wanted=config.calendar),
        lookback=lookback,
        horizon=config.horizon,
        scaling=config.scaling,
        transform=config.transform,
        usual=usual or usual_of(panel, config.transform, limit),
        begun=np.zeros(len(panel), np.int64) if begun is None else begun,
        ahead=ahead,
    )


def training_windows(
    config: ForecastConfig, cutter: Cutter, parts: Parts, seed: int
) -> TrainingWindows:
    """What a member with that seed is trained on."""
    return TrainingWindows(cutter, parts.first, parts.last, batch_size=config.batch_size, seed=seed)


def usual_of(panel: Panel, transform: str, limit: Ints | None = None) -> Usual:
    """Mean and deviation of each series before its limit (N,), or as a whole."""
    y = transformed(panel.y, transform)
    series = np.repeat(np.arange(len(panel)), panel.lengths)
    row = np.arange(len(y)) - panel.offsets[series]
    counts = np.isfinite(y) & (row < (panel.lengths if limit is None else limit)[series])
    series, y = series[counts], y[counts]
    size = np.bincount(series, minlength=len(panel))
    sums = np.bincount(series, y, minlength=len(panel))
    mean = np.divide(sums, size, out=np.full(len(panel), np.nan), where=size > 0)
    squares = np.bincount(series, (y - mean[series]) ** 2, minlength=len(panel))
    spread = np.sqrt(squares / np.maximum(size, 1))
    # What is the same all along has no deviation, whatever the mean was rounded to.
    varies = np.zeros(len(panel), bool)
    varies[series[1:][(np.diff(series) == 0) & (np.diff(y) != 0)]] = True
    return Usual(mean, np.where(varies, spread, 0.0))
