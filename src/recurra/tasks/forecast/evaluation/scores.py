"""Scores of every window by utilsforecast, their scales, and their means as the field takes them.

utilsforecast has MASE and the scaled CRPS too. The one wants a frame of every window's history,
which rolling origins can't afford, and the other computes all quantile losses once more: here both
are scores at hand over their scales.
"""

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from recurra.data.tables.table import load_pandas
from recurra.errors import MissingExtra
from recurra.tasks.forecast.windows.traits import INTERMITTENT

__all__ = [
    "Forecasts",
    "IntervalLevels",
    "Mask",
    "Matrix",
    "ScoreScales",
    "Scores",
    "is_intermittent",
    "score_windows",
    "seasonal_scales",
    "series_means",
    "squared_scales",
]

Matrix = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Scores = dict[str, Matrix]

_POINT = ("MAE", "MSE", "RMSE", "sMAPE")

_FACTORS = {"sMAPE": 200.0, "CRPS": 2.0}
"""utilsforecast's sMAPE is a share of one, and its multi-quantile loss half of the CRPS."""
_ROUNDING = 1e-9
"""Changes of a smaller share of the values' size are rounding: 0.1 + 0.2 is no change from 0.3."""
_STEPS = 200_000
"""Steps scored at once: the frames stay small, whatever the horizon."""


@dataclass(frozen=True, eq=False)
class Forecasts:
    """A model's forecasts in W windows of H steps: point (W, H) and quantiles (W, H, Q).

    `levels` (Q,) are the quantiles' levels, between 0 and 1 and ascending.
    """

    name: str
    point: Matrix
    quantiles: Matrix | None = None
    levels: tuple[float, ...] = ()

    def at(self, windows: slice | Mask) -> "Forecasts":
        """The forecasts of these windows alone."""
        quantiles = None if self.quantiles is None else self.quantiles[windows]
        return Forecasts(self.name, self.point[windows], quantiles, self.levels)


class IntervalLevels(NamedTuple):
    """The levels (Q,) that models share, and the indices of each interval's two, by percent."""

    levels: Sequence[float]
    intervals: Mapping[float, tuple[int, int]]


