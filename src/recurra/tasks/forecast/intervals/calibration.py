"""Calibration of quantiles by the errors of a held-out part (conformal prediction).

Romano, Patterson and Candès 2019, "Conformalized Quantile Regression" (arXiv:1905.03222), for each
quantile by itself: the offset, on the scale of the window, with which the level's share of the
held-out actual values lies below. Of a network with one number a step this makes quantiles.
Offsets grow with the change of a window from step to step, as in the locally weighted intervals of
Lei, G'Sell, Rinaldo, Tibshirani and Wasserman 2018 (arXiv:1604.04173).

Whether there are enough held-out windows is said here as well.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.data.series.panel import Panel
from recurra.metrics.conformal import errors_needed, rank_places
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.windows.splits import (
    Origins,
    count_disjoint,
    holdout_origins,
    season_of,
    split,
)

__all__ = [
    "ERROR_LEVELS",
    "Calibration",
    "calibrate",
    "interval_warnings",
    "quantiles_at",
    "uncalibrated",
]


Floats = NDArray[np.float64]

_ENOUGH = 200
"""Errors of disjoint windows that set a step's quantiles; with fewer, neighbouring steps help. Not
tuned: a quantile of 0.025 or 0.975 has five errors beyond it then."""

_PRIOR_WINDOWS = 10
"""Disjoint windows at which a forecast's centre moves by half of its mean error; not tuned."""

_MOST_RANKS = 500
"""Held-out windows whose ranks are stored, to draw paths that rise and fall as those did."""

_CALM = 0.25
"""The offset of a window without any change, as a share of a usual one's. Set without a search;
the effect of growing offsets is the row "by how far the window moves" of benchmarks/README.md,
ETTh1."""

ERROR_LEVELS: Floats = 1 / (1 + np.exp(-np.linspace(-7, 7, 101)))
"""Levels at which quantiles of the held-out errors are stored: from 0.001 to 0.999."""


@dataclass(frozen=True)
class Calibration:
    """Offsets (H, Q) of quantiles, scaled, and ranks (K, H) of actual values between 0 and 1.

    `levels` are those of the quantiles, `errors` (len(ERROR_LEVELS), H, Q or 1) quantiles of the
    held-out errors, `change` a usual window's mean change from step to step: 0 without any.
    """

    levels: tuple[float, ...]
    offsets: Floats
    errors: Floats
    change: float
    ranks: Floats

    def __call__(self, quantiles: Floats, change: Floats) -> Floats:
        """Quantiles (W, H, Q), ascending, from a network's (W, H, Q) or (W, H, 1), of windows with
        this mean change (W,) from step to step.
        """
        return np.sort(quantiles + self.error_scale(change)[:, None, None] * self.offsets, axis=-1)

    def error_scale(self, change: Floats) -> Floats:
        """The expected size of the windows' errors, in multiples of a usual one's, (W,)."""
        return _error_scale(change, self.change)

    def paths(self, quantiles: Floats, count: int, generator: np.random.Generator) -> Floats:
        """Paths (W, count, H) through quantiles (W, H, Q), each ranked like a held-out window.

        Clark, Gangopadhyay, Hay, Rajagopalan and Wilby 2004, "The Schaake shuffle".
        """
        drawn = self.ranks[generator.integers(len(self.ranks), size=count)]
        # A rank among K stands for the share of 1 / K about it.
        drawn = drawn + (generator.random((count, 1)) - 0.5) / len(self.ranks)
        return np.stack([quantiles_at(window, self.levels, drawn) for window in quantiles])

    def shifted(self, paths: Floats, change: Floats) -> Floats:
        """Sampled paths (W, S, H), each value shifted like the quantile at its rank."""
        ranks = (paths.argsort(1).argsort(1) + 0.5) / paths.shape[1]
        added = [np.interp(ranks[..., h], self.levels, o) for h, o in enumerate(self.offsets)]
        shifted: Floats = paths + self.error_scale(change)[:, None, None] * np.stack(added, -1)
        return shifted

    def tensors(self) -> dict[str, Tensor]:
        """The parts that a run stores, by name."""
        parts = {name: torch.from_numpy(getattr(self, name)) for name in _ARRAYS}
        return {**parts, "change": torch.tensor(self.change, dtype=torch.double)}

    @classmethod
    def from_tensors(cls, levels: tuple[float, ...], tensors: dict[str, Tensor]) -> "Calibration":
        """The calibration whose parts a run stored."""
        parts = {name: tensors[name].numpy() for name in _ARRAYS}
        return cls(levels, change=float(tensors["change"]), **parts)


