"""Quantiles made to hold what they say, by how often they did on a held-back part (conformal).

Romano, Patterson and Candès 2019, "Conformalized Quantile Regression" (arXiv:1905.03222), for each
quantile by itself: what has to be added, on the scale of the window, for the wanted share of the
held-back truths to lie below. Where a network gives one number a step, this makes quantiles of it.
What is added grows with how far the window moves from step to step, as in the locally weighted
intervals of Lei, G'Sell, Rinaldo, Tibshirani and Wasserman 2018 (arXiv:1604.04173).
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["KEPT", "Calibration", "calibrate", "quantiles_at", "uncalibrated"]

Floats = NDArray[np.float64]

_ENOUGH = 200
"""Truths of windows apart that a step's quantiles are set by; of fewer, its neighbours' help."""

_DOUBT = 10
"""Windows apart that it takes to believe half of what they say of a forecast's centre."""

_PATTERNS = 500
"""Held-back windows whose ranks are kept, to draw paths that go up and down as those did."""

_CALM = 0.25
"""What is added to a window that doesn't move at all, as a share of what is to a usual one."""

KEPT: Floats = 1 / (1 + np.exp(-np.linspace(-7, 7, 101)))
"""Levels of the held-back errors that are kept: from one in a thousand to all but one."""


@dataclass(frozen=True)
class Calibration:
    """What is added to each quantile, (H, Q), scaled; and ranks (K, H) of truths between 0 and 1.

    `levels` are those of the quantiles, `errors` (len(KEPT), H, Q or 1) how the held-back errors
    were spread, `change` how far a usual window moved from step to step: 0 where none is known.
    """

    levels: tuple[float, ...]
    offsets: Floats
    errors: Floats
    change: float
    ranks: Floats

    def __call__(self, given: Floats, change: Floats) -> Floats:
        """Quantiles (W, H, Q), ascending, from a network's (W, H, Q) or (W, H, 1), for windows that
        change (W,) from step to step.
        """
        return np.sort(given + self.wildness(change)[:, None, None] * self.offsets, axis=-1)

    def wildness(self, change: Floats) -> Floats:
        """By what errors of windows are to be expected larger than usual ones, (W,)."""
        return _wildness(change, self.change)

    def paths(self, quantiles: Floats, count: int, generator: np.random.Generator) -> Floats:
        """Paths (W, count, H) through quantiles (W, H, Q), each ranked like a held-back window.

        Clark, Gangopadhyay, Hay, Rajagopalan and Wilby 2004, "The Schaake shuffle".
        """
        drawn = self.ranks[generator.integers(len(self.ranks), size=count)]
        # A rank among K stands for the share of 1 / K about it.
        drawn = drawn + (generator.random((count, 1)) - 0.5) / len(self.ranks)
        return np.stack([quantiles_at(window, self.levels, drawn) for window in quantiles])

    def moved(self, drawn: Floats, change: Floats) -> Floats:
        """Sampled paths (W, S, H), each value moved as the quantile at its rank among them is."""
        ranks = (drawn.argsort(1).argsort(1) + 0.5) / drawn.shape[1]
        added = [np.interp(ranks[..., h], self.levels, o) for h, o in enumerate(self.offsets)]
        moved: Floats = drawn + self.wildness(change)[:, None, None] * np.stack(added, -1)
        return moved

    def tensors(self) -> dict[str, Tensor]:
        """What is kept of it in a run."""
        parts = {name: torch.from_numpy(getattr(self, name)) for name in _ARRAYS}
        return {**parts, "change": torch.tensor(self.change, dtype=torch.double)}

    @classmethod
    def from_tensors(cls, levels: tuple[float, ...], tensors: dict[str, Tensor]) -> "Calibration":
        """The one that was kept."""
        parts = {name: tensors[name].numpy() for name in _ARRAYS}
        return cls(levels, change=float(tensors["change"]), **parts)


_ARRAYS = ("offsets", "errors", "ranks")


def uncalibrated(levels: tuple[float, ...], horizon: int) -> Calibration:
    """Nothing added, nothing known of errors, and ranks that stay where they are along a path."""
    ranks = np.linspace(0, 1, 2 * _PATTERNS + 1)[1::2, None]
    offsets, errors = np.zeros((horizon, len(levels))), np.zeros((len(KEPT), horizon, 1))
    return Calibration(levels, offsets, errors, 0.0, np.repeat(ranks, horizon, 1))


