"""Percentile intervals of rates under resampling of items, or of whole groups of items."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from recurra.errors import ConfigError, DataError

__all__ = ["bootstrap_interval"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


def bootstrap_interval(
    errors: Sequence[float] | np.ndarray[Any, Any],
    lengths: Sequence[float] | np.ndarray[Any, Any],
    generator: np.random.Generator,
    *,
    level: float = 0.95,
    draws: int = 1000,
    groups: Sequence[Hashable] | None = None,
) -> tuple[float, float] | None:
    """The percentile interval of the rate sum(errors) / sum(lengths) under resampling of N items.

    Both are (N,): of transcripts their errors and lengths, of a weighted mean the weighted values
    and the weights. A draw whose lengths are all 0 is divided by 1.

    groups: the group of each item, such as its speaker or writer: whole groups are resampled, since
        items of one hand are right or wrong together. None where fewer than two could be drawn.

    M. Bisani and H. Ney, "Bootstrap estimates for confidence intervals in ASR performance
    evaluation", ICASSP 2004. DataError where the numbers of items differ.

    >>> errors, lengths = [0, 1, 0, 2, 0, 1], [10, 9, 12, 8, 10, 11]
    >>> low, high = bootstrap_interval(errors, lengths, np.random.default_rng(0))
    >>> 0 <= low < sum(errors) / sum(lengths) < high < 0.2
    True
    """
    if not 0 < level < 1 or draws < 1:
        raise ConfigError(
            f"level = {level:g} and draws = {draws}; a level is between 0 and 1, and draws are 1 "
            "or more."
        )
    table = _table(errors, lengths, groups)
    units = table.shape[1]
    if units < 2:
        return None
    places = (generator.integers(units, size=(units,)) for _ in range(draws))
    rates = [_drawn_rate(table, each) for each in places]
    low, high = np.quantile(rates, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _table(
    errors: Sequence[float] | np.ndarray[Any, Any],
    lengths: Sequence[float] | np.ndarray[Any, Any],
    groups: Sequence[Hashable] | None,
) -> Floats:
    """Errors and lengths (2, N) of the units that are drawn: items, or groups."""
    rows = np.asarray(errors, float), np.asarray(lengths, float)
    if rows[0].ndim != 1 or rows[0].shape != rows[1].shape:
        raise DataError(
            f"errors {rows[0].shape} and lengths {rows[1].shape}; give both as (N,), one number "
            "an item."
        )
    if groups is None:
        return np.stack(rows)
    if len(groups) != len(rows[0]):
        raise DataError(f"{len(groups):,} groups for {len(rows[0]):,} items; give one an item.")
    numbers: dict[Hashable, int] = {}
    codes = [numbers.setdefault(group, len(numbers)) for group in groups]
    return np.stack([np.bincount(codes, weights=row) for row in rows])


def _drawn_rate(table: Floats, places: Ints) -> float:
    errors, lengths = table[:, places].sum(1)
    return float(errors / lengths if lengths > 0 else errors)
