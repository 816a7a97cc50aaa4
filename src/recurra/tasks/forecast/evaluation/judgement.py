"""The judgement of forecasts: the table, the best and worst series, the verdict."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.errors import ConfigError, DataError
from recurra.tasks.forecast.evaluation.baselines import BASELINES, MEANINGS
from recurra.tasks.forecast.evaluation.scores import Matrix, series_means

__all__ = ["Judgement"]

LOWER_IS_BETTER = ("MAE", "MSE", "RMSE", "sMAPE", "MASE", "OWA", "CRPS", "sCRPS", "wQL")

_REASONS = {
    "actual": "All metrics leave out {} windows: their actual values are unknown.",
    "history": "All metrics leave out {} windows: no value is known before them.",
    "MASE": "MASE leaves out {} windows: their history is constant or no longer than a season.",
    "sCRPS": "sCRPS leaves out {} windows: their actual values are zero.",
}


@dataclass(frozen=True, eq=False)
class Judgement:
    """Forecasts of several models, measured on the same windows.

    `table` is model -> metric -> mean: over a series' windows first, then over the series, so that
    each series counts once (M4's way); NaN where the metric is undefined on every window. MAE,
    RMSE and CRPS are in the series' unit, sMAPE per cent from 0 to 200, coverages shares of 1.
    Two metrics are ratios of sums or means over all windows instead: wQL, twice the pinball losses
    over the sum of the absolute actual values, and OWA, the mean of sMAPE and MASE each over
    Naive2's. `windows` is model -> metric -> (W,), NaN where a window was left out; `left_out`
    counts those by reason; `series` (W,) names the series of each.
    """

    table: Mapping[str, Mapping[str, float]]
    windows: Mapping[str, Mapping[str, Matrix]]
    series: Sequence[Hashable]
    left_out: Mapping[str, int]

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
        """The default metric: MASE, or MAE where it is undefined."""
        defined = any(not math.isnan(row["MASE"]) for row in self.table.values())
        return "MASE" if defined else "MAE"

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
        """A sentence for each reason to leave windows out."""
        total = len(self.series)
        return [
            _REASONS[reason].format(f"{count} of {total}")
            for reason, count in self.left_out.items()
            if count
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
