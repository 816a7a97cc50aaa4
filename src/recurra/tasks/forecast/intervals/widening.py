"""Widening of intervals by what is missing: a gap at the end of a look-back, or a short history.

Both are measured: part of the look-backs of held-out windows is hidden, and the errors of the
forecasts without it are compared with those of the same windows with it.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.intervals.series_errors import errors_by_law
from recurra.tasks.forecast.nets.components import ForecastNet
from recurra.tasks.forecast.nets.inference import ScaledForecasts, scaled_forecasts
from recurra.tasks.forecast.windows.cutter import WindowCutter, cutter_for
from recurra.tasks.forecast.windows.scaling import series_scale, transformed
from recurra.tasks.forecast.windows.splits import Origins, season_of
from recurra.tasks.forecast.windows.traits import WindowTraits, series_traits

__all__ = ["Widening", "measure_widening", "no_widening"]

Floats = NDArray[np.float64]

_MOST, _MOST_SAMPLED = 200, 50
"""Held-out windows that are forecast again with parts hidden: a limit of time."""

_FEWEST = 5
"""Windows without which nothing is measured."""

_LEVEL = 0.8
"""The quantile of absolute errors that is compared: that of the narrower usual interval."""

_PARTS = 5
"""Lengths of what is hidden, spread geometrically over the look-back."""


class Widening(NamedTuple):
    """Growth of errors, and of the networks' own widths, (P, H) each, with the gap (P,) in steps at
    the end of a look-back, and with the share (P,) of a look-back after its first value; 1 without
    either.
    """

    gaps: Floats
    gap_errors: Floats
    gap_widths: Floats
    shares: Floats
    share_errors: Floats
    share_widths: Floats

    def errors(self, traits: WindowTraits) -> Floats:
        """The growth of errors (W, H) of windows."""
        return _at(self.gaps, self.gap_errors, traits.gap) * _at(
            self.shares, self.share_errors, traits.begun
        )

    def widened(self, quantiles: Floats, middle: int, traits: WindowTraits) -> Floats:
        """Quantiles (W, H, Q) as much wider about the median as errors grow more than they do, and
        as their series' own errors are larger.
        """
        if quantiles.shape[-1] == 1:
            return quantiles
        centre = quantiles[..., middle, None]
        wider: Floats = centre + (quantiles - centre) * self.factor(traits)[..., None]
        return wider

    def factor(self, traits: WindowTraits) -> Floats:
        """The growth (W, H) of what the networks' own intervals need."""
        own = _at(self.gaps, self.gap_widths, traits.gap)
        own = own * _at(self.shares, self.share_widths, traits.begun)
        factor: Floats = traits.width[:, None] * self.errors(traits) / own
        return factor

    def tensors(self) -> dict[str, Tensor]:
        """The parts that a run stores, by name."""
        return {name: torch.from_numpy(part) for name, part in self._asdict().items()}


def no_widening(horizon: int) -> Widening:
    """Errors that nothing missing makes larger."""
    place, growth = np.zeros(1), np.ones((1, horizon))
    return Widening(place, growth, growth, place + 1, growth, growth)


def _at(places: Floats, growth: Floats, wanted: NDArray[Any]) -> Floats:
    """The growth (W, H) at the wanted places (W,), linear between ascending ones (P,)."""
    if len(places) == 1:
        return np.broadcast_to(growth, (len(wanted), growth.shape[1]))
    right = np.clip(np.searchsorted(places, wanted), 1, len(places) - 1)
    share = (wanted - places[right - 1]) / (places[right] - places[right - 1])
    share = share.clip(0, 1)[:, None]
    found: Floats = growth[right - 1] * (1 - share) + growth[right] * share
    return found


