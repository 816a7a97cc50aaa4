"""What scores are measured against, and their means as the field takes them.

utilsforecast has MASE and the scaled CRPS too. The one wants a frame of every window's history,
which rolling origins can't afford, and the other computes all quantile losses once more: here both
are the scores at hand over their scales.
"""

import math
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from recurra.tasks.forecast.evaluation.judgement import series_means
from recurra.tasks.forecast.evaluation.scores import POINT, Matrix, Scores

__all__ = ["Ground", "seasonal_scales"]


class Ground:
    """The truth (W, H) that scores are of, the scale of MASE (W,) and the windows' series (W,)."""

    def __init__(self, truth: Matrix, scale: Matrix, series: Sequence[Hashable]) -> None:
        self._scale = np.where(scale > 0, scale, np.nan)
        sizes = np.nansum(np.abs(truth), axis=1)
        self._sizes = np.where(sizes > 0, sizes, np.nan)
        self._counts = (~np.isnan(truth)).sum(1)
        self._series = series

    def completed(self, row: Scores) -> Scores:
        """The scores with MASE after the other point metrics, and NaN for what is undefined."""
        point = {metric: row[metric] for metric in POINT}
        quantile = {metric: row[metric] for metric in row if metric not in POINT}
        if quantile:
            quantile = {"CRPS": row["CRPS"], "sCRPS": self._total(row) / self._sizes} | quantile
        return {**point, "MASE": row["MAE"] / self._scale, **quantile}

    def undefined(self, *, probabilistic: bool) -> dict[str, int]:
        """On how many windows a metric is undefined."""
        counts = {"MASE": int(np.isnan(self._scale).sum())}
        return counts | ({"sCRPS": int(np.isnan(self._sizes).sum())} if probabilistic else {})

    def table(self, rows: Mapping[str, Scores]) -> dict[str, dict[str, float]]:
        """The means of every model's scores, OWA too where Naive2 is one of them."""
        table = {name: self._means(row) for name, row in rows.items()}
        if "Naive2" in table:
            reference = dict(table["Naive2"])
            for row in table.values():
                ratios = [_ratio(row[metric], reference[metric]) for metric in ("sMAPE", "MASE")]
                row["OWA"] = sum(ratios) / 2
        return table

    def _means(self, row: Scores) -> dict[str, float]:
        means = {metric: _mean(series_means(row[metric], self._series)[1]) for metric in row}
        if "CRPS" in row:
            means["wQL"] = _ratio(float(self._total(row).sum()), float(np.nansum(self._sizes)))
        return means

    def _total(self, row: Scores) -> Matrix:
        total: Matrix = row["CRPS"] * self._counts
        return total


def _mean(values: Matrix) -> float:
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else math.nan


def _ratio(value: float, reference: float) -> float:
    return value / reference if reference > 0 else math.nan


def seasonal_scales(histories: Sequence[Matrix], season: int) -> Matrix:
    """The scale of MASE (W,): the mean absolute change over a season of each history (n,).

    NaN where no such change is known.
    """
    scales = np.full(len(histories), np.nan)
    for number, history in enumerate(histories):
        changes = np.abs(history[season:] - history[:-season])
        known = ~np.isnan(changes)
        if known.any():
            scales[number] = changes[known].mean()
    return scales
