"""Weighted means of a network's forecasts and statistical ones, weights chosen on held-out windows.

The weights are those of ensemble selection (Caruana, Niculescu-Mizil, Crew & Ksikes 2004,
"Ensemble selection from libraries of models"): again and again the forecast joins the mean that
lowers its error most. With few windows they are drawn towards weights by each one's own error.
Intermittent series have weights of their own, chosen by squared errors: their demand is a sum.
"""

import dataclasses
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from recurra.data.series.panel import Panel
from recurra.tasks.forecast.evaluation.scores import is_intermittent
from recurra.tasks.forecast.statistics.histories import Ints, Mask, Vector
from recurra.tasks.forecast.statistics.methods import METHODS

__all__ = ["NETWORK", "Combination", "HeldOutWindows", "MemberForecasts", "member_weights"]

NETWORK = "network"
"""The name of the network's forecasts among the members."""

_ROUNDS = 40
"""Rounds of ensemble selection: weights are multiples of a fortieth."""
_PRIOR = 10
"""Disjoint windows at which the chosen weights count half; not tuned."""
_POWER = 4
"""The power of a member's error by which it weighs without windows to choose by; not tuned."""
_READ, _SEASONS = 1000, 24
"""Steps before an origin that members read at most, at least so many seasons: a limit of size of
the runs, which store as much."""
_LOWEST = 0.25
"""Members' forecasts of series that were always positive stay above this share of the lowest value;
not tuned."""


class HeldOutWindows(NamedTuple):
    """W held-out windows: forecasts (W, H, 1 + M) scaled, the network's first, actual values (W, H)
    of the data, NaN where unknown, the scale of each one's errors (W,), and which are intermittent.
    `to_data` leads from scaled forecasts (W, H) to the data's scale.
    """

    forecasts: Vector
    actual: Vector
    scale: Vector
    intermittent: Mask
    to_data: Callable[[Vector], Vector]


_Made = dict[tuple[int, int], Vector]

_MADE: weakref.WeakKeyDictionary[Panel, dict[tuple[str, int, int], _Made]] = (
    weakref.WeakKeyDictionary()
)
"""Forecasts (H,) that were made, as long as their panel lives: by method, season and horizon, then
by series and cutoff. The trials of a search judge the same windows again and again."""


class MemberForecasts:
    """Forecasts of the methods from origins in panels; each origin is forecast once a panel."""

    def __init__(self, names: Sequence[str], season: int, horizon: int) -> None:
        self.names: tuple[str, ...] = tuple(names)
        self.season: int = season
        self.horizon: int = horizon

    @property
    def reach(self) -> int:
        """The steps before an origin that a forecast reads at most."""
        return max(_READ, _SEASONS * self.season)

    def history(self, panel: Panel, series: int, cutoff: int) -> Vector:
        """What a forecast from an origin reads, (n,)."""
        return panel.values(series)[max(cutoff - self.reach, 0) : cutoff]

    def __call__(self, panel: Panel, series: Ints, cutoffs: Ints) -> Vector:
        """Forecasts (W, H, M) of the data; NaN for a series without a value."""
        keys = list(zip(series.tolist(), cutoffs.tolist(), strict=True))
        columns = [self._of_method(name, panel, keys) for name in self.names]
        return np.stack(columns, -1)

    def _of_method(self, name: str, panel: Panel, keys: Sequence[tuple[int, int]]) -> Vector:
        """Forecasts (W, H) of one method."""
        every = _MADE.setdefault(panel, {})
        made = every.setdefault((name, self.season, self.horizon), {})
        missing = [key for key in dict.fromkeys(keys) if key not in made]
        if missing:
            histories = [self.history(panel, *key) for key in missing]
            found = METHODS[name](histories, self.season, self.horizon).point
            lowest = np.array([_lowest(history) for history in histories])
            made.update(zip(missing, np.maximum(found, lowest[:, None]), strict=True))
        return np.array([made[key] for key in keys]).reshape(len(keys), self.horizon)


def _lowest(history: Vector) -> float:
    """The lowest forecast that a history's sign allows."""
    known = history[np.isfinite(history)]
    if not len(known) or known.min() < 0:
        return -np.inf
    return float(_LOWEST * known.min())


