"""Intervals by the errors of held-out items (conformal prediction), and how many they need."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.errors import ConfigError, DataError

__all__ = ["ConformalInterval", "errors_needed", "rank_places"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Given = Sequence[float] | np.ndarray[Any, Any]


def rank_places(levels: Floats, count: float) -> Floats:
    """Places of quantiles among `count` sorted errors, from 0 (the least) to 1.

    The next error is one more than these, so a level is the rank level · (count + 1), which
    is held between the first and the last.

    >>> rank_places(np.array([0.25, 0.5, 0.99]), 7).round(3).tolist()
    [0.167, 0.5, 1.0]
    """
    places: Floats = (np.asarray(levels) * (count + 1) - 1) / max(count - 1, 1)
    return places.clip(0, 1)


def errors_needed(tail: float) -> int:
    """The number of errors with which a tail of that share can be estimated.

    The largest of n errors is exceeded by the next one once in n + 1 times, so a tail of a share s
    needs n of at least 1 / s - 1.

    >>> errors_needed(0.05), errors_needed(0.1)
    (19, 9)
    """
    return math.ceil(round(1 / tail - 1, 6))


@dataclass(frozen=True)
class ConformalInterval:
    """Intervals about predictions that hold the actual value with a probability of `level`.

    The half width is `quantile`, for a `normalised` one times the spread predicted for the item.
    The probability is that over held-out items and the next one, if they are exchangeable; it is
    no less than `level`, and at most 1 / (n + 1) more for continuous errors. J. Lei, M. G'Sell, A.
    Rinaldo, R. Tibshirani and L. Wasserman, "Distribution-free predictive inference for
    regression", JASA 2018. Fields are JSON values.

    >>> interval = ConformalInterval.fit([1, -2, 3, -4, 5, -6, 7, -8, 9], level=0.8)
    >>> interval.apply([10.0])
    (array([2.]), array([18.]))
    """

    quantile: float
    level: float
    normalised: bool = False

    def __post_init__(self) -> None:
        _check_level(self.level)
        if not (math.isfinite(self.quantile) and self.quantile >= 0):
            raise ConfigError(
                f"quantile = {self.quantile} of an interval; it is finite, and 0 or more."
            )

    @classmethod
    def fit(
        cls,
        residuals: Given,
        level: float,
        *,
        spreads: Given | None = None,
        groups: Sequence[Hashable] | np.ndarray[Any, Any] | None = None,
    ) -> "ConformalInterval":
        """Fit to the residuals (N,) of held-out items, actual minus predicted value.

        `spreads` (N,) are the errors expected of the items, each above 0, on any scale: intervals
        are normalised by them.

        `groups` (N,) are the series that the items are steps of: each series counts the same, and
        the probability is that of a step of a new one (R. Dunn, L. Wasserman and A. Ramdas,
        "Distribution-free prediction sets for two-layer hierarchical models", JASA 2023, pooling of
        distribution functions).

        ConfigError for a level that isn't between 0 and 1; DataError for fewer items, or groups,
        than the level needs, which `errors_needed(1 - level)` gives.
        """
        _check_level(level)
        errors = np.abs(np.asarray(residuals, dtype=np.float64))
        if errors.ndim != 1 or not np.isfinite(errors).all():
            raise DataError(f"residuals {errors.shape}; give finite numbers (N,), one an item.")
        codes = np.arange(len(errors)) if groups is None else _codes(groups, len(errors))
        units = len(np.unique(codes))
        if (need := errors_needed(1 - level)) > units:
            what = "items" if groups is None else "series"
            raise DataError(
                f"level = {level:g} needs {need:,} held-out {what} or more, and there are "
                f"{units:,}: hold out more, or lower the level."
            )
        if spreads is not None:
            errors = errors / _checked_spreads(spreads, errors)
        order = np.argsort(errors, kind="stable")
        weights = 1 / np.bincount(codes)[codes[order]]
        passed = np.searchsorted(weights.cumsum().round(6), round(level * (units + 1), 6))
        place = min(int(passed), len(errors) - 1)
        return cls(float(errors[order][place]), level, spreads is not None)

    def apply(self, predicted: Given, *, spreads: Given | None = None) -> tuple[Floats, Floats]:
        """The lower and upper bounds (N,) of predictions (N,), with their spreads if normalised.

        DataError where spreads are missing, or given and not normalised by.
        """
        values = np.asarray(predicted, dtype=np.float64)
        if self.normalised != (spreads is not None):
            raise DataError(
                "The interval was fitted with spreads; give those of the predictions."
                if self.normalised
                else "The interval was fitted without spreads; leave them out, or fit it with them."
            )
        width = self.quantile * (1.0 if spreads is None else _checked_spreads(spreads, values))
        return values - width, values + width


def _codes(groups: Sequence[Hashable] | np.ndarray[Any, Any], count: int) -> Any:
    """The number of each item's group (N,)."""
    if len(groups) != count:
        raise DataError(f"{len(groups):,} groups for {count:,} items; give one an item.")
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(group, len(numbers)) for group in groups])


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ConfigError(f"level = {level:g} of an interval; it is between 0 and 1, such as 0.9.")


def _checked_spreads(given: Given, values: Floats) -> Floats:
    spreads = np.asarray(given, dtype=np.float64)
    if spreads.shape != values.shape or not (np.isfinite(spreads) & (spreads > 0)).all():
        raise DataError(
            f"spreads {spreads.shape} for items {values.shape}; give a finite number above 0 for "
            "each item."
        )
    return spreads
