"""Splits of a panel: training and held-out steps, and the origins where forecasts begin."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.data.series.panel import Panel
from recurra.data.tables.columns import TableColumns
from recurra.errors import DataError
from recurra.tasks.forecast.config import ForecastConfig

__all__ = [
    "Ints",
    "Origins",
    "SplitPoints",
    "columns_of",
    "count_disjoint",
    "folds",
    "holdout_origins",
    "origins_between",
    "season_of",
    "split",
]

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

_MOST_HELD_OUT = 4000
"""Windows of the held-out part that are read at most, a limit of time; not tuned."""

_MOST_WITH_MEMBERS = 500
"""The same where statistical methods are fitted to each window's history."""

_FOLDS = 5


def columns_of(config: ForecastConfig) -> TableColumns:
    """The roles of the table's columns."""

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


def season_of(config: ForecastConfig, panel: Panel) -> int:
    """Steps in a season: the configured number, else the frequency's."""
    return config.season or panel.frequency.season


class Origins(NamedTuple):
    """Beginnings of forecasts: (W,) series, and (W,) the number of its steps before each."""

    series: Ints
    cutoffs: Ints

    def part(self, low: int, high: int) -> "Origins":
        """The origins from index `low` up to `high`."""
        return Origins(self.series[low:high], self.cutoffs[low:high])

    def at(self, chosen: NDArray[np.bool_] | Ints) -> "Origins":
        """The origins of a mask or of indices."""
        return Origins(self.series[chosen], self.cutoffs[chosen])


class SplitPoints(NamedTuple):
    """Of each series (N,): the end of training, and the first and last cutoff trained on."""

    limit: Ints
    first: Ints
    last: Ints


def split(config: ForecastConfig, panel: Panel, lookback: int) -> SplitPoints:
    """Hold out the last steps of each series of which two horizons are left before them.

    A shorter series is trained on whole. Raises DataError where no series has a window to train on,
    or is long enough for the `holdback` of the configuration.
    """
    lengths, horizon = panel.lengths, config.horizon
    remaining = lengths - config.held_steps(lengths)
    limit = np.where(remaining >= 2 * horizon, remaining, lengths)
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
    if config.holdback and not (remaining >= 2 * horizon).any():
        most = int(lengths.max()) - 2 * horizon
        allowed = f"at most {most}, or longer series" if most >= horizon else "longer series"
        raise DataError(
            f"holdback = {config.holdback}: the longest series has {lengths.max()} steps, and two "
            f"horizons ({2 * horizon}) must be left to train on; give {allowed}."
        )
    return SplitPoints(limit, first, last)


def holdout_origins(config: ForecastConfig, panel: Panel, points: SplitPoints) -> Origins:
    """The origins of the held-out part: no actual value after them was trained on."""
    last = np.where(points.limit < panel.lengths, panel.lengths - config.horizon, -1)
    first = np.where(last >= 0, points.limit, 0)
    windows = int((np.where(last >= first, last - first, 0)).sum())
    most = _MOST_WITH_MEMBERS if config.member_names else _MOST_HELD_OUT
    stride = max(1, min(config.horizon, windows // most))
    return origins_between(first, last, stride)


def origins_between(first: Ints, last: Ints, stride: int) -> Origins:
    """Origins `stride` steps apart from `last` (N,) back to `first` (N,), always with the last of
    each series; none of a series where `last` lies before `first`.
    """
    counts = np.where(last >= first, (last - first) // stride + 1, 0)
    series = np.repeat(np.arange(len(counts)), counts)
    back = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return Origins(series, last[series] - stride * back)


def count_disjoint(origins: Origins, horizon: int) -> int:
    """The number of windows of a horizon that don't overlap, from the first of each series."""
    if not len(origins.series):
        return 0
    series = np.unique(origins.series, return_inverse=True)[1]
    low = np.full(series.max() + 1, np.iinfo(np.int64).max)
    high = np.zeros(len(low), np.int64)
    np.minimum.at(low, series, origins.cutoffs)
    np.maximum.at(high, series, origins.cutoffs)
    return int(((high - low) // horizon + 1).sum())


def folds(origins: Origins, horizon: int) -> Iterator[tuple[Mask, Mask]]:
    """Masks (W,) of each fold of the windows, and of the windows that share no step with it.

    Folds are of whole series where there are enough, else of the time of each series.
    """
    series, place = np.unique(origins.series, return_inverse=True)
    if len(series) >= 2 * _FOLDS:
        for number in range(_FOLDS):
            yield place % _FOLDS == number, place % _FOLDS != number
        return
    cutoffs = origins.cutoffs
    first, last = (
        np.array([f(cutoffs[place == n]) for n in range(len(series))]) for f in (np.min, np.max)
    )
    fold = (cutoffs - first[place]) * _FOLDS // (last - first + 1)[place]
    for number in range(_FOLDS):
        inside, others = fold == number, np.zeros(len(place), bool)
        for n in range(len(series)):
            own = place == n
            if (own & inside).any():
                low, high = cutoffs[own & inside].min(), cutoffs[own & inside].max()
                others |= own & ((cutoffs <= low - horizon) | (cutoffs >= high + horizon))
        if inside.any():
            yield inside, others
