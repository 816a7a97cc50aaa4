"""Coverage and width of intervals by group of series and by step, beside those of a baseline."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.tasks.forecast.evaluation.scores import (
    Forecasts,
    IntervalLevels,
    Mask,
    Matrix,
    is_intermittent,
)

__all__ = ["IntervalRow", "groups_of", "interval_rows"]

_NEW = 0.5
"""A history of less than this share of the median one's steps is new."""

_GAPS = 0.1
"""The share of missing values from which on a history has gaps."""


@dataclass(frozen=True)
class IntervalRow:
    """Intervals of a model in one group of windows or at one step; `whole` of the windows are of
    whole numbers.

    `coverage`, `width` and `score` are by percent: the share of actual values inside, the mean
    width, and the mean interval score, both in units of the MASE scale. Whole numbers are counted
    as if each were spread evenly over the step about it, which is what randomised PIT expects
    (Czado, Gneiting & Held 2009, "Predictive model assessment for count data"): an interval of
    nothing but zeros covers none of them.
    """

    group: str
    model: str
    windows: int
    whole: int
    coverage: Mapping[float, float]
    width: Mapping[float, float]
    score: Mapping[float, float]

    def to_json(self) -> dict[str, Any]:
        """The row as JSON; null for undefined."""
        figures = {
            f"{name}{percent:g}": None if math.isnan(value) else value
            for name in ("coverage", "width", "score")
            for percent, value in getattr(self, name).items()
        }
        return {"group": self.group, "model": self.model, "windows": self.windows, **figures}


def groups_of(histories: Sequence[Matrix], lookback: int) -> dict[str, Mask]:
    """Masks (W,) of the groups of windows that there are, by the histories (n,) before them.

    A window may be in several. `lookback` is the number of steps that the model reads.
    """
    known = np.array([int(np.isfinite(history).sum()) for history in histories])
    steps = np.array([len(history) for history in histories])
    trailing = np.array([len(h) and bool(np.isnan(h[-1])) for h in histories])
    groups = {
        "constant": np.array([_is_constant(history) for history in histories]),
        "intermittent": np.array([is_intermittent(history) for history in histories]),
        "with gaps": trailing | (known < (1 - _GAPS) * steps),
        "new": steps < _NEW * np.median(steps),
        "short": steps < lookback,
    }
    rest = ~np.logical_or.reduce(list(groups.values()))
    found = {"regular, long": rest, **groups}
    return {name: mask for name, mask in found.items() if mask.any()}


def _is_constant(history: Matrix) -> bool:
    known = history[np.isfinite(history)]
    return bool(len(known) and known.min() == known.max())


def interval_rows(
    actual: Matrix,
    models: Sequence[Forecasts],
    levels: IntervalLevels,
    scales: Matrix,
    whole: Mask,
    groups: Mapping[str, Mask],
) -> list[IntervalRow]:
    """The rows of all windows, of each group, and of the first, the middle and the last step.

    `actual` is (W, H), `scales` (W,) those of MASE, `whole` (W,) the windows of whole numbers; the
    models' quantiles are those before rounding. Models without quantiles have no row.
    """
    every, horizon = np.ones(len(actual), bool), actual.shape[1]
    parts = {"all": (every, slice(None))}
    if len(groups) > 1:
        parts |= {name: (mask, slice(None)) for name, mask in groups.items()}
    steps = sorted({0, (horizon - 1) // 2, horizon - 1}) if horizon > 1 else []
    parts |= {f"step {step + 1}": (every, slice(step, step + 1)) for step in steps}
    rows = []
    for name, (mask, chosen) in parts.items():
        for model in models:
            if model.quantiles is None:
                continue
            figures = [
                _figures(
                    actual[mask, chosen],
                    model.quantiles[mask, chosen, low],
                    model.quantiles[mask, chosen, high],
                    scales[mask],
                    whole[mask],
                    1 - percent / 100,
                )
                for percent, (low, high) in levels.intervals.items()
            ]
            by_percent = [
                dict(zip(levels.intervals, values, strict=True))
                for values in zip(*figures, strict=True)
            ]
            if by_percent:
                rows.append(
                    IntervalRow(
                        name, model.name, int(mask.sum()), int(whole[mask].sum()), *by_percent
                    )
                )
    return rows


def _figures(
    actual: Matrix, low: Matrix, high: Matrix, scales: Matrix, whole: Mask, tails: float
) -> tuple[float, float, float]:
    """Coverage, scaled width and scaled interval score (Gneiting & Raftery 2007) of an interval."""
    half = np.where(whole, 0.5, 0.0)[:, None]
    overlap = np.minimum(high, actual + half) - np.maximum(low, actual - half)
    spread = np.clip(overlap, 0, 1)
    inside = np.where(half > 0, spread, (low <= actual) & (actual <= high))
    inside = np.where(np.isnan(actual), np.nan, inside)
    width = np.where(np.isnan(actual), np.nan, high - low) / scales[:, None]
    beyond = np.maximum(low - actual, 0) + np.maximum(actual - high, 0)
    score = width + 2 / tails * beyond / scales[:, None]
    return _mean(inside), _mean(width), _mean(score)


def _mean(values: Matrix) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan
