"""What came out of judging forecasts: the table, the best and worst series, the verdict."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.errors import ConfigError, DataError
from recurra.tasks.forecast.evaluation.baselines import BASELINES, MEANINGS
from recurra.tasks.forecast.evaluation.scores import Matrix

__all__ = ["Judgement", "series_means"]

LOWER_IS_BETTER = ("MAE", "MSE", "RMSE", "sMAPE", "MASE", "OWA", "CRPS", "sCRPS", "wQL")

_REASONS = {
    "truth": "All metrics leave out {} windows: their truth is unknown.",
    "history": "All metrics leave out {} windows: no value is known before them.",
    "MASE": "MASE leaves out {} windows: their history is constant or no longer than a season.",
    "sCRPS": "sCRPS leaves out {} windows: their truth is zero.",
}


@dataclass(frozen=True, eq=False)
class Judgement:
    """Forecasts of several models, measured on the same windows.

    `table` is model -> metric -> mean: over a series' windows first, then over the series, so that
    each series counts once (M4's way); NaN where the metric is undefined on every window. MAE,
    RMSE and CRPS are in the series' unit, sMAPE per cent from 0 to 200, coverages shares of 1.
    Two metrics are ratios of sums or means over all windows instead: wQL, twice the pinball losses
    over the sum of the absolute truth, and OWA, the mean of sMAPE and MASE each over Naive2's.
    `windows` is model -> metric -> (W,), NaN where a window was left out; `left_out` says how many
    were, by reason; `series` (W,) is which series each is of.
    """

    table: Mapping[str, Mapping[str, float]]
    windows: Mapping[str, Mapping[str, Matrix]]
    series: Sequence[Hashable]
    left_out: Mapping[str, int]

    @property
    def by_series(self) -> dict[str, Matrix]:
        """MASE of each window (W,) by model; MAE where MASE is undefined on every window."""
        metric = self.deciding()
        return {name: found[metric] for name, found in self.windows.items()}

    def ranked(self, name: str, metric: str = "") -> list[tuple[Hashable, float]]:
        """Each series and the model's mean on its windows, the worst first; unmeasured ones not."""
        metric = metric or self.deciding()
        self._check(name, metric)
        keys, means = series_means(self.windows[name][metric], self.series)
        order = np.argsort(-means, kind="stable")
        return [(keys[at], float(means[at])) for at in order if not math.isnan(means[at])]

    def deciding(self) -> str:
        """The metric that decides where none is asked for: MASE, or MAE where it is undefined."""
        defined = any(not math.isnan(row["MASE"]) for row in self.table.values())
        return "MASE" if defined else "MAE"

    def best_baseline(self, metric: str = "", *, besides: str = "") -> str:
        """The baseline with the least of the metric; DataError where none was judged by it."""
        metric = metric or self.deciding()
        found = {
            name: row[metric]
            for name, row in self.table.items()
            if name in BASELINES and name != besides and not math.isnan(row.get(metric, math.nan))
        }
        if not found:
            raise DataError(
                f"No baseline was judged by {metric}; give judge() the forecasts of one of "
                f"{', '.join(BASELINES)}."
            )
        return min(found, key=lambda name: found[name])

    def verdict(self, name: str, metric: str = "") -> str:
        """A sentence: by how much the model beats the best baseline, or that it does not.

        Where no metric is asked for, a further one if it loses by CRPS what it wins by MASE, or the
        other way round.
        """
        if metric:
            return self._sentence(name, metric)
        told, won = self._sentence(name, self.deciding()), self._wins(name, self.deciding())
        if math.isnan(self.table[name].get("CRPS", math.nan)) or self._wins(name, "CRPS") == won:
            return told
        best = self.best_baseline("CRPS", besides=name)
        figures = f"CRPS {self.table[name]['CRPS']:.4g} against {self.table[best]['CRPS']:.4g}"
        how = "As distributions its forecasts are"
        if won:
            return f"{told} {how} no better than those of {best}: {figures}."
        return f"{told} {how} better than those of {best}, the best: {figures}."

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
        """A sentence for each reason for which windows were left out."""
        total = len(self.series)
        return [
            _REASONS[reason].format(f"{count} of {total}")
            for reason, count in self.left_out.items()
            if count
        ]

    def to_json(self) -> dict[str, Any]:
        """The table, what was left out and the count of windows and series; null for undefined."""
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


def series_means(values: Matrix, series: Sequence[Hashable]) -> tuple[list[Hashable], Matrix]:
    """The series in order of appearance, and the mean of each one's windows (W,) that aren't NaN.

    A series without such a window has NaN.
    """
    numbers: dict[Hashable, int] = {}
    codes = np.array([numbers.setdefault(one, len(numbers)) for one in series])
    there = ~np.isnan(values)
    sums = np.bincount(codes[there], weights=values[there], minlength=len(numbers))
    counts = np.bincount(codes[there], minlength=len(numbers))
    means = np.full(len(numbers), np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return list(numbers), means
