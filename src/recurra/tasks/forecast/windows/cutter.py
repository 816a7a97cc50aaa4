"""Windows: look-backs and the steps after them, cut from the series when a batch needs them."""

from __future__ import annotations

import copy
import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.data.batches import rows_of_rank
from recurra.data.series.calendar import CalendarTable, calendar_table
from recurra.data.series.panel import Panel
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.data_checks import FEWEST_OF_CONSTANT
from recurra.tasks.forecast.statistics.combination import Combination
from recurra.tasks.forecast.windows.scaling import (
    SeriesScale,
    series_scale,
    transformed,
    untransformed,
    window_scale,
)
from recurra.tasks.forecast.windows.splits import Ints, Origins, SplitPoints, season_of
from recurra.tasks.forecast.windows.traits import (
    SeriesTraits,
    WindowTraits,
    is_whole,
    mean_change,
    series_traits,
    steps_since_seen,
    window_error,
)

__all__ = [
    "CountedWindows",
    "TrainingWindows",
    "WindowBatch",
    "WindowCutter",
    "cutter_for",
    "training_windows",
]


class CountedWindows(NamedTuple):
    """The windows that a mean is taken over: those of all `processes` that train together.

    `seen` (T, B) and `scale` (B,) are as in `WindowBatch`, of every process's rows.
    """

    seen: Tensor
    scale: Tensor
    processes: int


class WindowBatch(NamedTuple):
    """B windows of L steps of look-back and H steps after it, scaled; T = L + H.

    `values` (T, B) are 0 where `seen` (T, B) is false: missing, before the series, or hidden.
    `past` (T, B, P) is 0 from L on; `future` (T, B, F) are the covariates known ahead and the
    calendar; `static` (B, S). `series` (B,) are the trained numbers of the series, -1 for one that
    was not trained on, `key` (B,) a number derived from the name of each, `age` (T, B) steps since
    each began. `location` and `scale`, float64 (B,), lead back to the data. `counted` are the
    windows of all processes, where this batch is one's part of them.
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
    counted: CountedWindows | None = None


@dataclass(frozen=True, kw_only=True)
class WindowCutter:
    """Cuts windows out of the series of a panel; its memory is the panel's, whatever their number.

    `numbers` (N,) are the trained numbers of the series, -1 for one that was not trained on;
    `start_age` (N,) the steps of each before the panel's first; `future` (N, H, F) the covariates
    known ahead after the end of each, where there are any; `hidden` the first and the end of the
    rows of a look-back that are taken for missing. `combination` has the statistical forecasts that
    the networks' are averaged with, if any.
    """

    panel: Panel
    numbers: Ints
    calendar: CalendarTable
    lookback: int
    horizon: int
    scaling: str
    transform: str
    series_scale: SeriesScale
    series_traits: SeriesTraits
    start_age: Ints
    future: NDArray[np.float32] | None = None
    hidden: tuple[int, int] = (0, 0)
    combination: Combination | None = None

    @functools.cached_property
    def keys(self) -> Ints:
        """(N,) numbers derived from the series' names, so the same in any table."""
        digests = (hashlib.blake2b(str(i).encode(), digest_size=8) for i in self.panel.ids)
        return np.frombuffer(b"".join(d.digest() for d in digests), np.int64)

    def cut(self, origins: Origins, *, with_actual: bool) -> WindowBatch:
        """Windows of these origins; values after them are hidden unless `with_actual`."""
        series, cutoffs = origins
        rows = cutoffs + np.arange(-self.lookback, self.horizon)[:, None]
        inside = (rows >= 0) & (rows < self.panel.lengths[series])
        place = np.where(inside, self.panel.offsets[series] + rows, 0)
        values = np.where(inside, self.panel.y[place], np.nan)
        if not with_actual:
            values[self.lookback :] = np.nan
        values[slice(*self.hidden)] = np.nan
        values = transformed(values, self.transform)
        usual = self.series_scale.of(series)
        location, scale = window_scale(values[: self.lookback], usual, self.scaling)
        scaled = ((values - location) / scale).astype(np.float32)
        seen = np.isfinite(scaled)
        past = np.where(inside[..., None], self.panel.past[place], 0)
        past[self.lookback :] = 0
        return WindowBatch(
            values=torch.from_numpy(np.where(seen, scaled, 0)),
            seen=torch.from_numpy(seen),
            past=torch.from_numpy(past.astype(np.float32)),
            future=torch.from_numpy(self._future(series, rows, inside, place)),
            static=torch.from_numpy(self.panel.static[series].astype(np.float32)),
            series=torch.from_numpy(self.numbers[series]),
            key=torch.from_numpy(self.keys[series]),
            age=torch.from_numpy(rows + self.start_age[series]),
            location=torch.from_numpy(location),
            scale=torch.from_numpy(scale),
        )

    def traits(self, batch: WindowBatch, series: Ints) -> WindowTraits:
        """The traits of a batch's windows, of these series (B,)."""
        scaled, seen = (p[: self.lookback].numpy() for p in (batch.values, batch.seen))
        scaled = scaled.astype(np.float64)
        pairs, of = seen[1:] & seen[:-1], self.series_traits.of(series)
        count, scale = pairs.sum(0), batch.scale.numpy()
        values = untransformed(batch.location.numpy() + scale * scaled, self.transform)
        low, high = (np.where(seen, values, far) for far in (np.inf, -np.inf))
        any_seen = seen.any(0)
        return WindowTraits(
            error=window_error(mean_change(scaled, seen), count, of, scale),
            width=of.width,
            gap=steps_since_seen(seen),
            seen=seen.mean(0),
            begun=1 - seen.argmax(0) / self.lookback,
            repeats=1 - (pairs & (scaled[1:] != scaled[:-1])).sum(0) / np.maximum(count, 1),
            lowest=np.fmin(np.where(any_seen, low.min(0), np.nan), of.lowest),
            highest=np.fmax(np.where(any_seen, high.max(0), np.nan), of.highest),
            whole=(of.whole > 0) & is_whole(values, seen),
            intermittent=of.intermittent,
        )

    def actual(self, origins: Origins) -> NDArray[np.float64]:
        """The actual values (W, H) after the origins, as in the data; NaN where unknown."""
        series, cutoffs = origins
        rows = cutoffs[:, None] + np.arange(self.horizon)
        inside = rows < self.panel.lengths[series][:, None]
        place = np.where(inside, self.panel.offsets[series][:, None] + rows, 0)
        return np.where(inside, self.panel.y[place], np.nan)

    def degenerate(self, origins: Origins) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """The windows with only one possible forecast (W,), and that value: NaN without any."""
        usual = self.series_scale.of(origins.series)
        degenerate, constant = usual.spread == 0, untransformed(usual.centre, self.transform)
        for w in np.flatnonzero(degenerate):
            values = self.panel.values(origins.series[w])[: origins.cutoffs[w]]
            values = values[np.isfinite(values)]
            if len(values):
                degenerate[w] = len(values) >= FEWEST_OF_CONSTANT and values.min() == values.max()
                constant[w] = values[0]
        return degenerate, constant

    def _future(
        self, series: Ints, rows: Ints, inside: NDArray[np.bool_], place: Ints
    ) -> NDArray[np.float32]:
        calendar = self.calendar.at(series, np.maximum(rows, 0))
        covariates = np.where(inside[..., None], self.panel.future[place], 0).astype(np.float32)
        if self.future is not None and covariates.shape[-1]:
            beyond = rows - self.panel.lengths[series]
            after = (beyond >= 0) & (beyond < self.future.shape[1])
            later = self.future[series, np.clip(beyond, 0, self.future.shape[1] - 1)]
            covariates = np.where(after[..., None], later, covariates)
        return np.concatenate([covariates, calendar], -1)


