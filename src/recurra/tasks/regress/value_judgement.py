"""Errors of a regressor on items, with intervals, and the items with the greatest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recurra.metrics.regression import RegressionScores, regression_scores, rmse_interval
from recurra.reports import Section, TextTable
from recurra.tasks.inputs.collection import Part, groups_of
from recurra.tasks.regress.estimate import Estimate
from recurra.tasks.regress.targets import actual_numbers
from recurra.tasks.task import Evaluation

__all__ = ["ValueJudgement", "judged"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
_WORST = 10
_STRETCHES = 20
"""Parts of a single series that its interval is drawn from."""


@dataclass(frozen=True, eq=False)
class ValueJudgement(Evaluation):
    """An evaluation with what the report draws: actual and predicted numbers of each item, (1, K)
    or (T, K) of its steps, and the items with the greatest errors.
    """

    actual: Sequence[Floats] = field(default=(), repr=False)
    predicted: Sequence[Floats] = field(default=(), repr=False)
    worst: Sequence[int] = field(default=(), repr=False)


def judged(product: Estimate, part: Part, groups: str | None = None) -> ValueJudgement:
    """Predict every item and compare with its numbers.

    `groups` names a column: whole groups are drawn for the interval.
    """
    predicted, actual = product.predicted(part.contents), actual_numbers(part)
    owners = np.repeat(np.arange(len(part)), [len(each) for each in actual])
    rows, known = np.concatenate(predicted), np.concatenate(actual)
    seen = np.isfinite(known).all(1)
    rows, known, owners = rows[seen], known[seen], owners[seen]
    scores = regression_scores(rows, known)
    drawn = _drawn(part, owners, groups)
    ends = rmse_interval(rows, known, np.random.default_rng(0), groups=drawn)
    numbers = {name: float(value) for name, value in scores.overall._asdict().items()}
    if ends is not None:
        numbers |= {"rmse_low": ends[0], "rmse_high": ends[1]}
    if product.intervals:
        low, high = product.bounds(rows)
        inside = (low <= known) & (known <= high)
        numbers |= {"coverage": float(inside.mean()), "width": float((high - low).mean())}
    numbers["items"] = len(part)
    if product.of_steps:
        numbers["steps"] = len(known)
    errors = ((rows - known) / product.targets.deviations) ** 2
    own = np.bincount(owners, errors.max(1), len(part)) / np.bincount(owners, minlength=len(part))
    worst = np.argsort(-own, kind="stable")[:_WORST].tolist()
    remarks = [f"Left out: {part.bad}"] if len(part.bad) else []
    sections = [Section("Errors", _table(numbers, product.config.level))]
    if len(product.targets) > 1:
        sections.append(Section("Errors of each number", _each(scores)))
    return ValueJudgement(numbers, sections, remarks, actual, predicted, worst)


def _drawn(part: Part, owners: Any, groups: str | None) -> list[Any] | None:
    """What is drawn as a whole for the interval, for each row: a group of the column, a series;
    of one alone its stretches, since neighbouring steps depend on one another.
    """
    if names := groups_of(part.items, groups):
        return [names[owner] for owner in owners]
    if len(part) > 1:
        return None if len(owners) == len(part) else owners.tolist()
    return (np.arange(len(owners)) * _STRETCHES // max(1, len(owners))).tolist()


_CALLED = {
    "rmse": "root mean squared error",
    "mae": "mean absolute error",
    "mape": "mean absolute error by the actual value",
    "r2": "share of the variance explained (R²)",
    "coverage": "actual values inside their interval",
    "width": "mean width of the intervals",
}
_SHARES = {"mape", "r2", "coverage"}


def _table(numbers: dict[str, float], level: float) -> TextTable:
    rows = []
    for name, called in _CALLED.items():
        if name not in numbers:
            continue
        shown = shown_as(name, numbers[name])
        if name == "rmse" and "rmse_low" in numbers:
            shown += f" ({numbers['rmse_low']:.4g} to {numbers['rmse_high']:.4g})"
        if name == "coverage":
            shown += f" (wanted {100 * level:g} %)"
        rows.append([called, shown])
    return TextTable(("figure", "value"), rows)


def _each(scores: RegressionScores) -> TextTable:
    rows = [
        [str(number), *(shown_as(name, value) for name, value in score._asdict().items())]
        for number, score in enumerate(scores.targets, start=1)
    ]
    return TextTable(("number", "R²", "RMSE", "MAE", "MAPE"), rows)


def shown_as(name: str, value: float) -> str:
    """A figure in words.

    >>> shown_as("r2", 0.5), shown_as("rmse", 12.34567)
    ('50.0 %', '12.35')
    """
    if math.isnan(value):
        return "undefined"
    return f"{100 * value:.1f} %" if name in _SHARES else f"{value:.4g}"
