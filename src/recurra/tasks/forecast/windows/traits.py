"""Traits of series and of windows that intervals depend on: errors to expect, gaps, bounds.

The error to expect of a series is that of the best of three simple forecasts in its own history,
half a horizon ahead: the last value, the value of the same phase, and the mean of the phase. So
neither a season nor a level counts as an error.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.data.series.panel import Panel
from recurra.tasks.forecast.windows.scaling import transformed

__all__ = [
    "INTERMITTENT",
    "SeriesTraits",
    "WindowTraits",
    "is_whole",
    "mean_change",
    "series_traits",
    "steps_since_seen",
    "window_error",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

_FEWEST_PAIRS = 4
"""Pairs of values that a mean change needs to count; not tuned."""

_CALM = 0.25
"""The error expected of a window without any change, as a share of its series' usual one. Set
without a search; the effect of a window's own change is the row "by how far the window moves" of
benchmarks/README.md, ETTh1."""

_PRIOR_PAIRS = 10
"""Pairs of values at which a window's own change counts half, beside its series' usual one."""

_FEWEST_WHOLE = 8
"""Whole numbers from which on a series is taken for one of whole numbers; not tuned."""

INTERMITTENT = 1 - 1 / 1.32
"""The share of zeros from which on demand is intermittent: 1.32 steps from one demand to the next
(Syntetos, Boylan & Croston 2005, "On the categorization of demand patterns")."""


class SeriesTraits(NamedTuple):
    """Of each series (N,), before the end of training; transformed: `error`, `change`.

    `error` is the mean absolute error to expect, `change` the mean change from step to step, both
    0 where the series is constant; `width` the factor by which the networks' own intervals are too
    narrow for it. `lowest` and `highest` are its extreme values, NaN without any;
    `zeros` is the share of zeros among them, `whole` is 1 where all are whole numbers.
    """

    error: Floats
    change: Floats
    lowest: Floats
    highest: Floats
    zeros: Floats
    whole: Floats
    width: Floats

    def of(self, series: Ints) -> "SeriesTraits":
        """The traits of some series."""
        return SeriesTraits(*(part[series] for part in self))

    @property
    def intermittent(self) -> Mask:
        """The series (N,) of demand that is often zero, and never below."""
        intermittent: Mask = (self.lowest >= 0) & (self.zeros > INTERMITTENT) & (self.highest > 0)
        return intermittent


class WindowTraits(NamedTuple):
    """Of each window (W,): `error`, the mean absolute error to expect, scaled, NaN where neither
    the look-back nor the series has ever changed; `width` as of its series; `gap`, the steps since
    the last value; `seen`, the share of the look-back that was seen; `begun`, the share after its
    first value; `repeats`, the share of its values that repeat the one before; `lowest` and
    `highest`, the extreme values known, of the data; `whole` and `intermittent`, the kind of the
    series.
    """

    error: Floats
    width: Floats
    gap: Ints
    seen: Floats
    begun: Floats
    repeats: Floats
    lowest: Floats
    highest: Floats
    whole: Mask
    intermittent: Mask

    @property
    def regular(self) -> Mask:
        """The windows (W,) with most of their look-back, up to its end, and with changes in it."""
        regular: Mask = (self.gap == 0) & (self.seen >= 0.5) & (self.repeats <= 0.5)
        return regular

    def at(self, chosen: Mask | Ints) -> "WindowTraits":
        """The traits of some windows."""
        return self._replace(**{name: part[chosen] for name, part in self._asdict().items()})

    @classmethod
    def joined(cls, parts: "Sequence[WindowTraits]") -> "WindowTraits":
        """The traits of the windows of all parts."""
        return cls(*map(np.concatenate, zip(*parts, strict=True)))


def series_traits(
    panel: Panel, transform: str, season: int, horizon: int, limit: Ints | None = None
) -> SeriesTraits:
    """The traits of each series, by its values before its limit (N,), or by all."""
    count = len(panel)
    series = np.repeat(np.arange(count), panel.lengths)
    row = np.arange(len(panel.y)) - panel.offsets[series]
    counted = row < (panel.lengths if limit is None else limit)[series]
    y = np.where(counted, panel.y, np.nan)
    seen = np.isfinite(y)
    known, of = y[seen], series[seen]
    lowest, highest = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(lowest, of, known)
    np.maximum.at(highest, of, known)
    size = np.bincount(of, minlength=count)
    zeros = np.bincount(of[known == 0], minlength=count) / np.maximum(size, 1)
    broken = np.bincount(of[known != known.round()], minlength=count)
    values = transformed(y, transform)
    nothing = np.where(size > 0, 0.0, np.nan)
    return SeriesTraits(
        error=_expected_error(values, series, row, count, season, horizon),
        change=np.nan_to_num(_mean_change_of_series(values, series, 1, count)[0]),
        lowest=lowest + nothing,
        highest=highest + nothing,
        zeros=zeros,
        whole=_whole(size, broken).astype(np.float64),
        width=np.ones(count),
    )


def _whole(size: Ints, broken: Ints) -> Mask:
    """The series (N,) whose values are whole numbers, `broken` counts the others: few values by
    themselves are no evidence, but are where the whole panel has no other.
    """
    enough = (size >= _FEWEST_WHOLE) | ((broken.sum() == 0) & (size.sum() >= _FEWEST_WHOLE))
    return np.asarray(enough & (size > 0) & (broken == 0))


def _expected_error(
    values: Floats, series: Ints, row: Ints, count: int, season: int, horizon: int
) -> Floats:
    """The mean absolute error (N,) of the best simple forecast half a horizon ahead."""
    ahead = (horizon + 1) // 2
    lags = {1: float(ahead) ** 0.5, ahead: 1.0}
    if season > 1:
        lags[season * -(-ahead // season)] = 1.0
    found = np.full(count, np.inf)
    for lag, growth in lags.items():
        change, pairs = _mean_change_of_series(values, series, lag, count, drift=lag > 1)
        usable = pairs >= _FEWEST_PAIRS
        found = np.where(usable, np.minimum(found, growth * np.nan_to_num(change)), found)
    for phases in {1, season}:
        group = series * phases + row % phases
        deviation, spare = _deviation_of_groups(values, group, series, count)
        usable = spare >= _FEWEST_PAIRS
        found = np.where(usable, np.minimum(found, deviation), found)
    few = ~np.isfinite(found)
    found[few] = _deviation_of_groups(values, series, series, count)[0][few]
    return found


def _mean_change_of_series(
    values: Floats, series: Ints, lag: int, count: int, *, drift: bool = False
) -> tuple[Floats, Ints]:
    """The mean absolute change (N,) over a lag, about its mean for a `drift`, and its pairs."""
    changes, of = values[lag:] - values[:-lag], series[lag:]
    both = np.isfinite(changes) & (of == series[:-lag])
    changes, of = changes[both], of[both]
    pairs = np.bincount(of, minlength=count)
    if drift:
        mean = np.bincount(of, changes, minlength=count) / np.maximum(pairs, 1)
        changes = changes - mean[of]
    total = np.bincount(of, np.abs(changes), minlength=count)
    return np.divide(total, pairs, out=np.full(count, np.nan), where=pairs > 0), pairs


def _deviation_of_groups(
    values: Floats, group: Ints, series: Ints, count: int
) -> tuple[Floats, Ints]:
    """The mean absolute deviation (N,) of values from the mean of their group, as a new value's
    would be, and the number of values beside one a group.
    """
    seen = np.isfinite(values)
    values, group, series = values[seen], group[seen], series[seen]
    size = np.bincount(group)
    mean = np.bincount(group, values) / np.maximum(size, 1)
    total = np.bincount(series, np.abs(values - mean[group]), minlength=count)
    number = np.bincount(series, minlength=count)
    first = np.unique(group, return_index=True)[1]
    spare = number - np.bincount(series[first], minlength=count)
    more = np.sqrt(number / np.maximum(spare, 1))
    return total / np.maximum(number, 1) * more, spare


def mean_change(values: Floats, seen: Mask) -> Floats:
    """The mean absolute change from step to step (B,) of windows (L, B), where both were seen.

    0 where there is no such change.

    >>> mean_change(np.array([[1.0], [4.0], [3.0]]), np.ones((3, 1), bool))
    array([2.])
    """
    both = seen[1:] & seen[:-1]
    total: Floats = np.where(both, np.abs(np.diff(values, axis=0)), 0.0).sum(0)
    mean: Floats = total / np.maximum(both.sum(0), 1)
    return mean


def window_error(change: Floats, pairs: Ints, traits: SeriesTraits, scale: Floats) -> Floats:
    """The errors to expect (W,), scaled, of windows with this mean change over so many pairs.

    NaN where neither the window nor its series has ever changed.
    """
    usual = traits.change / scale
    own = (pairs * change + _PRIOR_PAIRS * usual) / (pairs + _PRIOR_PAIRS)
    moved = np.divide(own, usual, out=np.ones_like(own), where=usual > 0)
    error = traits.error / scale * (_CALM + (1 - _CALM) * moved)
    # A series that was constant so far has no error of its own: its window's change is all.
    error = np.where(traits.error > 0, error, change)
    found: Floats = np.where(error > 0, error, np.nan)
    return found


def steps_since_seen(seen: Mask) -> Ints:
    """The steps (B,) since the last value that was seen in look-backs (L, B); L without any.

    >>> steps_since_seen(np.array([[True, True], [False, True]]))
    array([1, 0])
    """
    backwards = seen[::-1]
    gap: Ints = np.where(seen.any(0), backwards.argmax(0), len(seen))
    return gap


def is_whole(values: Floats, seen: Mask) -> Mask:
    """True (B,) for look-backs (L, B), rounded to 32 bits, whose values are whole numbers."""
    near = np.abs(values - values.round()) <= np.maximum(1e-3, 1e-6 * np.abs(values))
    return np.asarray((near | ~seen).all(0))