_ARRAYS = ("offsets", "errors", "ranks")


def uncalibrated(levels: tuple[float, ...], horizon: int) -> Calibration:
    """A calibration with offsets and errors of 0, and ranks that are constant along a path."""
    ranks = np.linspace(0, 1, 2 * _MOST_RANKS + 1)[1::2, None]
    offsets, errors = np.zeros((horizon, len(levels))), np.zeros((len(ERROR_LEVELS), horizon, 1))
    return Calibration(levels, offsets, errors, 0.0, np.repeat(ranks, horizon, 1))


def calibrate(
    quantiles: Floats,
    actual: Floats,
    levels: tuple[float, ...],
    change: Floats,
    disjoint: int | None = None,
) -> Calibration:
    """A calibration from forecasts (W, H, Q or 1) of a held-out part and its actual values (W, H),
    NaN where unknown.

    Both are scaled, as is the mean change (W,) of each window. W may be 0: all offsets are 0 then.
    `disjoint` is the number of windows that don't overlap, all if left out: windows that do add no
    evidence of the size of errors.
    """
    horizon = actual.shape[1]
    if not np.isfinite(actual).any():
        return uncalibrated(levels, horizon)
    share = 1.0 if disjoint is None else min(disjoint / len(actual), 1.0)
    usual = float(change.mean())
    errors = (actual[..., None] - quantiles) / _error_scale(change, usual)[:, None, None]
    near = [_near(errors, h, share) for h in range(horizon)]
    counts = share * np.isfinite(errors).all(-1).sum(0)
    offsets = np.stack([_offsets(*part, levels) for part in zip(near, counts, strict=True)])
    if disjoint is not None:
        offsets = _shrunk(offsets, disjoint, levels.index(0.5), own=errors.shape[-1] > 1)
    spread = np.stack([np.quantile(part, ERROR_LEVELS, axis=0) for part in near], 1)
    complete = errors[np.isfinite(errors).all((1, 2))]
    middle = complete[..., levels.index(0.5) if errors.shape[-1] > 1 else 0]
    ranks = _ranks(middle) if len(middle) > 1 else uncalibrated(levels, horizon).ranks
    return Calibration(levels, offsets, spread, usual, ranks)


def _error_scale(change: Floats, usual: float) -> Floats:
    scale: Floats = _CALM + (1 - _CALM) * change / usual if usual else np.ones_like(change)
    return scale


def _shrunk(offsets: Floats, disjoint: int, middle: int, *, own: bool) -> Floats:
    """Offsets (H, Q) shrunk by the number of disjoint windows: all of them for a network with
    quantiles of its `own`, else the centre's part alone.
    """
    weight = _PRIOR_WINDOWS / (disjoint + _PRIOR_WINDOWS)
    shrunk: Floats = offsets - weight * (offsets if own else offsets[:, middle, None])
    return shrunk


def _near(errors: Floats, step: int, share: float) -> Floats:
    """The errors (n, Q) at a step, with as many neighbouring steps as it takes to have enough;
    `share` is the share of the windows that are disjoint.
    """
    for reach in range(errors.shape[1]):
        near = errors[:, max(step - reach, 0) : step + reach + 1]
        near = near[np.isfinite(near).all(-1)]
        if share * len(near) >= _ENOUGH:
            break
    return near


