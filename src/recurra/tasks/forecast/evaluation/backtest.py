"""Backtests: forecasts from rolling origins, judged beside the baselines."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.data.series.panel import Panel
from recurra.data.series.read import UnencodedPanel
from recurra.errors import DataError
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.evaluation.interval_groups import (
    IntervalRow,
    groups_of,
    interval_rows,
)
from recurra.tasks.forecast.evaluation.judge import (
    Forecasts,
    Judgement,
    baseline_forecasts,
    interval_bounds,
    judge,
)
from recurra.tasks.forecast.evaluation.scores import IntervalLevels, seasonal_scales
from recurra.tasks.forecast.frames import MODEL_NAME
from recurra.tasks.forecast.model import Model
from recurra.tasks.forecast.nets.inference import Predictions
from recurra.tasks.forecast.store import PlacedPanel
from recurra.tasks.forecast.windows.splits import Origins
from recurra.tasks.task import Evaluation

__all__ = [
    "Backtest",
    "judge_origins",
    "rolling_origins",
    "run_backtest",
    "short_series_warnings",
    "without_coverage",
]

Train = Callable[[Panel], Model]
"""Trains a model on the series of a panel alone."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Backtest(Evaluation):
    """W forecasts of known steps: their origins, the forecasts, the actual values, the judgement.

    Attributes:
        panel: the series.
        origins: (W,) series, and the number of its steps before the forecast.
        predicted: the forecasts.
        actual: (W, H), NaN where missing.
        judgement: the metrics of the model, named `recurra`, and of the baselines.
        levels: those of the quantiles.
        intervals: coverage and width by group and by step, beside those of the best baseline.
    """

    panel: Panel
    origins: Origins
    predicted: Predictions
    actual: NDArray[np.float64]
    judgement: Judgement
    levels: tuple[float, ...]
    intervals: Sequence[IntervalRow] = ()

    @property
    def verdict(self) -> str:
        """The gain over the best baseline, or its lack; the figure alone where none was judged."""
        if self.judgement.has_baselines:
            return self.judgement.verdict(MODEL_NAME)
        metric = self.judgement.deciding()
        return f"{MODEL_NAME}: {metric} {self.numbers[metric]:.4g}; no baseline was judged."

    def to_json(self) -> dict[str, Any]:
        """The judgement, with the verdict and the remarks."""
        about = {"verdict": self.verdict, "remarks": list(self.remarks)}
        rows = [row.to_json() for row in self.intervals]
        return self.judgement.to_json() | about | {"intervals": rows}

    def __str__(self) -> str:
        return "\n".join([self.verdict, *self.judgement.notes()])


def rolling_origins(lengths: NDArray[np.int64], horizon: int, windows: int, step: int) -> Origins:
    """The last `windows` origins of series of these lengths (N,), `step` steps apart, that are
    followed by a horizon and preceded by a step; DataError where there is none.
    """
    back = horizon + step * np.arange(windows)[::-1]
    cutoffs = lengths[:, None] - back
    series, place = np.nonzero(cutoffs >= 1)
    if not len(series):
        raise DataError(
            f"No series has a step before the last {horizon}: the longest has "
            f"{lengths.max(initial=0)}; give longer series."
        )
    return Origins(series, cutoffs[series, place])


def short_series_warnings(windows: int, origins: Origins, series: int) -> list[str]:
    """A sentence where some of the series have fewer origins than requested."""
    short = int((np.bincount(origins.series, minlength=series) < windows).sum())
    if not short:
        return []
    return [
        f"windows = {windows}: {short} of {series} series are too short for so many; "
        f"{len(origins.series)} windows are judged in all."
    ]


def judge_origins(
    model: Model,
    placed: PlacedPanel,
    origins: Origins,
    *,
    predicted: Predictions | None = None,
    baselines: bool = True,
    adapt: int = 0,
    seed: int = 0,
) -> Backtest:
    """Forecast from these origins, each by the steps before it (unless predicted), and judge.

    With `adapt` quantiles adapt to the actual values known by then, with that half-life.
    """
    config, panel = model.config, placed.panel
    cutter = model.cutter(placed)
    if predicted is None and adapt:
        predicted = model.forecast_adaptively(cutter, origins, adapt, seed=seed)
    predicted = predicted or model.forecast(cutter, origins, seed=seed)
    actual = cutter.actual(origins)
    histories = [panel.values(n)[:cutoff] for n, cutoff in zip(*origins, strict=True)]
    forecasts = [Forecasts(MODEL_NAME, predicted.point, predicted.quantiles, config.levels)]
    if baselines:
        season, levels = model.sizes.season, config.levels
        forecasts += baseline_forecasts(histories, season, config.horizon, levels)
    judgement = judge(
        actual,
        forecasts,
        histories=histories,
        season=model.sizes.season,
        series=list(panel.ids[origins.series]),
        intervals=config.widths,
    )
    return Backtest(
        numbers=judgement.table[MODEL_NAME],
        panel=panel,
        origins=origins,
        predicted=predicted,
        actual=actual,
        judgement=judgement,
        levels=config.levels,
        intervals=_intervals(model, predicted, actual, histories, forecasts, judgement),
    )


