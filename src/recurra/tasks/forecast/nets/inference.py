"""Forecasts of trained networks from any origins, in batches, and back on the scale of the data."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.config.options import check_seed
from recurra.tasks.forecast.nets.components import ForecastNet
from recurra.tasks.forecast.windows.cutter import WindowBatch, WindowCutter
from recurra.tasks.forecast.windows.scaling import transformed, untransformed
from recurra.tasks.forecast.windows.splits import Origins
from recurra.tasks.forecast.windows.traits import WindowTraits

__all__ = [
    "Predictions",
    "ScaledForecasts",
    "batches",
    "scaled_forecasts",
    "seeded",
]

Floats = NDArray[np.float64]

_STEPS = 200_000
"""Steps of look-back, all windows together, in one batch: a limit of memory."""

_SAMPLED = 20_000
"""Paths, all windows together, in one batch: a limit of memory."""


class Predictions(NamedTuple):
    """Forecasts on the scale of the data: point (W, H), quantiles (W, H, Q), paths (W, S, H).

    `unrounded` are the quantiles before those of whole numbers were rounded: scores that tell how
    far out a value lies need them.
    """

    point: Floats
    quantiles: Floats
    unrounded: Floats
    paths: Floats | None = None


class ScaledForecasts(NamedTuple):
    """Forecasts (W, H, Q) of the networks, with location and scale (W,) and traits of each window.

    Q = 1 for networks trained for one number a step. `paths` (W, S, H) where any were drawn.
    """

    quantiles: Floats
    location: Floats
    scale: Floats
    traits: WindowTraits
    paths: Floats | None = None

    def at(self, chosen: NDArray[np.bool_]) -> "ScaledForecasts":
        """The forecasts of some windows, a mask (W,), without their paths."""
        parts = (self.quantiles[chosen], self.location[chosen], self.scale[chosen])
        return ScaledForecasts(*parts, self.traits.at(chosen))

    def to_data(self, values: Floats, transform: str) -> Floats:
        """Scaled values (W, ...) on the scale of the data."""
        shape = (-1, *[1] * (values.ndim - 1))
        return untransformed(
            self.location.reshape(shape) + self.scale.reshape(shape) * values, transform
        )

    def to_scaled(self, actual: Floats) -> Floats:
        """Transformed actual values (W, H) on the networks' scale."""
        return (actual - self.location[:, None]) / self.scale[:, None]


def batches(
    cutter: WindowCutter, origins: Origins, *, rows: int | None = None, with_actual: bool = False
) -> Iterator[WindowBatch]:
    """The windows of `origins` in order, in batches of `rows`, or as many as fit."""
    size = rows or max(1, _STEPS // (cutter.lookback + cutter.horizon))
    for low in range(0, len(origins.series), size):
        yield cutter.cut(origins.part(low, low + size), with_actual=with_actual)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """A context without gradients, in which draws depend on `seed` alone; torch's own random state
    is restored after it. ConfigError for a seed that is not from 0 to 2**63 - 1.
    """
    check_seed(seed)
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(seed)
        yield


def scaled_forecasts(
    nets: Sequence[ForecastNet],
    cutter: WindowCutter,
    origins: Origins,
    *,
    paths: int = 0,
    seed: int = 0,
) -> ScaledForecasts:
    """The mean forecast of the networks from each origin; `paths` of each where they sample.

    The samples of an origin are the same whichever others are forecast along with it.
    """
    parts, done = [], 0
    for batch in batches(cutter, origins, rows=_rows(nets[0], paths)):
        with seeded(seed):  # again for each batch, so that none depends on those before it
            members = [net.eval().forecast(batch, paths) for net in nets]
        mean = torch.stack([member.quantiles for member in members]).double().mean(0)
        drawn = [m.paths for m in members if m.paths is not None]
        together = torch.cat(drawn).double().transpose(0, 1) if paths and drawn else None
        traits = cutter.traits(batch, origins.series[done : done + len(mean)])
        done += len(mean)
        scales = (batch.location.numpy(), batch.scale.numpy())
        parts.append((mean.numpy(), *scales, traits, together))
    if not parts:
        nothing, empty = cutter.cut(origins, with_actual=False), np.zeros(0)
        traits = cutter.traits(nothing, origins.series)
        return ScaledForecasts(np.zeros((0, cutter.horizon, 1)), empty, empty, traits)
    quantiles, location, scale = (np.concatenate([part[k] for part in parts]) for k in range(3))
    traits = WindowTraits.joined([part[3] for part in parts])
    found = ScaledForecasts(quantiles, location, scale, traits, _joined([p[4] for p in parts]))
    if cutter.combination is None:
        return found
    return _combined(found, nets[0].levels, cutter, origins)


def _combined(
    found: ScaledForecasts, levels: tuple[float, ...], cutter: WindowCutter, origins: Origins
) -> ScaledForecasts:
    """The forecasts moved so that their centres are means with the statistical forecasts."""
    assert cutter.combination is not None
    middle = found.quantiles[..., levels.index(0.5) if levels else 0]

    def to_scaled(values: Floats) -> Floats:
        return found.to_scaled(transformed(values, cutter.transform))

    centre = cutter.combination.centre(middle, cutter.panel, *origins, to_scaled)
    moved = (centre - middle)[..., None]
    paths = None if found.paths is None else found.paths + moved.swapaxes(1, 2)
    return found._replace(quantiles=found.quantiles + moved, paths=paths)


def _joined(parts: list[Tensor | None]) -> Floats | None:
    arrays = [part.numpy() for part in parts if part is not None]
    return np.concatenate(arrays) if arrays else None


def _rows(net: ForecastNet, paths: int) -> int | None:
    """The rows of a batch; a network that samples has a row for each path of each window."""
    samples = max(net.samples, paths) if net.samples else 0
    return max(1, _SAMPLED // samples) if samples else None