def score_windows(
    actual: Matrix, models: Sequence[Forecasts], levels: IntervalLevels
) -> list[Scores]:
    """For each model each metric (W,), over the known steps of the actual values (W, H).

    Each window needs a known step. Units: MAE, RMSE and CRPS the series', sMAPE per cent from 0 to
    200, the rest none. MissingExtra without utilsforecast.
    """
    size = max(_STEPS // actual.shape[1], 1)
    parts = [
        _scored(actual[windows], [model.at(windows) for model in models], levels)
        for windows in _chunks(len(actual), size)
    ]
    return [
        {metric: np.concatenate([part[number][metric] for part in parts]) for metric in names}
        for number, names in enumerate(parts[0])
    ]


def _chunks(windows: int, size: int) -> Iterator[slice]:
    for start in range(0, windows, size):
        yield slice(start, start + size)


def _scored(actual: Matrix, models: Sequence[Forecasts], levels: IntervalLevels) -> list[Scores]:
    losses, names = _losses(), [f"m{number}" for number in range(len(models))]
    frame = _frame(actual, models, levels.intervals)
    tables = {
        "MAE": losses.mae(frame, names),
        "MSE": losses.mse(frame, names),
        "RMSE": losses.rmse(frame, names),
        "sMAPE": losses.smape(frame, names),
        **_quantile_tables(frame, names, levels),
    }
    return [
        {
            metric: _FACTORS.get(metric, 1.0) * _column(table, name)
            for metric, table in tables.items()
            if name in table.columns
        }
        for name in names
    ]


def _quantile_tables(frame: Any, names: Sequence[str], levels: IntervalLevels) -> dict[str, Any]:
    """The tables of those models that have quantiles."""
    own = [name for name in names if f"{name}-q0" in frame.columns]
    if not own:
        return {}
    losses, values = _losses(), np.array(levels.levels)
    columns = {name: [f"{name}-q{number}" for number in range(len(values))] for name in own}
    coverages = {
        f"coverage{percent:g}": losses.coverage(frame, own, f"{percent:g}")
        for percent in levels.intervals
    }
    return {"CRPS": losses.mqloss(frame, columns, values), **coverages}


def _column(table: Any, name: str) -> Matrix:
    column: Matrix = table.sort_values("unique_id")[name].to_numpy(dtype=np.float64)
    return column


def _frame(
    actual: Matrix, models: Sequence[Forecasts], intervals: Mapping[float, tuple[int, int]]
) -> Any:
    """A frame of the known steps in the form that utilsforecast takes; a window is a series."""
    seen = ~np.isnan(actual)
    columns: dict[str, Any] = {"unique_id": np.nonzero(seen)[0], "y": actual[seen]}
    for number, model in enumerate(models):
        columns[f"m{number}"] = model.point[seen].astype(np.float64)
        if model.quantiles is None:
            continue
        quantiles = model.quantiles[seen].T.astype(np.float64)
        columns |= {f"m{number}-q{index}": values for index, values in enumerate(quantiles)}
        for percent, (low, high) in intervals.items():
            columns[f"m{number}-lo-{percent:g}"] = quantiles[low]
            columns[f"m{number}-hi-{percent:g}"] = quantiles[high]
    return load_pandas("Scoring forecasts").DataFrame(columns)


def _losses() -> Any:
    """utilsforecast's metrics; MissingExtra where it is not installed."""
    try:
        from utilsforecast import losses
    except ImportError as error:
        raise MissingExtra("utilsforecast", "forecast", "Scoring forecasts") from error
    return losses


class ScoreScales:
    """Scales of scores: of MASE (W,), and the sizes of the actual values (W, H) for sCRPS; and
    means over the windows' series (W,).
    """

    def __init__(
        self, actual: Matrix, seasonal: Matrix, squared: Matrix, series: Sequence[Hashable]
    ) -> None:
        self._seasonal = np.where(seasonal > 0, seasonal, np.nan)
        self._squared = np.where(squared > 0, squared, np.nan)
        self._actual = actual
        sizes = np.nansum(np.abs(actual), axis=1)
        self._sizes = np.where(sizes > 0, sizes, np.nan)
        self._counts = (~np.isnan(actual)).sum(1)
        self._series = series

    def completed(self, scores: Scores) -> Scores:
        """The scores with MASE after the other point metrics, and sCRPS; NaN where undefined."""
        point = {metric: scores[metric] for metric in _POINT}
        quantile = {metric: scores[metric] for metric in scores if metric not in _POINT}
        if quantile:
            scaled = self._total_crps(scores) / self._sizes
            quantile = {"CRPS": scores["CRPS"], "sCRPS": scaled} | quantile
        relative = {
            "MASE": scores["MAE"] / self._seasonal,
            "RMSSE": scores["RMSE"] / np.sqrt(self._squared),
        }
        return {**point, **relative, **quantile}

    def undefined(self, *, probabilistic: bool) -> dict[str, int]:
        """The number of windows on which a metric is undefined, by metric."""
        counts = {
            "MASE": int(np.isnan(self._seasonal).sum()),
            "RMSSE": int(np.isnan(self._squared).sum()),
        }
        return counts | ({"sCRPS": int(np.isnan(self._sizes).sum())} if probabilistic else {})

    def table(
        self, models: Mapping[str, Scores], points: Mapping[str, Matrix]
    ) -> dict[str, dict[str, float]]:
        """The means of every model's scores, with the bias of its points (W, H), and with OWA where
        Naive2 is one of the models.
        """
        table = {
            name: self._means(scores) | {"bias": self._bias(points[name])}
            for name, scores in models.items()
        }
        if "Naive2" in table:
            reference = dict(table["Naive2"])
            for row in table.values():
                ratios = [_ratio(row[metric], reference[metric]) for metric in ("sMAPE", "MASE")]
                row["OWA"] = sum(ratios) / 2
        return table

    def _means(self, scores: Scores) -> dict[str, float]:
        means = {metric: _mean(series_means(scores[metric], self._series)[1]) for metric in scores}
        if "CRPS" in scores:
            total = float(self._total_crps(scores).sum())
            means["wQL"] = _ratio(total, float(np.nansum(self._sizes)))
        return means

    def _bias(self, point: Matrix) -> float:
        """The sum of all errors over the sum of the sizes of all actual values."""
        return _ratio(float(np.nansum(point - self._actual)), float(np.nansum(self._sizes)))

    def _total_crps(self, scores: Scores) -> Matrix:
        total: Matrix = scores["CRPS"] * self._counts
        return total


def _mean(values: Matrix) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else math.nan


def _ratio(value: float, reference: float) -> float:
    return value / reference if reference > 0 else math.nan


def series_means(values: Matrix, series: Sequence[Hashable]) -> tuple[list[Hashable], Matrix]:
    """The series by first appearance, and the mean of each one's windows (W,) that aren't NaN.

    A series without such a window has NaN.
    """
    numbers: dict[Hashable, int] = {}
    codes = np.array([numbers.setdefault(one, len(numbers)) for one in series])
    defined = ~np.isnan(values)
    sums = np.bincount(codes[defined], weights=values[defined], minlength=len(numbers))
    counts = np.bincount(codes[defined], minlength=len(numbers))
    means = np.full(len(numbers), np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return list(numbers), means


def seasonal_scales(histories: Sequence[Matrix], season: int) -> Matrix:
    """The scale of MASE (W,): the mean absolute change over a season of each history (n,).

    NaN where no such change is known, 0 where there is none that is more than rounding.
    """
    return _scales(histories, season, 1)


def squared_scales(histories: Sequence[Matrix]) -> Matrix:
    """The scale of RMSSE (W,), squared: the mean squared change from step to step of each history
    (n,) from its first value that is not zero on (Makridakis, Spiliotis & Assimakopoulos 2022, "The
    M5 accuracy competition"). NaN where no such change is known, 0 where there is none.
    """
    begun = [history[np.argmax(np.nan_to_num(history) != 0) :] for history in histories]
    return _scales(begun, 1, 2)


def _scales(histories: Sequence[Matrix], lag: int, power: int) -> Matrix:
    scales = np.full(len(histories), np.nan)
    for number, history in enumerate(histories):
        changes = np.abs(history[lag:] - history[:-lag])
        defined = ~np.isnan(changes)
        if defined.any():
            size = float(np.nanmax(np.abs(history)))
            rounding = changes[defined].max() <= _ROUNDING * size
            scales[number] = 0.0 if rounding else (changes[defined] ** power).mean()
    return scales


def is_intermittent(history: Matrix) -> bool:
    """True for demand (n,) that is never below zero, and zero in a quarter of the steps or more.

    The bound is that of Syntetos, Boylan & Croston 2005: 1.32 steps from one demand to the next.

    >>> is_intermittent(np.array([0.0, 0.0, 3.0, 0.0])), is_intermittent(np.array([1.0, 2.0, 3.0]))
    (True, False)
    """
    known = history[np.isfinite(history)]
    if not len(known) or known.min() < 0 or not known.any():
        return False
    return bool((known == 0).mean() > INTERMITTENT)
