"""Adaptation of quantiles: in rolling forecasts, new errors join the held-out ones.

Errors count less the older they are (Barber, Candès, Ramdas and Tibshirani 2023, "Conformal
prediction beyond exchangeability", arXiv:2202.13415), and levels move while actual values lie below
their quantiles too often or too seldom (Gibbs and Candès 2021, arXiv:2106.00263).

The constants were chosen on the rehearsal of benchmarks/README.md, "ETTh1":
`python benchmarks/forecast/etth1.py --rehearse --horizons 96,336,720 hidden=64 embedding=32
ensemble=1 max_steps=300 batch_size=128`, row "the same, and levels that follow".
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from recurra.errors import ConfigError
from recurra.tasks.forecast.intervals.calibration import ERROR_LEVELS, Calibration
from recurra.tasks.forecast.windows.traits import WindowTraits

__all__ = ["adaptive_quantiles"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_RATE = 0.001
"""The movement of a level in one step, in logits, while no actual value lies beyond it."""

_MOST_SHIFT = 4.0
"""The furthest that a level moves, in logits."""

_BEYOND = np.linspace(1.05, 5, 40)
"""Edges of errors larger than all held-out ones, in multiples of the largest."""


def adaptive_quantiles(
    calibration: Calibration,
    quantiles: Floats,
    actual: Floats,
    traits: WindowTraits,
    position: Ints,
    half_life: int,
) -> Floats:
    """Quantiles (W, H, Q) of rolling forecasts, each adapted to the actual values known by then.

    The networks' forecasts (W, H, Q or 1) and the actual values (W, H), NaN where missing, are
    scaled. `position` (W,) is the time step of each origin;
    all series share what they learn. The weight of an error halves every `half_life` steps. Until
    an actual value is known these are the calibrated quantiles. Raises ConfigError where nothing
    was held out.
    """
    if not calibration.errors.any():
        raise ConfigError(
            "adapt needs the errors of a held-out part to start from, and the run has none: train "
            "with calibrate = true, on longer series or with a smaller holdback."
        )
    order = np.argsort(position, kind="stable")
    traits = traits.at(order)
    scale = calibration.error_scale(traits)[..., None]
    own = calibration.widened(quantiles[order], traits)
    initial = calibration.offsets_of(traits)
    errors = (actual[order][..., None] - own) / scale
    times, rounds = np.unique(position[order], return_index=True)
    record = _ErrorRecord(calibration, errors, half_life * len(position) / len(times))
    offsets = np.empty((*actual.shape, len(calibration.levels)))
    bounds = [*rounds[1:], len(position)]
    for low, high, (elapsed, rows, steps) in zip(
        rounds, bounds, _newly_known(position[order], times, actual.shape[1]), strict=True
    ):
        finite = np.isfinite(errors[rows, steps]).all(-1)
        rows, steps = rows[finite], steps[finite]
        if len(rows):
            decay = 0.5 ** (elapsed / half_life)
            record.learn(rows, steps, offsets[rows, steps], elapsed, decay)
        offsets[low:high] = initial[low:high] + record.moved()
    adapted = np.empty_like(offsets)
    adapted[order] = np.sort(own + scale * offsets, axis=-1)
    return adapted


def _newly_known(position: Ints, times: Ints, horizon: int) -> Iterator[tuple[int, Ints, Ints]]:
    """For each time the steps since the one before, and the windows (n,) and distances (n,) whose
    actual values have become known since then.
    """
    distance, before = np.arange(horizon), times[0] - 1
    for now in times:
        # A value `distance` steps ahead of an origin is known from distance + 1 steps later on.
        low, high = (np.searchsorted(position, t - distance, "left") for t in (before, now))
        count = high - low
        steps = np.repeat(distance, count)
        first = np.repeat(np.cumsum(count) - count, count)
        yield int(now - before), low[steps] + np.arange(count.sum()) - first, steps
        before = now


class _ErrorRecord:
    """A decaying histogram of errors at each distance, and the shift of each level in logits."""

    def __init__(self, calibration: Calibration, errors: Floats, weight: float) -> None:
        stored, self.levels = calibration.errors, np.array(calibration.levels)
        middle = stored[len(ERROR_LEVELS) // 2]
        far = _BEYOND[:, None, None]
        below, above = (middle + (stored[end] - middle) * far for end in (0, -1))
        self.edges = np.concatenate([below[::-1], stored, above])
        self.errors = errors
        self.places = _places(self.edges, errors)
        outside = np.zeros(len(_BEYOND))
        share = np.concatenate([outside, np.diff(ERROR_LEVELS, prepend=0, append=1), outside])
        self.mass = np.tile(weight * share[:, None, None], (1, *stored.shape[1:]))
        self.shift = np.zeros(len(self.levels))
        self.initial = self._quantiles()

    def learn(self, rows: Ints, steps: Ints, added: Floats, elapsed: int, decay: float) -> None:
        """Take in the errors (n,) of windows and distances whose offsets were `added` (n, Q)."""
        self.mass *= decay
        for column in range(self.mass.shape[-1]):
            np.add.at(self.mass[..., column], (self.places[rows, steps, column], steps), elapsed)
        above = (self.levels - (self.errors[rows, steps] <= added)).mean(0)
        # By the share of the tail: a far quantile is seldom passed, so each miss weighs more.
        rate = min(_RATE * elapsed, 0.05) / (self.levels * (1 - self.levels))
        self.shift = np.clip(self.shift + rate * above, -_MOST_SHIFT, _MOST_SHIFT)

    def moved(self) -> Floats:
        """How far the quantiles of errors have moved, (H, Q): so do the calibrated offsets."""
        return self._quantiles() - self.initial

    def _quantiles(self) -> Floats:
        levels = 1 / (1 + (1 / self.levels - 1) * np.exp(-self.shift))
        below = self.mass.cumsum(0)
        below /= below[-1]
        last = below.shape[-1] - 1
        columns = [
            _interpolated(below[..., min(k, last)], self.edges[..., min(k, last)], level)
            for k, level in enumerate(levels)
        ]
        return np.stack(columns, -1)


def _places(edges: Floats, errors: Floats) -> Ints:
    """The interval between edges (E, H, C) of each error (W, H, C): 0 below all, E above all."""
    places = np.empty(errors.shape, np.int64)
    for step in range(errors.shape[1]):
        for column in range(errors.shape[2]):
            places[:, step, column] = np.searchsorted(
                edges[:, step, column], errors[:, step, column]
            )
    return places


def _interpolated(below: Floats, edges: Floats, level: float) -> Floats:
    """The value (H,) at which the share `below` (E + 1, H) of each edge (E, H) reaches a level."""
    last = np.clip((below[:-1] < level).sum(0), 1, len(edges) - 1)
    steps = np.arange(edges.shape[1])
    low, high = below[last - 1, steps], below[last, steps]
    share = np.clip((level - low) / np.maximum(high - low, 1e-300), 0, 1)
    value: Floats = edges[last - 1, steps] * (1 - share) + edges[last, steps] * share
    return value