class TrainingWindows:
    """Windows drawn uniformly at random; the same ones for the same seed and step.

    `first` and `last` (N,) are the lowest and the highest cutoff of each series.
    """

    def __init__(
        self, cutter: WindowCutter, first: Ints, last: Ints, *, batch_size: int, seed: int
    ) -> None:
        self._cutter, self._first = cutter, first
        self._counts = np.cumsum(np.maximum(last - first + 1, 0))
        self._size, self._seed = batch_size, seed
        self._rows, self._processes = slice(0, batch_size), 1

    @property
    def total(self) -> int:
        """The number of windows."""
        return int(self._counts[-1]) if len(self._counts) else 0

    def __len__(self) -> int:
        """Batches of an epoch: enough to hold every window once, were each drawn once."""
        return -(-self.total // self._size)

    def window(self, epoch: int, index: int) -> WindowBatch:
        """Batch `index` of `epoch`."""
        key = f"{self._seed} {epoch} {index}".encode()
        generator = np.random.default_rng(
            int.from_bytes(hashlib.blake2b(key, digest_size=8).digest())
        )
        drawn = generator.integers(self.total, size=self._size)
        series = np.searchsorted(self._counts, drawn, side="right")
        before = np.where(series > 0, self._counts[series - 1], 0)
        origins = Origins(series, self._first[series] + drawn - before)
        whole = self._cutter.cut(origins, with_actual=True)
        if self._processes == 1:
            return whole
        own = self._cutter.cut(origins.part(self._rows.start, self._rows.stop), with_actual=True)
        return own._replace(counted=CountedWindows(whole.seen, whole.scale, self._processes))

    def shard(self, rank: int, world: int) -> TrainingWindows:
        """Each batch's part for process `rank` of `world`.

        Raises `ConfigError` where batches can't be divided by as many.
        """
        part = copy.copy(self)
        part._rows, part._processes = rows_of_rank(self._size, rank, world), world
        return part


def cutter_for(
    config: ForecastConfig,
    panel: Panel,
    lookback: int,
    cycles: Sequence[str],
    *,
    numbers: Ints | None = None,
    limit: Ints | None = None,
    start_age: Ints | None = None,
    usual: tuple[SeriesScale, SeriesTraits] | None = None,
    future: NDArray[np.float32] | None = None,
) -> WindowCutter:
    """The cutter of a panel, with these cycles of the calendar; without `usual` the series' scales
    and traits are those before `limit` (N,).
    """
    if usual is None:
        transform, season = config.transform, season_of(config, panel)
        usual = (
            series_scale(panel, transform, limit),
            series_traits(panel, transform, season, config.horizon, limit),
        )
    return WindowCutter(
        panel=panel,
        numbers=np.arange(len(panel)) if numbers is None else numbers,
        calendar=calendar_table(panel, config.horizon, cycles),
        lookback=lookback,
        horizon=config.horizon,
        scaling=config.scaling,
        transform=config.transform,
        series_scale=usual[0],
        series_traits=usual[1],
        start_age=np.zeros(len(panel), np.int64) if start_age is None else start_age,
        future=future,
    )


def training_windows(
    config: ForecastConfig, cutter: WindowCutter, points: SplitPoints, seed: int
) -> TrainingWindows:
    """The windows that a member with that seed is trained on."""
    return TrainingWindows(
        cutter, points.first, points.last, batch_size=config.batch_size, seed=seed
    )
