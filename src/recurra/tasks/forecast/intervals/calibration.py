"""Calibration of quantiles by the errors of a held-out part (conformal prediction).

Romano, Patterson and Candès 2019, "Conformalized Quantile Regression" (arXiv:1905.03222), for each
quantile by itself: the offset, in units of the error that the window leads to expect, with which
the level's share of the held-out actual values lies below. Of a network with one number a step this
makes quantiles. Errors are measured against those to expect of each window, as in the locally
weighted intervals of Lei, G'Sell, Rinaldo, Tibshirani and Wasserman 2018 (arXiv:1604.04173).
Windows that are regular and those that are not (new series, gaps, hardly any change) have offsets
of their own, as in the label-conditional predictors of Vovk, Gammerman and Shafer 2005,
"Algorithmic learning in a random world", section 4.5: the one kind doesn't widen the other's.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.metrics.conformal import rank_places
from recurra.tasks.forecast.intervals.widening import Widening, no_widening
from recurra.tasks.forecast.windows.traits import WindowTraits

__all__ = [
    "ERROR_LEVELS",
    "Calibration",
    "calibrate",
    "quantiles_at",
    "uncalibrated",
]


Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_ENOUGH = 200
"""Errors of disjoint windows that set a step's quantiles; with fewer, neighbouring steps help. Not
tuned: a quantile of 0.025 or 0.975 has five errors beyond it then."""

_PRIOR_WINDOWS = 10
"""Disjoint windows at which a forecast's centre moves by half of its mean error; not tuned."""

_MOST_RANKS = 500
"""Held-out windows whose ranks are stored, to draw paths that rise and fall as those did."""

_MOST = 6.0
"""A held-out error counts as at most so many times the 80 % quantile of all, in units of the errors
to expect: a few series that jumped don't set everybody's tails. Not tuned; a normal error's would
be at 7.7 deviations."""

_FEWEST_OF_KIND = 20
"""Disjoint windows with which a kind of window has offsets of its own; not tuned."""

ERROR_LEVELS: Floats = 1 / (1 + np.exp(-np.linspace(-7, 7, 101)))
"""Levels at which quantiles of the held-out errors are stored: from 0.001 to 0.999."""


@dataclass(frozen=True)
class Calibration:
    """Offsets (2, H, Q) of quantiles in units of the error to expect, of windows that are not
    regular and of those that are, and ranks (K, H) of actual values between 0 and 1.

    `levels` are those of the quantiles, `errors` (len(ERROR_LEVELS), H, Q or 1) quantiles of the
    held-out errors, `usual` the error to expect of a usual window, scaled. `widening` is by what a
    window lacks. `reach` (2,) and `bias` (2, H) are of the data: how far forecasts may leave the
    range of a history, below and above, and the mean error of the mean, as `offsets` in kind.
    """

    levels: tuple[float, ...]
    offsets: Floats
    errors: Floats
    usual: float
    ranks: Floats
    widening: Widening
    reach: Floats
    bias: Floats

    def __call__(self, quantiles: Floats, traits: WindowTraits) -> Floats:
        """Quantiles (W, H, Q), ascending, from a network's (W, H, Q) or (W, H, 1)."""
        added = self.error_scale(traits)[..., None] * self.offsets_of(traits)
        return np.sort(self.widened(quantiles, traits) + added, axis=-1)

    def error_scale(self, traits: WindowTraits) -> Floats:
        """The error to expect of each step (W, H) of windows, scaled."""
        expected = np.where(np.isfinite(traits.error), traits.error, self.usual)
        scale: Floats = expected[:, None] * self.widening.errors(traits)
        return scale

    def offsets_of(self, traits: WindowTraits) -> Floats:
        """The offsets (W, H, Q) of windows, each by its kind."""
        offsets: Floats = self.offsets[traits.regular.astype(int)]
        return offsets

    def widened(self, quantiles: Floats, traits: WindowTraits) -> Floats:
        """A network's quantiles, wider by what windows lack."""
        return self.widening.widened(quantiles, self.levels.index(0.5), traits)

    def paths(self, quantiles: Floats, count: int, generator: np.random.Generator) -> Floats:
        """Paths (W, count, H) through quantiles (W, H, Q), each ranked like a held-out window.

        Clark, Gangopadhyay, Hay, Rajagopalan and Wilby 2004, "The Schaake shuffle".
        """
        drawn = self.ranks[generator.integers(len(self.ranks), size=count)]
        # A rank among K stands for the share of 1 / K about it.
        drawn = drawn + (generator.random((count, 1)) - 0.5) / len(self.ranks)
        return np.stack([quantiles_at(window, self.levels, drawn) for window in quantiles])

    def shifted(self, paths: Floats, traits: WindowTraits) -> Floats:
        """Sampled paths (W, S, H), each value shifted like the quantile at its rank."""
        ranks = (paths.argsort(1).argsort(1) + 0.5) / paths.shape[1]
        offsets = self.offsets_of(traits)
        added = [
            [np.interp(ranks[w, :, h], self.levels, o) for h, o in enumerate(window)]
            for w, window in enumerate(offsets)
        ]
        moved = np.array(added).reshape(*offsets.shape[:2], paths.shape[1]).transpose(0, 2, 1)
        centre = np.median(paths, 1, keepdims=True)
        paths = centre + (paths - centre) * self.widening.factor(traits)[:, None]
        shifted: Floats = paths + self.error_scale(traits)[:, None] * moved
        return shifted

    def tensors(self) -> dict[str, Tensor]:
        """The parts that a run stores, by name."""
        parts = {name: torch.from_numpy(getattr(self, name)) for name in _ARRAYS}
        parts |= {f"widening.{name}": value for name, value in self.widening.tensors().items()}
        return {**parts, "usual": torch.tensor(self.usual, dtype=torch.double)}

    @classmethod
    def from_tensors(cls, levels: tuple[float, ...], tensors: dict[str, Tensor]) -> "Calibration":
        """The calibration whose parts a run stored."""
        parts = {name: tensors[name].numpy() for name in _ARRAYS}
        widening = Widening(*(tensors[f"widening.{name}"].numpy() for name in Widening._fields))
        return cls(levels, usual=float(tensors["usual"]), widening=widening, **parts)