@dataclasses.dataclass(frozen=True, eq=False)
class Combination:
    """Weights (1 + M,) of the network and the members, of regular series and intermittent ones.

    `errors` are those of the network, of each member, and (named "") of the weighted mean on the
    held-out `windows`: mean absolute errors over the series' mean change in a season, the roots of
    mean squares for intermittent ones.
    """

    members: MemberForecasts
    regular: Vector
    intermittent: Vector
    errors: Mapping[str, float] = dataclasses.field(default_factory=dict)
    windows: int = 0

    def weights(self, panel: Panel, series: Ints, cutoffs: Ints) -> Vector:
        """The weights (W, 1 + M) of windows."""
        pairs = zip(series.tolist(), cutoffs.tolist(), strict=True)
        sparse = [is_intermittent(self.members.history(panel, *pair)) for pair in pairs]
        return np.where(np.array(sparse, bool)[:, None], self.intermittent, self.regular)

    def centre(
        self,
        network: Vector,
        panel: Panel,
        series: Ints,
        cutoffs: Ints,
        to_scaled: Callable[[Vector], Vector],
    ) -> Vector:
        """The weighted mean (W, H) of the network's scaled forecasts (W, H) and the members'."""
        own = self.members(panel, series, cutoffs)
        scaled = np.stack([network, *(to_scaled(own[..., m]) for m in range(own.shape[-1]))], -1)
        weights = self.weights(panel, series, cutoffs)[:, None]
        # A member without a forecast (of a series without values) leaves the network alone.
        usable = np.isfinite(scaled)
        weights = np.where(usable, weights, 0.0)
        total = weights.sum(-1)
        mean: Vector = (weights * np.where(usable, scaled, 0.0)).sum(-1)
        return np.where(total > 0, mean / np.where(total > 0, total, 1.0), network)

    def drawn_to(self, alone: "Combination", share: float) -> "Combination":
        """The weights as a mean of these, with a share, and those of the members alone."""
        regular, intermittent = (
            share * own + (1 - share) * other
            for own, other in (
                (self.regular, alone.regular),
                (self.intermittent, alone.intermittent),
            )
        )
        return dataclasses.replace(self, regular=regular, intermittent=intermittent)

    def to_json(self) -> dict[str, Any]:
        """Names, season and weights as JSON."""
        named = (NETWORK, *self.members.names)
        return {
            "season": self.members.season,
            "horizon": self.members.horizon,
            "regular": dict(zip(named, self.regular.tolist(), strict=True)),
            "intermittent": dict(zip(named, self.intermittent.tolist(), strict=True)),
            "errors": dict(self.errors),
            "windows": self.windows,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Combination":
        """The combination that `to_json` described."""
        names = [name for name in record["regular"] if name != NETWORK]
        members = MemberForecasts(names, record["season"], record["horizon"])
        regular, intermittent = (
            np.array(list(record[name].values())) for name in ("regular", "intermittent")
        )
        return cls(members, regular, intermittent, record["errors"], record["windows"])


def member_weights(members: MemberForecasts, windows: HeldOutWindows, disjoint: int) -> Combination:
    """The combination with the least error on held-out windows, of which `disjoint` don't overlap.

    A group of series without a window has the weights of the other.
    """
    chosen = {}
    for sparse in (False, True):
        group = windows.intermittent == sparse
        if group.any():
            share = disjoint * float(group.mean())
            chosen[sparse] = _weights(windows, group, share, 2 if sparse else 1)
    regular = chosen.get(False, chosen.get(True))
    assert regular is not None  # there is a window
    intermittent = chosen.get(True, regular)
    count = windows.forecasts.shape[-1]
    alone = {name: np.eye(count)[m] for m, name in enumerate((NETWORK, *members.names))}
    errors = {name: _mean_error(windows, weights, weights) for name, weights in alone.items()}
    errors[""] = _mean_error(windows, regular, intermittent)
    return Combination(members, regular, intermittent, errors, len(windows.actual))


def _mean_error(windows: HeldOutWindows, regular: Vector, intermittent: Vector) -> float:
    """The mean of both groups' errors, each window counted once."""
    total = 0.0
    for sparse, weights in ((False, regular), (True, intermittent)):
        group = windows.intermittent == sparse
        if group.any():
            power = 2 if sparse else 1
            total += float(group.mean()) * _error(windows, group, weights, power) ** (1 / power)
    return total


def _weights(windows: HeldOutWindows, group: Mask, disjoint: float, power: int) -> Vector:
    """Weights (1 + M,) by the errors, to a power, of a group of windows."""

    def error(weights: Vector) -> float:
        return _error(windows, group, weights, power)

    count = windows.forecasts.shape[-1]
    alone = np.array([error(np.eye(count)[m]) for m in range(count)])
    counts = np.zeros(count)
    for step in range(1, _ROUNDS + 1):
        tried = [error((counts + np.eye(count)[m]) / step) for m in range(count)]
        counts[int(np.argmin(tried))] += 1
    prior = (alone.min() / np.maximum(alone, 1e-300)) ** _POWER if alone.min() > 0 else alone == 0
    prior = prior / prior.sum()
    trust = disjoint / (disjoint + _PRIOR)
    weights: Vector = trust * counts / _ROUNDS + (1 - trust) * prior
    return weights


def _error(windows: HeldOutWindows, group: Mask, weights: Vector, power: int) -> float:
    """The mean scaled error, to a power, of the weighted mean of the forecasts."""
    mean = windows.to_data(windows.forecasts @ weights)
    errors = np.abs(windows.actual - mean)[group] / windows.scale[group, None]
    return float(np.nanmean(errors**power))
