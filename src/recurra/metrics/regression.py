"""Figures of regressions by target and in all, with the interval of the error."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from recurra.errors import DataError
from recurra.metrics.bootstrap import bootstrap_interval
from recurra.metrics.class_score import mean_of_defined
from recurra.metrics.classified_items import Given, item_weights

__all__ = ["RegressionScores", "TargetScore", "regression_scores", "rmse_interval"]

Floats = np.ndarray[Any, np.dtype[np.float64]]


class TargetScore(NamedTuple):
    """Of one target, or of all: the share of variance explained, and errors.

    r2: NaN where all actual values are the same. rmse and mae are in units of the target.
    mape: the mean of absolute errors by the absolute actual value, a share; NaN where one is 0.
    """

    r2: float
    rmse: float
    mae: float
    mape: float


@dataclass(frozen=True)
class RegressionScores:
    """Figures of each target, and of all.

    overall: RMSE and MAE of all values together; R2 and MAPE are means over the targets of which
        they are defined.
    """

    overall: TargetScore
    targets: tuple[TargetScore, ...]


def regression_scores(
    predicted: Given, actual: Given, *, weights: Given | None = None
) -> RegressionScores:
    """Compare predictions (N,) or (N, D) of D targets with the actual values.

    weights: one number an item, 0 or more; only their ratios count. DataError where shapes differ,
    or a value isn't finite.

    >>> overall = regression_scores([1.0, 2.0, 5.0], [1.0, 2.0, 4.0]).overall
    >>> [round(figure, 3) for figure in overall]
    [0.786, 0.577, 0.333, 0.083]
    """
    values, known = _checked(predicted, actual)
    shares = item_weights(weights, len(known))
    shares = shares / shares.sum()
    targets = tuple(_score(*columns, shares) for columns in zip(values.T, known.T, strict=True))
    return RegressionScores(_overall(targets), targets)


def rmse_interval(
    predicted: Given,
    actual: Given,
    generator: np.random.Generator,
    *,
    weights: Given | None = None,
    level: float = 0.95,
    draws: int = 1000,
    groups: Sequence[Hashable] | None = None,
) -> tuple[float, float] | None:
    """The bootstrap interval of the RMSE of all values; give one column for that of a target.

    Groups and None are as in `bootstrap_interval`; items of weight 0 are not drawn. ConfigError and
    DataError as there and in `regression_scores`.

    >>> generator = np.random.default_rng(0)
    >>> low, high = rmse_interval(generator.normal(size=400), np.zeros(400), generator)
    >>> 0.9 < low < 1 < high < 1.1
    True
    """
    values, known = _checked(predicted, actual)
    each = item_weights(weights, len(known))
    if groups is not None and len(groups) != len(known):
        raise DataError(f"{len(groups):,} groups for {len(known):,} items; give one an item.")
    drawn = np.flatnonzero(each)
    squared = ((values - known) ** 2).mean(1) * each
    names = None if groups is None else [groups[int(place)] for place in drawn]
    ends = bootstrap_interval(
        squared[drawn], each[drawn], generator, level=level, draws=draws, groups=names
    )
    return None if ends is None else (float(np.sqrt(ends[0])), float(np.sqrt(ends[1])))


def _checked(predicted: Given, actual: Given) -> tuple[Floats, Floats]:
    """Both as (N, D)."""
    tables = np.asarray(predicted, np.float64), np.asarray(actual, np.float64)
    shape = tables[0].shape
    if shape != tables[1].shape or len(shape) not in (1, 2) or not tables[0].size:
        raise DataError(
            f"predicted {shape} and actual {tables[1].shape}; give both as (N,), or as (N, D) of D "
            "targets."
        )
    for name, table in zip(("predicted", "actual"), tables, strict=True):
        if not np.isfinite(table).all():
            item = int(np.argwhere(~np.isfinite(table))[0][0])
            raise DataError(f"The {name} value of item {item} is not finite; leave the item out.")
    values, known = (table.reshape(len(table), -1) for table in tables)
    return values, known


def _score(predicted: Floats, actual: Floats, shares: Floats) -> TargetScore:
    counted = shares > 0
    predicted, actual, shares = predicted[counted], actual[counted], shares[counted]
    errors = predicted - actual
    squared = float(shares @ errors**2)
    spread = float(shares @ (actual - shares @ actual) ** 2)
    return TargetScore(
        r2=1 - squared / spread if np.ptp(actual) and spread else float("nan"),
        rmse=squared**0.5,
        mae=float(shares @ np.abs(errors)),
        mape=float(shares @ np.abs(errors / actual)) if actual.all() else float("nan"),
    )


def _overall(targets: Sequence[TargetScore]) -> TargetScore:
    return TargetScore(
        r2=mean_of_defined([one.r2 for one in targets]),
        rmse=float(np.mean([one.rmse**2 for one in targets])) ** 0.5,
        mae=float(np.mean([one.mae for one in targets])),
        mape=mean_of_defined([one.mape for one in targets]),
    )
