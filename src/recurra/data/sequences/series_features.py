"""Features of a series, whole or step by step: values, what is missing, and time between steps.

Where values are missing: the last one seen stands for them, beside a mask and the steps since it,
after Che et al. (2018, "Recurrent neural networks for multivariate time series with missing
values"), whose decay towards the mean is left to the network.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.data.sequences.series import Floats, Series, Times, channel_names
from recurra.data.standardise import Standardiser
from recurra.errors import DataError

__all__ = ["SeriesFeatures", "SeriesStream", "has_irregular_times", "observed_statistics"]

_REGULAR = 0.01
"""Steps whose distances differ by no more than this share are at equal ones."""
_FARTHEST = 1e6
"""Standardised features go no further from 0, so that a value of 1e30 makes no infinity."""

Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class SeriesFeatures:
    """What a step of a series becomes, all plain JSON values.

    A row is: the value of each channel, or the last one seen; where `missing`, 1 for each channel
    that has a value and 0 for one that hasn't, and log(1 + steps since its last value); where
    `times`, the logarithm of the time since the step before.

    Raw features are NaN where nothing is known yet: a channel before its first value, the time
    before the first step. `standardised` puts 0, the mean, there.

    >>> how = SeriesFeatures(("x",), missing=True)
    >>> how.features(Series.of([5.0, np.nan, np.nan], channels=("x",))).round(2)
    array([[5.  , 1.  , 0.  ],
           [5.  , 0.  , 0.69],
           [5.  , 0.  , 1.1 ]], dtype=float32)
    """

    channels: tuple[str, ...]
    missing: bool = False
    times: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))

    @property
    def width(self) -> int:
        """The number of features of a step."""
        return len(self.channels) * (3 if self.missing else 1) + self.times

    def aligned(self, series: Series) -> Series:
        """The series with its channels in the order of these; counted ones are taken as they come.

        DataError where it has others, or no times though these are used.
        """
        series = self._ordered(series)
        if self.times and series.times is None:
            raise DataError("has no times, and the model uses them; give the time of each step.")
        return series

    def _ordered(self, series: Series) -> Series:
        count, own = len(self.channels), series.channels
        if len(own) != count:
            raise DataError(
                f"has {len(own)} channels ({_shown(own)}), and the model reads {count} "
                f"({_shown(self.channels)}); give these."
            )
        if own == self.channels or channel_names(count) in (own, self.channels):
            return series
        if set(own) != set(self.channels):
            other = [name for name in own if name not in self.channels]
            raise DataError(
                f"has the channels {_shown(other)}, which the model doesn't know; it reads "
                f"{_shown(self.channels)}: name them so."
            )
        order = [own.index(name) for name in self.channels]
        return Series(series.values[:, order], series.times, series.labels, self.channels)

    def features(self, series: Series) -> Floats:
        """The raw features (T, width); DataError as for `aligned`."""
        series = self.aligned(series)
        return SeriesStream(self).feed(series.values, times=series.times)

    def fitted(self, contents: Iterable[Series]) -> Standardiser:
        """Statistics of the values that are there; masks and gaps stay as they are."""
        found = observed_statistics(map(self._observed, map(self.aligned, contents)))
        count, between = len(self.channels), 2 * len(self.channels) * self.missing
        mean, std = list(found.mean), list(found.std)
        mean[count:count], std[count:count] = [0.0] * between, [1.0] * between
        return Standardiser(tuple(mean), tuple(std))

    def _observed(self, series: Series) -> Times:
        """Values (T, C) and, where they are used, the logarithms of times between steps."""
        columns = [series.values.astype(np.float64)]
        if self.times and series.times is not None:
            columns.append(_log_distances(series.times, None)[:, None])
        return np.concatenate(columns, axis=1)

    def standardised(self, raw: Floats, statistics: Standardiser | None) -> Floats:
        """Raw features by these statistics, 0 for what isn't known."""
        with np.errstate(over="ignore"):
            ready = raw if statistics is None else statistics.apply(raw)
        return np.nan_to_num(np.clip(ready, -_FARTHEST, _FARTHEST), nan=0.0)


