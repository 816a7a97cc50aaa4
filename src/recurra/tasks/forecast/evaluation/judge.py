"""Forecasts judged beside the baselines, each metric as its field defines it: table and verdict."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np

from recurra.errors import ConfigError, DataError
from recurra.tasks.forecast.evaluation.baselines import (
    BASELINES,
    MEANINGS,
    baseline_outlook,
    normal_quantiles,
)
from recurra.tasks.forecast.evaluation.scores import (
    Forecasts,
    IntervalLevels,
    Mask,
    Matrix,
    Scores,
    ScoreScales,
    is_intermittent,
    score_windows,
    seasonal_scales,
    series_means,
    squared_scales,
)
from recurra.tasks.forecast.statistics.lag_regression import can_regress

__all__ = [
    "Forecasts",
    "Judgement",
    "baseline_forecasts",
    "interval_bounds",
    "judge",
]

_DIGITS = 6
"""Digits that identify a level, as in the configuration."""


LOWER_IS_BETTER = ("MAE", "MSE", "RMSE", "sMAPE", "MASE", "RMSSE", "OWA", "CRPS", "sCRPS", "wQL")

_REASONS = {
    "actual": "All metrics leave out {} windows: their actual values are unknown.",
    "history": "All metrics leave out {} windows: no value is known before them.",
    "MASE": "MASE leaves out {} windows: their history is constant or no longer than a season.",
    "RMSSE": "RMSSE leaves out {} windows: their history is constant, or a single value.",
    "sCRPS": "sCRPS leaves out {} windows: their actual values are zero.",
}


@dataclass(frozen=True, eq=False)
class Judgement:
    """Forecasts of several models, measured on the same windows.

    `table` is model -> metric -> mean: over a series' windows first, then over the series, so that
    each series counts once (M4's way); NaN where the metric is undefined on every window. MAE,
    RMSE and CRPS are in the series' unit, sMAPE per cent from 0 to 200, coverages shares of 1.
    Two metrics are ratios of sums or means over all windows instead: wQL, twice the pinball losses
    over the sum of the absolute actual values, bias, the sum of the errors over the same, above
    zero where forecasts are too high, and OWA, the mean of sMAPE and MASE each over
    Naive2's. `windows` is model -> metric -> (W,), NaN where a window was left out; `left_out`
    counts those by reason; `series` (W,) names the series of each. Where most series are
    `intermittent`, errors are judged by RMSSE, which the mean minimises: the median of such a
    series, by which MASE is least, is often nothing at all.
    """

    table: Mapping[str, Mapping[str, float]]
    windows: Mapping[str, Mapping[str, Matrix]]
    series: Sequence[Hashable]
    left_out: Mapping[str, int]
    intermittent: bool = False

    @property
    def by_series(self) -> dict[str, Matrix]:
        """MASE of each window (W,) by model; MAE where MASE is undefined on every window."""
        metric = self.deciding()
        return {name: scores[metric] for name, scores in self.windows.items()}

    def ranked(self, name: str, metric: str = "") -> list[tuple[Hashable, float]]:
        """Each series and the model's mean on its windows, worst first, without undefined ones."""
        metric = metric or self.deciding()
        self._check(name, metric)
        keys, means = series_means(self.windows[name][metric], self.series)
        order = np.argsort(-means, kind="stable")
        return [(keys[at], float(means[at])) for at in order if not math.isnan(means[at])]

    def deciding(self) -> str:
        """The default metric: MASE, or RMSSE for intermittent series; MAE where it is undefined."""
        metric = "RMSSE" if self.intermittent else "MASE"
        defined = any(not math.isnan(row.get(metric, math.nan)) for row in self.table.values())
        return metric if defined else "MAE"

    @property
    def has_baselines(self) -> bool:
        """True where a baseline was judged, so that there is a verdict."""
        return any(name in BASELINES for name in self.table)

    def best_baseline(self, metric: str = "", *, besides: str = "") -> str:
        """The baseline with the lowest metric; DataError where none was judged by it."""
        metric = metric or self.deciding()
        judged = {
            name: row[metric]
            for name, row in self.table.items()
            if name in BASELINES and name != besides and not math.isnan(row.get(metric, math.nan))
        }
        if not judged:
            raise DataError(
                f"No baseline was judged by {metric}; give judge() the forecasts of one of "
                f"{', '.join(BASELINES)}."
            )
        return min(judged, key=lambda name: judged[name])

    def verdict(self, name: str, metric: str = "") -> str:
        """A sentence on the model's gain over the best baseline, or its lack.

        Without a metric, a second sentence where MASE and CRPS disagree.
        """
        if metric:
            return self._sentence(name, metric)
        sentence, won = self._sentence(name, self.deciding()), self._wins(name, self.deciding())
        if math.isnan(self.table[name].get("CRPS", math.nan)) or self._wins(name, "CRPS") == won:
            return sentence
        best = self.best_baseline("CRPS", besides=name)
        figures = f"CRPS {self.table[name]['CRPS']:.4g} against {self.table[best]['CRPS']:.4g}"
        how = "As distributions its forecasts are"
        if won:
            return f"{sentence} {how} no better than those of {best}: {figures}."
        return f"{sentence} {how} better than those of {best}, the best: {figures}."

    def _wins(self, name: str, metric: str) -> bool:
        best = self.best_baseline(metric, besides=name)
        return self.table[name][metric] < self.table[best][metric]

    def _sentence(self, name: str, metric: str) -> str:
        self._check(name, metric)
        best = self.best_baseline(metric, besides=name)
        ours, theirs = self.table[name][metric], self.table[best][metric]
        figures = f"{metric} {ours:.4g} against {theirs:.4g}"
        if not ours < theirs:
            return (
                f"{name}'s forecasts are no better than {MEANINGS[best]} ({best}): {figures}; use "
                "that instead, or train longer, on more data or with other covariates."
            )
        gain = f"{100 * (1 - ours / theirs):.1f} %"
        return f"{name} beats the best baseline, {best} ({MEANINGS[best]}), by {gain}: {figures}."

    def notes(self) -> list[str]:
        """A sentence for each reason to leave windows out, those of the metrics that decide."""
        total, idle = len(self.series), "MASE" if self.intermittent else "RMSSE"
        return [
            _REASONS[reason].format(f"{count} of {total}")
            for reason, count in self.left_out.items()
            if count and reason != idle
        ]

    def to_json(self) -> dict[str, Any]:
        """The table, and counts of windows, series and windows left out; null for undefined."""
        return {
            "windows": len(self.series),
            "series": len(set(self.series)),
            "left_out": dict(self.left_out),
            "table": {
                name: {metric: None if math.isnan(x) else x for metric, x in row.items()}
                for name, row in self.table.items()
            },
        }

    def _check(self, name: str, metric: str) -> None:
        if name not in self.table:
            raise ConfigError(f"{name!r} was not judged; choose from {', '.join(self.table)}.")
        if metric not in LOWER_IS_BETTER or math.isnan(self.table[name].get(metric, math.nan)):
            raise ConfigError(
                f"{name} can't be ranked by {metric!r}; choose one of {', '.join(LOWER_IS_BETTER)} "
                "that its forecasts and this data define."
            )


def baseline_forecasts(
    histories: Sequence[Matrix], season: int, horizon: int, levels: Sequence[float] = ()
) -> list[Forecasts]:
    """The baselines' forecasts after each history (n,), with quantiles at the levels, if any.

    Croston's and ADIDA's where a history is intermittent, the regression's where one is long
    enough; all others always.

    >>> [f.name for f in baseline_forecasts([np.array([1.0, 2.0])], season=1, horizon=3)]
    ['Naive', 'SeasonalNaive', 'Naive2', 'SES', 'SeasonalNaiveDrift', 'Theta', 'ETS']
    """
    forecasts = []
    for name in _applicable(histories, season):
        outlook = baseline_outlook(histories, name, season, horizon)
        quantiles = normal_quantiles(outlook, levels) if levels else None
        forecasts.append(Forecasts(name, outlook.point, quantiles, tuple(levels)))
    return forecasts


def _applicable(histories: Sequence[Matrix], season: int) -> list[str]:
    """The names of the baselines that are meant for histories like one of these."""
    tests = {
        "LagRegression": lambda history: can_regress(history, season),
        "Croston": is_intermittent,
        "ADIDA": is_intermittent,
    }
    return [n for n in BASELINES if n not in tests or any(map(tests[n], histories))]


def judge(
    actual: Matrix,
    forecasts: Sequence[Forecasts],
    *,
    histories: Sequence[Matrix],
    season: int,
    series: Sequence[Hashable],
    intervals: Sequence[float] = (80, 95),
) -> Judgement:
    """Score forecasts of W windows against the actual values (W, H), NaN where unknown.

    `histories` (W of them) are the values known at each window's origin: MASE is scaled by their
    mean absolute change over a `season`. `series` (W,) names the series of each window. `intervals`
    are central, in per cent: that of 80 lies between the quantiles 0.1 and 0.9. OWA needs forecasts
    named Naive2. Windows without actual values or without history are left out and counted, as are
    those for which a metric is undefined; 0/0 in sMAPE counts as 0, as in utilsforecast. CRPS is
    twice the mean pinball loss over the levels, so models are compared on the same ones.
    Raises DataError where shapes differ or a forecast is not finite, ConfigError where levels
    differ or an interval's are missing, MissingExtra without utilsforecast.

        >>> actual, history = np.array([[3.0, 4.0]]), np.array([1.0, 3.0, 2.0])
        >>> judgement = judge(actual, baseline_forecasts([history], 1, 2), histories=[history],
        ...                   season=1, series=["a"])
        >>> judgement.table["Naive"]["MAE"], judgement.table["Naive"]["MASE"]
        (1.5, 1.0)
    """
    if season < 1:
        raise ConfigError(f"season = {season}; it is 1 or more steps, and 1 where there is none.")
    actual = np.asarray(actual, dtype=np.float64)
    histories = [np.asarray(history, dtype=np.float64) for history in histories]
    _check_windows(actual, forecasts, histories, series)
    levels = _common_levels(forecasts)
    bounds = IntervalLevels(levels, interval_bounds(levels, intervals))
    judged, left_out = _judged_windows(actual, histories)
    _check_finite(~np.isnan(actual) & judged[:, None], forecasts)
    kept = list(compress(histories, judged))
    seasonal, squared = seasonal_scales(kept, season), squared_scales(kept)
    scales = ScoreScales(actual[judged], seasonal, squared, list(compress(series, judged)))
    # Quantiles can be gigabytes: no copy of them where no window is left out.
    models = list(forecasts) if judged.all() else [model.at(judged) for model in forecasts]
    scores = score_windows(actual[judged], models, bounds)
    completed = {
        model.name: scales.completed(own) for model, own in zip(forecasts, scores, strict=True)
    }
    return Judgement(
        table=scales.table(completed, {model.name: model.point for model in models}),
        windows={name: _all_windows(own, judged) for name, own in completed.items()},
        series=tuple(series),
        left_out=left_out | scales.undefined(probabilistic=bool(levels)),
        intermittent=2 * sum(map(is_intermittent, kept)) > len(kept),
    )


def _judged_windows(actual: Matrix, histories: Sequence[Matrix]) -> tuple[Mask, dict[str, int]]:
    """The windows (W,) that can be judged, and the number of the others by reason; DataError where
    none can.
    """
    unknown = np.isnan(actual).all(1)
    unstarted = np.array([bool(np.isnan(history).all()) for history in histories]) & ~unknown
    if (unknown | unstarted).all():
        raise DataError(
            f"None of the {len(actual)} windows has known values both before and after its origin; "
            "hold out steps that are known."
        )
    left_out = {"actual": int(unknown.sum()), "history": int(unstarted.sum())}
    return ~(unknown | unstarted), left_out


def _all_windows(scores: Scores, judged: Mask) -> Scores:
    """Each metric (W,) of all windows: NaN for those that were left out."""
    placed = {metric: np.full(len(judged), np.nan) for metric in scores}
    for metric, values in scores.items():
        placed[metric][judged] = values
    return placed


def _check_windows(
    actual: Matrix,
    forecasts: Sequence[Forecasts],
    histories: Sequence[Matrix],
    series: Sequence[Hashable],
) -> None:
    """DataError where windows, steps or quantiles differ in number, or values are infinite."""
    if actual.ndim != 2 or not actual.size:
        raise DataError(
            f"The actual values have the shape {actual.shape}; (windows, steps) is needed."
        )
    if not len(actual) == len(histories) == len(series):
        raise DataError(
            f"{len(actual)} windows of actual values come with {len(histories)} histories and "
            f"{len(series)} names of series; give one of each for every window."
        )
    if np.isinf(actual).any():
        window, step = np.argwhere(np.isinf(actual))[0]
        raise DataError(
            f"The actual value of {series[window]!r} is infinite {step + 1} steps after the origin "
            f"of window {window}; give a number, or NaN where it is unknown."
        )
    for model in forecasts:
        _check_shapes(actual, model)


def _check_shapes(actual: Matrix, model: Forecasts) -> None:
    wanted = (*actual.shape, len(model.levels))
    shapes = [(model.point.shape, wanted[:2])]
    if model.quantiles is not None:
        shapes.append((model.quantiles.shape, wanted))
    for shape, needed in shapes:
        if shape != needed:
            raise DataError(
                f"{model.name}'s forecasts have the shape {shape}; the actual values and the "
                f"levels need {needed}."
            )


def _check_finite(wanted: Mask, forecasts: Sequence[Forecasts]) -> None:
    """DataError where a forecast of a wanted step (W, H) is NaN or infinite."""
    for model in forecasts:
        bad = wanted & ~np.isfinite(model.point)
        if model.quantiles is not None:
            bad |= wanted & ~np.isfinite(model.quantiles).all(2)
        if bad.any():
            window, step = np.argwhere(bad)[0]
            raise DataError(
                f"{model.name}'s forecast for step {step + 1} of window {window} is not finite; "
                "leave the window out, or fix the model, before judging."
            )


def _common_levels(forecasts: Sequence[Forecasts]) -> tuple[float, ...]:
    """The levels of all forecasts that have quantiles, () where none has.

    ConfigError where they differ, don't ascend between 0 and 1, or a name comes twice.
    """
    names = [model.name for model in forecasts]
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"The forecasts are named {names}; give at least one, each its own name.")
    probabilistic = [model for model in forecasts if model.quantiles is not None]
    for model in probabilistic:
        levels = model.levels
        inside = all(0 < level < 1 for level in levels)
        if not levels or not inside or list(levels) != sorted(set(levels)):
            raise ConfigError(
                f"{model.name}'s levels are {levels}; they must ascend between 0 and 1."
            )
        if levels != probabilistic[0].levels:
            raise ConfigError(
                f"{model.name} has the levels {levels} and {probabilistic[0].name} has "
                f"{probabilistic[0].levels}; models are compared on the same ones."
            )
    return probabilistic[0].levels if probabilistic else ()


def interval_bounds(
    levels: Sequence[float], intervals: Sequence[float]
) -> dict[float, tuple[int, int]]:
    """The indices of the quantiles that each interval lies between; none without quantiles."""
    bounds = {}
    for percent in intervals if levels else ():
        tails = tuple(round(0.5 + sign * percent / 200, _DIGITS) for sign in (-1, 1))
        ends = [i for i, level in enumerate(levels) if round(level, _DIGITS) in tails]
        if len(ends) != 2:
            raise ConfigError(
                f"The interval of {percent:g} % needs the levels {tails[0]:g} and {tails[1]:g}; "
                f"the forecasts have {levels}: add them, or ask for other intervals."
            )
        bounds[percent] = (ends[0], ends[1])
    return bounds