def calibrate(
    given: Floats,
    truth: Floats,
    levels: tuple[float, ...],
    change: Floats,
    apart: int | None = None,
) -> Calibration:
    """From forecasts (W, H, Q or 1) of a held-back part and its truths (W, H), NaN where unknown.

    Both scaled, as is how far the windows `change` (W,) from step to step. W may be 0: nothing is
    added then. `apart` says how many of the windows don't overlap, all if left out: windows that do
    are no further evidence of how far errors may go.
    """
    horizon = truth.shape[1]
    if not np.isfinite(truth).any():
        return uncalibrated(levels, horizon)
    share = 1.0 if apart is None else min(apart / len(truth), 1.0)
    usual = float(change.mean())
    errors = (truth[..., None] - given) / _wildness(change, usual)[:, None, None]
    near = [_near(errors, h, share) for h in range(horizon)]
    counts = share * np.isfinite(errors).all(-1).sum(0)
    offsets = np.stack([_offsets(*part, levels) for part in zip(near, counts, strict=True)])
    if apart is not None:
        offsets = _believed(offsets, apart, levels.index(0.5), own=errors.shape[-1] > 1)
    spread = np.stack([np.quantile(part, KEPT, axis=0) for part in near], 1)
    complete = errors[np.isfinite(errors).all((1, 2))]
    middle = complete[..., levels.index(0.5) if errors.shape[-1] > 1 else 0]
    ranks = _ranks(middle) if len(middle) > 1 else uncalibrated(levels, horizon).ranks
    return Calibration(levels, offsets, spread, usual, ranks)


def _wildness(change: Floats, usual: float) -> Floats:
    found: Floats = _CALM + (1 - _CALM) * change / usual if usual else np.ones_like(change)
    return found


def _believed(offsets: Floats, apart: int, middle: int, *, own: bool) -> Floats:
    """Offsets (H, Q) as far as so many windows apart are to be believed: where a network has `own`
    quantiles all of them shrink, else the centre alone stays nearer to the forecast.
    """
    doubt = _DOUBT / (apart + _DOUBT)
    found: Floats = offsets - doubt * (offsets if own else offsets[:, middle, None])
    return found


def _near(errors: Floats, step: int, share: float) -> Floats:
    """The errors (n, Q) at a step, and at its neighbours if need be: of so large a share of them
    that is evidence.
    """
    for reach in range(errors.shape[1]):
        near = errors[:, max(step - reach, 0) : step + reach + 1]
        near = near[np.isfinite(near).all(-1)]
        if share * len(near) >= _ENOUGH:
            break
    return near


def _offsets(near: Floats, count: float, levels: tuple[float, ...]) -> Floats:
    """The quantile of each level's own errors (n, Q or 1), by its rank among so many windows."""
    # The next truth is one more than these, so each rank is of one more, whichever tail it is in.
    places = (np.array(levels) * (count + 1) - 1) / max(count - 1, 1)
    columns = zip(np.broadcast_to(near.T, (len(levels), len(near))), places.clip(0, 1), strict=True)
    return np.array([np.quantile(column, place) for column, place in columns])


def _ranks(errors: Floats) -> Floats:
    """Where each error (K, H) stands among those of its step, between 0 and 1."""
    kept = errors[:: max(1, len(errors) // _PATTERNS)]
    order = kept.argsort(0).argsort(0)
    ranks: Floats = (order + 0.5) / len(kept)
    return ranks


def quantiles_at(quantiles: Floats, levels: tuple[float, ...], wanted: Floats) -> Floats:
    """Values (S, H) at levels `wanted` (S, H), between and beyond quantiles (H, Q).

    Linear in the normal score of the level, beyond the outermost ones with the last slope.
    """
    score = torch.special.ndtri
    known = score(torch.tensor(levels, dtype=torch.double)).numpy()
    asked = score(torch.from_numpy(np.ascontiguousarray(wanted))).numpy()
    if len(known) == 1:
        return np.broadcast_to(quantiles[:, 0], wanted.shape).copy()
    right = np.clip(np.searchsorted(known, asked), 1, len(known) - 1)
    share = (asked - known[right - 1]) / (known[right] - known[right - 1])
    steps = np.arange(len(quantiles))
    low, high = quantiles[steps, right - 1], quantiles[steps, right]
    found: Floats = low + share * (high - low)
    return found