class SeriesStream:
    """Raw features of steps as they come: for chunks of any size, the bits of the whole.

    >>> stream = SeriesStream(SeriesFeatures(("x",)))
    >>> stream.feed(np.array([[1.0], [np.nan]])).tolist(), len(stream.finish())
    ([[1.0], [1.0]], 0)
    """

    def __init__(self, how: SeriesFeatures, state: Mapping[str, Any] | None = None) -> None:
        count = len(how.channels)
        state = state or {"last": [None] * count, "gap": [0] * count, "time": None}
        self.how = how
        self._last = np.array([np.nan if v is None else v for v in state["last"]], np.float32)
        self._gap = np.array(state["gap"], np.int64)
        self._time: float | None = state["time"]

    def state(self) -> dict[str, Any]:
        """What the next rows depend on, as JSON values."""
        last = [None if np.isnan(value) else float(value) for value in self._last]
        return {"last": last, "gap": self._gap.tolist(), "time": self._time}

    def feed(self, values: Any, *, times: Any = None) -> Floats:
        """The features (n, width) of the next steps (n, C), or of one step (C,); of one channel
        (n,).

        times: of these steps (n,), where the features use them. DataError for other shapes,
        infinite values, or times that don't increase; nothing has then been taken in.
        """
        steps = self._checked(np.asarray(values, np.float64))
        distances = self._distances(times, len(steps)) if self.how.times else None
        if not len(steps):
            return np.zeros((0, self.how.width), np.float32)
        columns = self._carried(steps)
        if distances is not None:
            columns.append(distances[:, None].astype(np.float32))
        return np.concatenate(columns, axis=1)

    def finish(self) -> Floats:
        """No more features: no step waits for another."""
        return np.zeros((0, self.how.width), np.float32)

    def _checked(self, values: Times) -> Floats:
        count = len(self.how.channels)
        if values.ndim == 1:
            values = values[:, None] if count == 1 else values[None]
        if values.ndim != 2 or values.shape[1] != count:
            raise DataError(
                f"steps of shape {values.shape}; give (steps, {count}): "
                f"{_shown(self.how.channels)}."
            )
        with np.errstate(over="ignore"):
            narrow = values.astype(np.float32)
        if np.isinf(narrow).any():
            raise DataError(
                "a value is infinite; values are finite numbers of 32 bits, or NaN where missing."
            )
        return narrow

    def _distances(self, times: Any, count: int) -> Times:
        """Logarithms of the times since the step before, NaN for the very first."""
        if times is None:
            raise DataError("the model uses times; give those of these steps (times = …).")
        stamps = np.atleast_1d(np.asarray(times, np.float64))
        if stamps.shape != (count,):
            raise DataError(f"{count} steps have times of shape {stamps.shape}; give ({count},).")
        distances = _log_distances(stamps, self._time)
        if count:
            self._time = float(stamps[-1])
        return distances

    def _carried(self, values: Floats) -> list[Floats]:
        """Values or the last ones seen; where `missing`, masks and gaps as well."""
        seen, steps = ~np.isnan(values), np.arange(len(values))[:, None]
        last = np.maximum.accumulate(np.where(seen, steps, -1), axis=0)
        carried = np.take_along_axis(values, np.maximum(last, 0), axis=0)
        carried = np.where(last >= 0, carried, self._last)
        gaps = np.where(last >= 0, steps - last, steps + 1 + self._gap)
        self._last, self._gap = carried[-1].copy(), gaps[-1].copy()
        if not self.how.missing:
            return [carried]
        return [carried, seen.astype(np.float32), _log_gaps(gaps)]


def _log_gaps(gaps: Ints) -> Floats:
    """log(1 + gap), each by itself, so that it doesn't depend on its neighbours in memory."""
    distinct, places = np.unique(gaps, return_inverse=True)
    logs = np.array([math.log1p(gap) for gap in distinct.tolist()], np.float32)
    return logs[places].reshape(gaps.shape)


def _log_distances(times: Times, before: float | None) -> Times:
    """The logarithm of the time since the step before (T,); NaN at the first where none was.

    DataError where a time isn't finite, or not after the one before.
    """
    if not len(times):
        return np.zeros(0)
    first = np.nan if before is None else before
    distances = np.diff(times, prepend=first)
    wrong = np.flatnonzero(~(distances > 0) & ~(np.isnan(first) & (np.arange(len(times)) == 0)))
    if len(wrong) or not np.isfinite(times).all():
        place = int(wrong[0]) if len(wrong) else int(np.argmin(np.isfinite(times)))
        raise DataError(
            f"step {place + 1} of these has the time {times[place]:.15g}, which isn't after that "
            "of the step before; times are finite and increase."
        )
    logs = [math.log(distance) if distance > 0 else math.nan for distance in distances.tolist()]
    return np.array(logs, np.float64)


def has_irregular_times(contents: Iterable[Series]) -> bool:
    """Whether all have times, and these lie at different distances, in one series or of several."""
    least, greatest = math.inf, 0.0
    for series in contents:
        if series.times is None:
            return False
        distances = np.diff(series.times)
        if len(distances):
            least = min(least, float(distances.min()))
            greatest = max(greatest, float(distances.max()))
    return greatest > least * (1 + _REGULAR)


def observed_statistics(tables: Iterable[np.ndarray[Any, Any]]) -> Standardiser:
    """Mean and deviation of each column of tables (T, F), read once; NaN is left out.

    A column of one value, or of none, gets a deviation of 1, and any other its own, however small
    it is. DataError where there is no table.

    >>> observed_statistics([np.array([[0.25, 5.0], [0.75, np.nan]])])
    Standardiser(mean=(0.5, 5.0), std=(0.25, 1.0))
    """
    count = mean = squares = shift = np.zeros(0)
    for number, table in enumerate(tables):
        values = table.astype(np.float64)
        if not number:
            count = mean = squares = np.zeros(values.shape[1])
            shift = np.full(values.shape[1], np.nan)
        seen = ~np.isnan(values)
        # Less a value of its own, a column of one value is exactly 0.
        first = values[seen.argmax(axis=0), np.arange(values.shape[1])]
        shift = np.where(np.isnan(shift), first, shift)
        moved = np.where(seen, values - shift, 0.0)
        own_count = seen.sum(axis=0)
        total = np.maximum(count + own_count, 1)
        own = moved.sum(axis=0) / np.maximum(own_count, 1)
        change = own - mean
        squares = squares + np.square(np.where(seen, moved - own, 0.0)).sum(axis=0)
        squares = squares + change**2 * count * own_count / total
        mean = mean + change * own_count / total
        count = count + own_count
    if not len(shift):
        raise DataError("There is no sequence to standardise by; give at least one.")
    std = np.sqrt(squares / np.maximum(count, 1))
    whole = np.nan_to_num(shift) + mean
    return Standardiser(tuple(whole.tolist()), tuple(np.where(std > 0, std, 1.0).tolist()))


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f", … ({len(names)} in all)" if len(names) > 8 else "")