def _intervals(
    model: Model,
    predicted: Predictions,
    actual: NDArray[np.float64],
    histories: list[NDArray[np.float64]],
    forecasts: list[Forecasts],
    judgement: Judgement,
) -> list[IntervalRow]:
    """Intervals by group and step: the model's, and those of the best baseline, if any."""
    levels = IntervalLevels(
        model.config.levels, interval_bounds(model.config.levels, model.config.widths)
    )
    own = replace(forecasts[0], quantiles=predicted.unrounded)
    best = judgement.best_baseline() if judgement.has_baselines else ""
    models = [own, *(one for one in forecasts[1:] if one.name == best)]
    known = [history[np.isfinite(history)] for history in histories]
    usable = np.isfinite(actual).any(1) & np.array([len(one) > 0 for one in known])
    scales = seasonal_scales(histories, model.sizes.season)
    return interval_rows(
        actual[usable],
        [one.at(usable) for one in models],
        levels,
        np.where(scales > 0, scales, np.nan)[usable],
        np.array([bool((one == one.round()).all()) for one in known])[usable],
        groups_of(list(compress(histories, usable)), model.nets[0].lookback),
    )


def without_coverage(backtest: Backtest) -> Backtest:
    """The backtest with the coverage of the model's intervals undefined."""
    table = dict(backtest.judgement.table)
    table[MODEL_NAME] = {
        name: math.nan if name.startswith("coverage") else value
        for name, value in table[MODEL_NAME].items()
    }
    judgement = replace(backtest.judgement, table=table)
    others = [row for row in backtest.intervals if row.model != MODEL_NAME]
    return replace(backtest, numbers=table[MODEL_NAME], judgement=judgement, intervals=others)


def run_backtest(
    config: ForecastConfig, opened: UnencodedPanel, origins: Origins, refit: bool, train: Train
) -> Backtest:
    """Judge forecasts from `origins` by a model trained on the steps before the first of each
    series, or with `refit` by one for each round of origins, trained on all before that.

    A series without an origin in a round is trained on up to the stamp of the earliest of the
    round's origins, so no model has read anything after its round.
    """
    if not refit:
        model, placed = _trained(config, opened, origins, train)
        return judge_origins(model, placed, origins, seed=config.seed)
    point = np.empty((len(origins.series), config.horizon))
    quantiles, unrounded = (np.empty((*point.shape, len(config.levels))) for _ in range(2))
    for chosen in _rounds(origins):
        now = origins.at(chosen)
        model, placed = _trained(config, opened, now, train)
        predicted = model.forecast(model.cutter(placed), now, seed=config.seed)
        point[chosen], quantiles[chosen] = predicted.point, predicted.quantiles
        unrounded[chosen] = predicted.unrounded
    predicted = Predictions(point, quantiles, unrounded)
    return judge_origins(model, placed, origins, predicted=predicted)


def _rounds(origins: Origins) -> list[NDArray[np.int64]]:
    """The windows by round: in the last one the last origin of every series, before it those one
    earlier, and so on; a series that is too short has none in the first rounds.
    """
    last = np.flatnonzero(np.diff(origins.series, append=-1))
    counts = np.diff(last, prepend=-1)
    left = np.repeat(last, counts) - np.arange(len(origins.series))
    return [np.flatnonzero(left == k) for k in range(int(left.max()), -1, -1)]


def _training_ends(opened: UnencodedPanel, origins: Origins) -> NDArray[np.int64]:
    """(N,) the end of training of each series: its first origin; without one, the last step that is
    not later than the earliest origin's.
    """
    ends = opened.counts_until(opened.last_stamps(*origins).min())
    ends[origins.series] = opened.lengths[origins.series]
    np.minimum.at(ends, origins.series, origins.cutoffs)
    return ends


def _trained(
    config: ForecastConfig, opened: UnencodedPanel, origins: Origins, train: Train
) -> tuple[Model, PlacedPanel]:
    """A model of the steps before `origins`, and the series as it may read them there.

    Covariates are encoded by the training part, and not at all after the last origin of each series
    and its horizon: nothing reads them there, so none of their values is an error.
    """
    ends = _training_ends(opened, origins)
    if ends.max() <= config.horizon:
        raise DataError(
            f"Before the first of these windows the longest series has {ends.max()} steps, and "
            f"horizon = {config.horizon} needs at least {config.horizon + 1} to train on; ask for "
            "fewer windows, or a smaller step."
        )
    last_cutoffs = ends.copy()
    np.maximum.at(last_cutoffs, origins.series, origins.cutoffs)
    panel = opened.encode(opened.fit_schema(ends), last_cutoffs, config.horizon)
    model = train(panel.until(ends))
    return model, model.place(panel)
