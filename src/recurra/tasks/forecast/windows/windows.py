"""Look-backs and the steps after them, cut from the series when they are asked for."""

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.data.series.calendar import CalendarTable
from recurra.data.series.panel import Panel
from recurra.tasks.forecast.windows.scaling import Usual, scale_of, transformed

__all__ = [
    "Batch",
    "Cutter",
    "Origins",
    "TrainingWindows",
    "apart_of",
    "folds",
    "origins_between",
]

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

_FOLDS = 5


class Batch(NamedTuple):
    """B windows of L steps of look-back and H steps after it, scaled; T = L + H.

    `values` (T, B) are 0 where `seen` (T, B) is false: missing, before the series, or after what is
    known. `past` (T, B, P) is 0 from L on; `future` (T, B, F) has what is known ahead, the calendar
    among it; `static` (B, S); `series` (B,) are numbers of the series, `key` (B,) what sets those
    apart that were not trained on too, `age` (T, B) steps since each began. `location` and `scale`,
    float64 (B,), lead back to the data.
    """

    values: Tensor
    seen: Tensor
    past: Tensor
    future: Tensor
    static: Tensor
    series: Tensor
    key: Tensor
    age: Tensor
    location: Tensor
    scale: Tensor


class Origins(NamedTuple):
    """Where forecasts begin: (W,) series, and (W,) how many of its steps are known."""

    series: Ints
    known: Ints

    def part(self, low: int, high: int) -> "Origins":
        """Those from `low` up to `high`."""
        return Origins(self.series[low:high], self.known[low:high])


@dataclass(frozen=True, kw_only=True)
class Cutter:
    """Cuts windows out of the series of a panel; memory is that of the panel, whatever the windows.

    `numbers` (N,) say which of the trained series each is, -1 for one that was not; `begun` (N,)
    how many steps of it came before the panel's; `ahead` (N, H, F) holds the future-known
    covariates after the end of each, where there are any.
    """

    panel: Panel
    numbers: Ints
    calendar: CalendarTable
    lookback: int
    horizon: int
    scaling: str
    transform: str
    usual: Usual
    begun: Ints
    ahead: NDArray[np.float32] | None = None

    @functools.cached_property
    def keys(self) -> Ints:
        """(N,) numbers that follow from what the series are called, so are theirs in any table."""
        digests = (hashlib.blake2b(str(i).encode(), digest_size=8) for i in self.panel.ids)
        return np.frombuffer(b"".join(d.digest() for d in digests), np.int64)

    def cut(self, origins: Origins, *, with_truth: bool) -> Batch:
        """Windows of these origins; without truth what comes after them is hidden, known or not."""
        series, known = origins
        rows = known + np.arange(-self.lookback, self.horizon)[:, None]
        inside = (rows >= 0) & (rows < self.panel.lengths[series])
        place = np.where(inside, self.panel.offsets[series] + rows, 0)
        values = np.where(inside, self.panel.y[place], np.nan)
        if not with_truth:
            values[self.lookback :] = np.nan
        values = transformed(values, self.transform)
        location, scale = scale_of(values[: self.lookback], self.usual.of(series), self.scaling)
        scaled = ((values - location) / scale).astype(np.float32)
        seen = np.isfinite(scaled)
        past = np.where(inside[..., None], self.panel.past[place], 0)
        past[self.lookback :] = 0
        return Batch(
            values=torch.from_numpy(np.where(seen, scaled, 0)),
            seen=torch.from_numpy(seen),
            past=torch.from_numpy(past.astype(np.float32)),
            future=torch.from_numpy(self._future(series, rows, inside, place)),
            static=torch.from_numpy(self.panel.static[series].astype(np.float32)),
            series=torch.from_numpy(self.numbers[series]),
            key=torch.from_numpy(self.keys[series]),
            age=torch.from_numpy(rows + self.begun[series]),
            location=torch.from_numpy(location),
            scale=torch.from_numpy(scale),
        )

    def truth(self, origins: Origins) -> NDArray[np.float64]:
        """What came (W, H), as the data have it; NaN where it is not known."""
        series, known = origins
        rows = known[:, None] + np.arange(self.horizon)
        inside = rows < self.panel.lengths[series][:, None]
        place = np.where(inside, self.panel.offsets[series][:, None] + rows, 0)
        return np.where(inside, self.panel.y[place], np.nan)

    def _future(
        self, series: Ints, rows: Ints, inside: NDArray[np.bool_], place: Ints
    ) -> NDArray[np.float32]:
        calendar = self.calendar.at(series, np.maximum(rows, 0))
        given = np.where(inside[..., None], self.panel.future[place], 0).astype(np.float32)
        if self.ahead is not None and given.shape[-1]:
            beyond = rows - self.panel.lengths[series]
            after = (beyond >= 0) & (beyond < self.ahead.shape[1])
            table = self.ahead[series, np.clip(beyond, 0, self.ahead.shape[1] - 1)]
            given = np.where(after[..., None], table, given)
        return np.concatenate([given, calendar], -1)