_ARRAYS = ("offsets", "errors", "ranks", "reach", "bias")


def uncalibrated(levels: tuple[float, ...], horizon: int) -> Calibration:
    """A calibration with offsets and errors of 0, and ranks that are constant along a path."""
    ranks = np.linspace(0, 1, 2 * _MOST_RANKS + 1)[1::2, None]
    return Calibration(
        levels,
        offsets=np.zeros((2, horizon, len(levels))),
        errors=np.zeros((len(ERROR_LEVELS), horizon, 1)),
        usual=1.0,
        ranks=np.repeat(ranks, horizon, 1),
        widening=no_widening(horizon),
        reach=np.full(2, np.inf),
        bias=np.zeros((2, horizon)),
    )


def calibrate(
    quantiles: Floats,
    actual: Floats,
    levels: tuple[float, ...],
    traits: WindowTraits,
    disjoint: int | None = None,
    widening: Widening | None = None,
) -> Calibration:
    """A calibration from forecasts (W, H, Q or 1) of a held-out part and its actual values (W, H),
    NaN where unknown.

    Both are scaled. W may be 0: all offsets are 0 then. Windows of which no error can be expected,
    since nothing in their look-back or series has ever changed, are left out. `disjoint` is the
    number of windows that don't overlap, all if left out: windows that do add no evidence of the
    size of errors.
    """
    horizon = actual.shape[1]
    initial = uncalibrated(levels, horizon)
    usable = np.isfinite(traits.error) & np.isfinite(actual).any(1)
    if not usable.any():
        return initial
    share = 1.0 if disjoint is None else min(disjoint / len(actual), 1.0)
    quantiles, actual, traits = quantiles[usable], actual[usable], traits.at(usable)
    widening = widening or no_widening(horizon)
    wider = widening.widened(quantiles, levels.index(0.5), traits)
    scale = (traits.error[:, None] * widening.errors(traits))[..., None]
    errors = _capped((actual[..., None] - wider) / scale)
    offsets = np.stack(
        [
            _offsets_of_kind(errors[chosen], levels, share, shrinks=disjoint is not None)
            for chosen in _kinds(traits, share)
        ]
    )
    near = [_near(errors, h, share) for h in range(horizon)]
    spread = np.stack([np.quantile(part, ERROR_LEVELS, axis=0) for part in near], 1)
    complete = errors[np.isfinite(errors).all((1, 2))]
    middle = complete[..., levels.index(0.5) if errors.shape[-1] > 1 else 0]
    return Calibration(
        levels,
        offsets,
        spread,
        float(np.median(traits.error)),
        _ranks(middle) if len(middle) > 1 else initial.ranks,
        widening,
        initial.reach,
        initial.bias,
    )


def _capped(errors: Floats) -> Floats:
    """Errors (W, H, C), NaN where unknown, none far larger than most are."""
    most = _MOST * np.nanquantile(np.abs(errors), 0.8, axis=(0, 1))
    most = np.where(most > 0, most, np.inf)
    capped: Floats = np.clip(errors, -most, most)
    return capped


def _kinds(traits: WindowTraits, share: float) -> tuple[Mask, Mask]:
    """Masks (W,) of the windows that calibrate those that are not regular, and those that are: of
    their own kind where there are enough, else all. `share` of the windows don't overlap.
    """
    regular, every = traits.regular, np.ones(len(traits.gap), bool)
    irregular, regular = (
        kind if share * kind.sum() >= _FEWEST_OF_KIND else every for kind in (~regular, regular)
    )
    return irregular, regular


def _offsets_of_kind(
    errors: Floats, levels: tuple[float, ...], share: float, *, shrinks: bool
) -> Floats:
    """The offsets (H, Q) by the errors (W, H, Q or 1) of one kind of window."""
    near = [_near(errors, h, share) for h in range(errors.shape[1])]
    counts = share * np.isfinite(errors).all(-1).sum(0)
    offsets = np.stack([_offsets(*part, levels) for part in zip(near, counts, strict=True)])
    if not shrinks:
        return offsets
    return _shrunk(offsets, share * len(errors), levels.index(0.5), own=errors.shape[-1] > 1)


def _shrunk(offsets: Floats, disjoint: float, middle: int, *, own: bool) -> Floats:
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