def measure_widening(
    config: ForecastConfig,
    nets: Sequence[ForecastNet],
    cutter: WindowCutter,
    origins: Origins,
    law: Floats,
) -> Widening:
    """The growth of errors of held-out windows, as parts of their look-backs are hidden.

    1 throughout where fewer than five windows have a whole look-back and known actual values.
    """
    whole = _whole_windows(cutter, origins, _MOST_SAMPLED if nets[0].samples else _MOST)
    if len(whole.series) < _FEWEST or cutter.lookback < 2:
        return no_widening(cutter.horizon)
    lookback, middle = cutter.lookback, (len(nets[0].levels) - 1) // 2
    actual = transformed(cutter.actual(whole), cutter.transform)

    traits = cutter.traits(cutter.cut(whole, with_actual=False), whole.series)
    usual = float(np.median(traits.error))

    def measure(cutter: WindowCutter, origins: Origins) -> tuple[Floats, Floats]:
        scaled = scaled_forecasts(nets, cutter, origins, seed=config.seed)
        return _sizes(scaled, actual, middle, usual)

    errors, widths = measure(cutter, whole)
    few = np.unique(np.geomspace(1, lookback, _PARTS).round().astype(int))
    # With few values left their mean and deviation are poor: there the growth bends.
    lengths = np.unique([*few, *(lookback - few[:-1])])
    counts = few[:-1]
    gaps = [
        measure(dataclasses.replace(cutter, hidden=(lookback - n, lookback)), whole)
        for n in lengths[lengths > 0]
    ]
    shares = [measure(*_as_new(config, cutter, whole, int(n), law)) for n in counts[::-1]]
    return Widening(
        np.array([0, *lengths[lengths > 0]], np.float64),
        np.maximum(_growth([part[0] for part in gaps], errors), 1),
        _growth([part[1] for part in gaps], widths),
        np.array([*counts, lookback]) / lookback,
        np.maximum(_growth([part[0] for part in shares], errors), 1)[::-1].copy(),
        _growth([part[1] for part in shares], widths)[::-1].copy(),
    )


def _as_new(
    config: ForecastConfig, cutter: WindowCutter, origins: Origins, steps: int, law: Floats
) -> tuple[WindowCutter, Origins]:
    """Windows as if each were a series of its own, not trained on and so many steps old."""
    panel = cutter.panel.select(origins.series)
    panel = panel.until(np.minimum(origins.cutoffs + cutter.horizon, panel.lengths))
    panel = panel.tail(steps + cutter.horizon)
    ends = np.full(len(panel), steps)
    scale = series_scale(panel, config.transform, ends, others=cutter.series_scale)
    traits = series_traits(panel, config.transform, season_of(config, panel), config.horizon, ends)
    new = cutter_for(
        config,
        panel,
        cutter.lookback,
        cutter.calendar.cycles,
        numbers=np.full(len(panel), -1),
        usual=(scale, errors_by_law(law, traits, scale)),
    )
    return new, Origins(np.arange(len(panel)), ends)


def _growth(parts: list[Floats], before: Floats) -> Floats:
    """The sizes (P + 1, H) as shares of those before, which come first; 1 where unknown."""
    growth = np.stack([before, *parts]) / before
    return np.where(np.isfinite(growth), growth, 1.0)


def _whole_windows(cutter: WindowCutter, origins: Origins, most: int) -> Origins:
    """At most so many windows, spread evenly, with a regular look-back and a known actual value."""
    origins = origins.at(np.flatnonzero(np.isfinite(cutter.actual(origins)).any(1)))
    if not len(origins.series):
        return origins
    some = np.linspace(0, len(origins.series) - 1, 4 * most).round().astype(int)
    origins = origins.at(np.unique(some))
    traits = cutter.traits(cutter.cut(origins, with_actual=False), origins.series)
    usable = np.flatnonzero(traits.regular & (traits.seen > 0.8) & np.isfinite(traits.error))
    return origins.at(usable[:: max(1, len(usable) // most)][:most])


def _sizes(
    scaled: ScaledForecasts, actual: Floats, middle: int, usual: float
) -> tuple[Floats, Floats]:
    """Errors and widths (H,) in units of the errors expected, which are the `usual` where unknown;
    of neighbouring steps too.
    """
    expected = np.where(np.isfinite(scaled.traits.error), scaled.traits.error, usual)[:, None]
    errors = np.abs(scaled.to_scaled(actual) - scaled.quantiles[..., middle]) / expected
    outer = (scaled.quantiles[..., -1] - scaled.quantiles[..., 0]) / expected
    reach, horizon = max(1, actual.shape[1] // 4), actual.shape[1]
    found = [
        [np.nanquantile(part[:, max(h - reach, 0) : h + reach + 1], _LEVEL) for h in range(horizon)]
        for part in (errors, outer)
    ]
    sizes = np.array(found)
    return np.maximum(sizes[0], 1e-9), np.maximum(sizes[1], 1e-9)