def _offsets(near: Floats, count: float, levels: tuple[float, ...]) -> Floats:
    """The quantile of each level's own errors (n, Q or 1), by its rank among `count` windows."""
    places = rank_places(np.array(levels), count)
    columns = zip(np.broadcast_to(near.T, (len(levels), len(near))), places, strict=True)
    return np.array([np.quantile(column, place) for column, place in columns])


def _ranks(errors: Floats) -> Floats:
    """The rank of each error (K, H) among those of its step, between 0 and 1."""
    chosen = errors[:: max(1, len(errors) // _MOST_RANKS)]
    order = chosen.argsort(0).argsort(0)
    ranks: Floats = (order + 0.5) / len(chosen)
    return ranks


def quantiles_at(quantiles: Floats, levels: tuple[float, ...], wanted: Floats) -> Floats:
    """Values (S, H) at levels `wanted` (S, H), between and beyond quantiles (H, Q).

    Linear in the normal score of the level, beyond the outermost ones with the last slope.
    """
    normal = torch.special.ndtri
    scores = normal(torch.tensor(levels, dtype=torch.double)).numpy()
    asked = normal(torch.from_numpy(np.ascontiguousarray(wanted))).numpy()
    if len(scores) == 1:
        return np.broadcast_to(quantiles[:, 0], wanted.shape).copy()
    right = np.clip(np.searchsorted(scores, asked), 1, len(scores) - 1)
    share = (asked - scores[right - 1]) / (scores[right] - scores[right - 1])
    steps = np.arange(len(quantiles))
    low, high = quantiles[steps, right - 1], quantiles[steps, right]
    values: Floats = low + share * (high - low)
    return values


def interval_warnings(config: ForecastConfig, panel: Panel) -> list[str]:
    """A sentence where intervals are calibrated on fewer windows than their tails need.

    Windows that overlap add no evidence.
    """
    if not (config.calibrate or (config.loss != "quantiles" and config.model != "autoregressive")):
        return []
    origins = _origins_with_actual(config, panel)
    count = count_disjoint(origins, config.horizon)
    lacking = {name: need for name, need in _needs(config).items() if count < need}
    if not lacking:
        return []
    needs = ", ".join(f"{name} needs {need}" for name, need in lacking.items())
    return [
        f"The intervals rest on {count} held-out windows that don't overlap, too few to estimate "
        f"the tails ({needs}); actual coverage may be lower than stated. "
        f"{_remedy(config, panel, origins, max(lacking.values()))}"
    ]


def _needs(config: ForecastConfig) -> dict[str, int]:
    """The windows that the interval of each width needs, and each quantile that bounds none."""
    tails = {f"{width:g} %": round(0.5 - width / 200, 6) for width in config.widths}
    bounds = {0.5, *tails.values(), *(round(1 - tail, 6) for tail in tails.values())}
    others = {f"the quantile {q:g}": min(q, 1 - q) for q in config.levels if q not in bounds}
    return {name: errors_needed(tail) for name, tail in (tails | others).items()}


def _origins_with_actual(config: ForecastConfig, panel: Panel) -> Origins:
    """The held-out origins with any known actual value."""
    points = split(config, panel, config.lookback_steps(season_of(config, panel)))
    origins = holdout_origins(config, panel, points)
    known_before = np.concatenate([[0], np.cumsum(np.isfinite(panel.y))])
    start = panel.offsets[origins.series] + origins.cutoffs
    return origins.at(known_before[start + config.horizon] > known_before[start])


def _remedy(config: ForecastConfig, panel: Panel, origins: Origins, need: int) -> str:
    """The remedy: a larger holdback only where the series are long enough for it."""
    series = np.unique(origins.series)
    if len(series):
        steps = -(-need // len(series)) * config.horizon
        if (panel.lengths[series] >= steps + 2 * config.horizon).all():
            return f"Hold out more (holdback = {steps}), or give longer or more series."
    return "Give longer or more series, or ask for narrower intervals."
