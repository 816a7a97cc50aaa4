"""Forecasts of trained networks from any origins, in batches, back on the scale of the data."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.tasks.forecast.nets import ForecastNet
from recurra.tasks.forecast.windows.scaling import mean_change, untransformed
from recurra.tasks.forecast.windows.windows import Batch, Cutter, Origins

__all__ = ["Predicted", "Scaled", "batches", "change_of", "drawing", "scaled_forecasts"]

Floats = NDArray[np.float64]

_STEPS = 200_000
"""Steps of look-back, all windows together, that are read at once."""

_SAMPLED = 20_000
"""Paths, all windows together, that are sampled at once."""


class Predicted(NamedTuple):
    """Forecasts on the scale of the data: point (W, H), quantiles (W, H, Q), paths (W, S, H)."""

    point: Floats
    quantiles: Floats
    paths: Floats | None


class Scaled(NamedTuple):
    """Forecasts (W, H, Q) as the networks give them, with location and scale (W,) of each window,
    and how far its look-back moves from step to step, scaled.

    Q = 1 for networks trained for one number a step. `paths` (W, S, H) where any were drawn.
    """

    quantiles: Floats
    location: Floats
    scale: Floats
    change: Floats
    paths: Floats | None

    def to_data(self, values: Floats, transform: str) -> Floats:
        """Values (W, ...) on the scale of the data."""
        shape = (-1, *[1] * (values.ndim - 1))
        return untransformed(
            self.location.reshape(shape) + self.scale.reshape(shape) * values, transform
        )

    def to_scaled(self, truth: Floats) -> Floats:
        """Transformed truths (W, H) on the networks' scale."""
        return (truth - self.location[:, None]) / self.scale[:, None]


def batches(
    cutter: Cutter, origins: Origins, *, rows: int | None = None, with_truth: bool = False
) -> Iterator[Batch]:
    """The windows of `origins` in order, as many at once as fit."""
    size = rows or max(1, _STEPS // (cutter.lookback + cutter.horizon))
    for low in range(0, len(origins.series), size):
        yield cutter.cut(origins.part(low, low + size), with_truth=with_truth)


@contextlib.contextmanager
def drawing(seed: int) -> Iterator[None]:
    """What is drawn inside depends on `seed` alone, and torch's random numbers stay as they were;
    nothing is recorded for gradients.
    """
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(seed)
        yield


def scaled_forecasts(
    nets: Sequence[ForecastNet], cutter: Cutter, origins: Origins, *, paths: int = 0, seed: int = 0
) -> Scaled:
    """What the networks, averaged, say ahead of each origin; `paths` of each where they sample.

    What is sampled of an origin is the same whichever others are asked for along with it.
    """
    parts = []
    for batch in batches(cutter, origins, rows=_rows(nets[0], paths)):
        with drawing(seed):  # anew for each batch, so that none depends on those before it
            members = [net.eval().ahead(batch, paths) for net in nets]
        quantiles = torch.stack([member.quantiles for member in members]).double().mean(0)
        drawn = [m.paths for m in members if m.paths is not None]
        together = torch.cat(drawn).double().transpose(0, 1) if paths and drawn else None
        location, scale = batch.location.numpy(), batch.scale.numpy()
        change = change_of(batch, cutter.lookback)
        parts.append((quantiles.numpy(), location, scale, change, together))
    if not parts:
        nothing = np.zeros(0)
        return Scaled(np.zeros((0, cutter.horizon, 1)), nothing, nothing, nothing, None)
    found, location, scale, change = (np.concatenate([p[k] for p in parts]) for k in range(4))
    return Scaled(found, location, scale, change, _joined([p[4] for p in parts]))


def change_of(batch: Batch, lookback: int) -> Floats:
    """How far each window (B,) moves from step to step over its look-back, scaled."""
    values, seen = (part[:lookback].numpy() for part in (batch.values, batch.seen))
    return mean_change(values.astype(np.float64), seen)


def _joined(parts: list[Tensor | None]) -> Floats | None:
    there = [part.numpy() for part in parts if part is not None]
    return np.concatenate(there) if there else None


def _rows(net: ForecastNet, paths: int) -> int | None:
    """A network that samples has as many rows for each window as it draws paths."""
    samples = max(net.samples, paths) if net.samples else 0
    return max(1, _SAMPLED // samples) if samples else None