class TrainingWindows:
    """Windows drawn at random, each as likely as any other; the same for the same seed and step.

    `last` (N,) is the highest origin that each series may have; `first` (N,) the lowest.
    """

    def __init__(
        self, cutter: Cutter, first: Ints, last: Ints, *, batch_size: int, seed: int
    ) -> None:
        self._cutter, self._first = cutter, first
        self._counts = np.cumsum(np.maximum(last - first + 1, 0))
        self._size, self._seed = batch_size, seed

    @property
    def total(self) -> int:
        """How many windows there are."""
        return int(self._counts[-1]) if len(self._counts) else 0

    def __len__(self) -> int:
        """Batches of an epoch: as many as hold all windows once, were each drawn once."""
        return -(-self.total // self._size)

    def window(self, epoch: int, index: int) -> Batch:
        """Batch `index` of `epoch`."""
        key = f"{self._seed} {epoch} {index}".encode()
        generator = np.random.default_rng(
            int.from_bytes(hashlib.blake2b(key, digest_size=8).digest())
        )
        drawn = generator.integers(self.total, size=self._size)
        series = np.searchsorted(self._counts, drawn, side="right")
        before = np.where(series > 0, self._counts[series - 1], 0)
        return self._cutter.cut(
            Origins(series, self._first[series] + drawn - before), with_truth=True
        )


def apart_of(origins: Origins, horizon: int) -> int:
    """How many windows of a horizon there are that don't overlap, from the first of each series."""
    if not len(origins.series):
        return 0
    series = np.unique(origins.series, return_inverse=True)[1]
    low = np.full(series.max() + 1, np.iinfo(np.int64).max)
    high = np.zeros(len(low), np.int64)
    np.minimum.at(low, series, origins.known)
    np.maximum.at(high, series, origins.known)
    return int(((high - low) // horizon + 1).sum())


def folds(origins: Origins, horizon: int) -> Iterator[tuple[Mask, Mask]]:
    """Parts of windows (W,), and for each the windows that share no truth with it: parts of whole
    series where there are enough, else of the time of each.
    """
    series, place = np.unique(origins.series, return_inverse=True)
    if len(series) >= 2 * _FOLDS:
        for number in range(_FOLDS):
            yield place % _FOLDS == number, place % _FOLDS != number
        return
    first, last = (
        np.array([f(origins.known[place == n]) for n in range(len(series))])
        for f in (np.min, np.max)
    )
    fold = (origins.known - first[place]) * _FOLDS // (last - first + 1)[place]
    for number in range(_FOLDS):
        inside, others = fold == number, np.zeros(len(place), bool)
        for n in range(len(series)):
            own, known = place == n, origins.known
            if (own & inside).any():
                low, high = known[own & inside].min(), known[own & inside].max()
                others |= own & ((known <= low - horizon) | (known >= high + horizon))
        if inside.any():
            yield inside, others


def origins_between(first: Ints, last: Ints, stride: int) -> Origins:
    """Origins `stride` steps apart from `last` (N,) back to `first` (N,), the last one of each
    series always among them; none of a series where `last` lies before `first`.
    """
    counts = np.where(last >= first, (last - first) // stride + 1, 0)
    series = np.repeat(np.arange(len(counts)), counts)
    back = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return Origins(series, last[series] - stride * back)
