"""Quantiles that follow what comes: the truths of rolling forecasts join the held-back errors.

Errors count less the older they are (Barber, Candès, Ramdas and Tibshirani 2023, "Conformal
prediction beyond exchangeability", arXiv:2202.13415), and levels are moved for as long as truths
lie below their quantiles too often or too seldom (Gibbs and Candès 2021, arXiv:2106.00263).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from recurra.errors import ConfigError
from recurra.tasks.forecast.intervals.calibrate import KEPT, Calibration

__all__ = ["followed"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_PULL = 0.001
"""By how much a level moves in a step, in logits, where no truth lies beyond it."""

_FARTHEST = 4.0
"""How far a level may have moved, in logits."""

_BEYOND = np.linspace(1.05, 5, 40)
"""Where an error lies that is larger than all held-back ones, in multiples of the largest."""


def followed(
    calibration: Calibration,
    given: Floats,
    truth: Floats,
    change: Floats,
    position: Ints,
    half_life: int,
) -> Floats:
    """Quantiles (W, H, Q) of rolling forecasts, each by the truths that are known when it is made.

    Networks' forecasts (W, H, Q or 1), their truths (W, H), NaN where missing, and the `change`
    (W,) of their windows are scaled. `position` (W,) says at which step of time each is made; all
    series share what they learn. An error counts half after `half_life` steps. Until a truth is
    known these are the calibrated quantiles. Raises ConfigError where nothing was held back.
    """
    if not calibration.errors.any():
        raise ConfigError(
            "adapt needs the errors of a held-back part to begin with, and none was kept: train "
            "with calibrate = true, on longer series or with a smaller holdback."
        )
    order = np.argsort(position, kind="stable")
    wild = calibration.wildness(change[order])
    errors = (truth[order][..., None] - given[order]) / wild[:, None, None]
    times, rounds = np.unique(position[order], return_index=True)
    state = _Errors(calibration, errors, half_life * len(position) / len(times))
    moved = np.empty((*truth.shape, len(calibration.levels)))
    bounds = [*rounds[1:], len(position)]
    for low, high, (elapsed, rows, steps) in zip(
        rounds, bounds, _known(position[order], times, truth.shape[1]), strict=True
    ):
        there = np.isfinite(errors[rows, steps]).all(-1)
        rows, steps = rows[there], steps[there]
        if len(rows):
            state.learn(rows, steps, moved[rows, steps], elapsed, 0.5 ** (elapsed / half_life))
        moved[low:high] = state.offsets()
    found = np.empty_like(moved)
    found[order] = np.sort(given[order] + wild[:, None, None] * moved, axis=-1)
    return found


def _known(position: Ints, times: Ints, horizon: int) -> Iterator[tuple[int, Ints, Ints]]:
    """For each time, the steps since the one before, and which windows' (n,) truths at which
    distances (n,) have become known since then.
    """
    distance, before = np.arange(horizon), times[0] - 1
    for now in times:
        # A truth `distance` steps ahead of an origin is known from distance + 1 steps later on.
        low, high = (np.searchsorted(position, t - distance, "left") for t in (before, now))
        count = high - low
        steps = np.repeat(distance, count)
        first = np.repeat(np.cumsum(count) - count, count)
        yield int(now - before), low[steps] + np.arange(count.sum()) - first, steps
        before = now


class _Errors:
    """How errors are spread at each distance, and by how much each level has moved."""

    def __init__(self, calibration: Calibration, errors: Floats, weight: float) -> None:
        kept, self.levels = calibration.errors, np.array(calibration.levels)
        middle = kept[len(KEPT) // 2]
        far = _BEYOND[:, None, None]
        below, above = (middle + (kept[end] - middle) * far for end in (0, -1))
        self.edges = np.concatenate([below[::-1], kept, above])
        self.errors = errors
        self.places = _places(self.edges, errors)
        outside = np.zeros(len(_BEYOND))
        share = np.concatenate([outside, np.diff(KEPT, prepend=0, append=1), outside])
        self.mass = np.tile(weight * share[:, None, None], (1, *kept.shape[1:]))
        self.shift = np.zeros(len(self.levels))
        self.calibrated, self.begun = calibration.offsets, self._quantiles()

    def learn(self, rows: Ints, steps: Ints, told: Floats, elapsed: int, kept: float) -> None:
        """Take in the errors (n,) of some windows and distances, where `told` (n, Q) was added."""
        self.mass *= kept
        for column in range(self.mass.shape[-1]):
            np.add.at(self.mass[..., column], (self.places[rows, steps, column], steps), elapsed)
        above = (self.levels - (self.errors[rows, steps] <= told)).mean(0)
        # By the share of the tail: a far quantile is seldom passed, so each miss tells more.
        pull = min(_PULL * elapsed, 0.05) / (self.levels * (1 - self.levels))
        self.shift = np.clip(self.shift + pull * above, -_FARTHEST, _FARTHEST)

    def offsets(self) -> Floats:
        """What is to be added now, (H, Q): what was calibrated, moved as errors have since."""
        found: Floats = self.calibrated + self._quantiles() - self.begun
        return found

    def _quantiles(self) -> Floats:
        wanted = 1 / (1 + (1 / self.levels - 1) * np.exp(-self.shift))
        below = self.mass.cumsum(0)
        below /= below[-1]
        last = below.shape[-1] - 1
        found = [
            _interpolated(below[..., min(k, last)], self.edges[..., min(k, last)], level)
            for k, level in enumerate(wanted)
        ]
        return np.stack(found, -1)


def _places(edges: Floats, errors: Floats) -> Ints:
    """Between which edges (E, H, C) each error (W, H, C) lies: 0 below all, E above all."""
    places = np.empty(errors.shape, np.int64)
    for step in range(errors.shape[1]):
        for column in range(errors.shape[2]):
            places[:, step, column] = np.searchsorted(
                edges[:, step, column], errors[:, step, column]
            )
    return places


def _interpolated(below: Floats, edges: Floats, level: float) -> Floats:
    """Where the share `below` (E + 1, H) each edge (E, H) reaches a level, (H,)."""
    last = np.clip((below[:-1] < level).sum(0), 1, len(edges) - 1)
    steps = np.arange(edges.shape[1])
    low, high = below[last - 1, steps], below[last, steps]
    share = np.clip((level - low) / np.maximum(high - low, 1e-300), 0, 1)
    found: Floats = edges[last - 1, steps] * (1 - share) + edges[last, steps] * share
    return found
