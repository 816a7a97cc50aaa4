"""Forecasts of the past: rolling origins, judged beside the baselines."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.data.series.panel import Panel
from recurra.errors import DataError
from recurra.tasks.forecast.evaluation.judge import Forecasts, Judgement, baseline_forecasts, judge
from recurra.tasks.forecast.frames import NAME
from recurra.tasks.forecast.model import Model
from recurra.tasks.forecast.predict import Predicted
from recurra.tasks.forecast.store import Kept
from recurra.tasks.forecast.windows.windows import Origins
from recurra.tasks.task import Evaluation

__all__ = ["Backtest", "fewer_than", "judged", "rolling", "without_coverage"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Backtest(Evaluation):
    """W forecasts of the past: where they began, what was said, what came, and the judgement.

    Attributes:
        panel: the series.
        origins: (W,) series, and how many of its steps were known.
        predicted: the forecasts.
        truth: (W, H), NaN where it is missing.
        judgement: the metrics of the model, named `recurra`, and of the baselines.
        levels: those of the quantiles.
    """

    panel: Panel
    origins: Origins
    predicted: Predicted
    truth: NDArray[np.float64]
    judgement: Judgement
    levels: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """The judgement, with the verdict and the remarks."""
        about = {"verdict": self.judgement.verdict(NAME), "remarks": list(self.remarks)}
        return self.judgement.to_json() | about

    def __str__(self) -> str:
        return "\n".join([self.judgement.verdict(NAME), *self.judgement.notes()])


def rolling(lengths: NDArray[np.int64], horizon: int, windows: int, step: int) -> Origins:
    """The last `windows` origins of series of these lengths (N,), `step` steps apart, that are
    followed by a horizon and preceded by something; DataError where there is none.
    """
    back = horizon + step * np.arange(windows)[::-1]
    known = lengths[:, None] - back
    series, place = np.nonzero(known >= 1)
    if not len(series):
        raise DataError(
            f"No series has a step before the last {horizon}: the longest has "
            f"{lengths.max(initial=0)}; give longer series."
        )
    return Origins(series, known[series, place])


def fewer_than(windows: int, origins: Origins, series: int) -> list[str]:
    """A note where some of so many series have fewer origins than were asked for."""
    short = int((np.bincount(origins.series, minlength=series) < windows).sum())
    if not short:
        return []
    return [
        f"windows = {windows}: {short} of {series} series are too short for so many; "
        f"{len(origins.series)} windows are judged in all."
    ]


def judged(
    model: Model,
    kept: Kept,
    origins: Origins,
    *,
    given: Predicted | None = None,
    baselines: bool = True,
    adapt: int = 0,
    seed: int = 0,
) -> Backtest:
    """Forecast from these origins, each by what came before (or take what is given), and judge.

    With `adapt` quantiles follow the truths that are known by then, with that half-life.
    """
    config, panel = model.config, kept.panel
    cutter = model.cutter(kept)
    if given is None and adapt:
        given = model.rolled(cutter, origins, adapt, seed=seed)
    found = given or model.forecast(cutter, origins, seed=seed)
    truth = cutter.truth(origins)
    histories = [panel.values(n)[:known] for n, known in zip(*origins, strict=True)]
    forecasts = [Forecasts(NAME, found.point, found.quantiles, config.levels)]
    if baselines:
        season, levels = model.sizes.season, config.levels
        forecasts += baseline_forecasts(histories, season, config.horizon, levels)
    judgement = judge(
        truth,
        forecasts,
        histories=histories,
        season=model.sizes.season,
        series=list(panel.ids[origins.series]),
        intervals=config.widths,
    )
    return Backtest(
        numbers=judgement.table[NAME],
        panel=panel,
        origins=origins,
        predicted=found,
        truth=truth,
        judgement=judgement,
        levels=config.levels,
    )


def without_coverage(found: Backtest) -> Backtest:
    """The same, but how often the model's intervals held is not known."""
    table = dict(found.judgement.table)
    table[NAME] = {
        name: math.nan if name.startswith("coverage") else value
        for name, value in table[NAME].items()
    }
    return replace(found, numbers=table[NAME], judgement=replace(found.judgement, table=table))
