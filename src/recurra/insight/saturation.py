"""Saturated gates, dead units, and units that explode."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from recurra.nn.observe.gate_roles import GateRole, gate_roles
from recurra.nn.observe.recording import Kind, LayerRun

__all__ = ["LayerActivity", "Saturation", "Units", "activity_of"]

LOW, HIGH = 0.1, 0.9
"""A sigmoid is closed below 0.1 and open above 0.9 (A. Karpathy et al. 2015, arXiv:1506.02078)."""
STILL = 1e-6
"""A unit that varies by less, relative to the layer's largest value, is constant."""
BOUND, GROWTH = 1e3, 3.0
"""A unit explodes beyond this magnitude, or by this factor from one third to the next."""


@dataclass(frozen=True, eq=False)
class Saturation:
    """The shares of a squashed value that are near its limits.

    Attributes:
        name: the value's name in the equations.
        kind: "sigmoid" or "tanh".
        low: the share of values below 0.1 (for tanh below -0.9).
        high: the share of values above 0.9.
        unit_low: (size,), `low` of each unit.
        unit_high: (size,), `high` of each unit.
        keeps: the state that a forget gate multiplies; None for other values.
        inverted: whether the gate keeps the state where it is 0.
        mean: the mean of the values.
    """

    name: str
    kind: Kind
    low: float
    high: float
    unit_low: Tensor = field(repr=False)
    unit_high: Tensor = field(repr=False)
    keeps: str | None = None
    inverted: bool = False
    mean: float = field(kw_only=True)

    @property
    def share(self) -> float:
        """The share of values near either limit."""
        return self.low + self.high

    @property
    def forgets(self) -> float:
        """The share of a forget gate's values that erase its state; 0 for other gates."""
        if self.keeps is None:
            return 0.0
        return self.high if self.inverted else self.low


@dataclass(frozen=True)
class Units:
    """Units of one layer and direction.

    Attributes:
        size: their number.
        dead: those that are constant: a relu that is always 0, a state that never changes.
        alike: how many others do the same as a unit that came before them.
        exploding: those with a magnitude above 1000, or one that triples from one third of the time
            to the next and exceeds 10.
        largest: the largest magnitude of a state.
    """

    size: int
    dead: tuple[int, ...]
    exploding: tuple[int, ...]
    largest: float
    alike: int


@dataclass(frozen=True, eq=False)
class LayerActivity:
    """The activity of one layer and direction over a batch.

    `roles` are those of its gates. `weights` is the largest gain of a matrix on inputs drawn at
    random: the root of the mean squared norm of its rows.
    """

    name: str
    cell: str
    saturation: tuple[Saturation, ...]
    units: Units
    roles: tuple[GateRole, ...]
    weights: float

    @property
    def gated(self) -> bool:
        """True if the cell has gates."""
        return any(s.kind == "sigmoid" for s in self.saturation)


def activity_of(run: LayerRun) -> LayerActivity:
    """Compute saturation and units of a recorded layer."""
    found = []
    for name, (value, values) in run.values().items():
        if value.kind in ("sigmoid", "tanh"):
            taken = values[run.active]
            edge = LOW if value.kind == "sigmoid" else -HIGH
            low, high = (taken < edge).double().mean(0), (taken > HIGH).double().mean(0)
            shares = float(low.mean()), float(high.mean())
            found.append(
                Saturation(
                    name,
                    value.kind,
                    *shares,
                    low,
                    high,
                    value.keeps,
                    value.inverted,
                    mean=float(taken.double().mean()),
                )
            )
    return LayerActivity(
        run.name, run.graph.cell, tuple(found), _units(run), gate_roles(run.graph), _weights(run)
    )


def _weights(run: LayerRun) -> float:
    """The largest gain of a layer's matrices on random inputs; NaN where it has none."""
    given = {name for name, _ in run.graph.givens}
    gains = [
        float(value.double().square().sum(1).mean().sqrt())
        for name, value in run.params.items()
        if value.dim() == 2 and name not in given
    ]
    return max(gains, default=torch.nan)


def _alike(output: Tensor) -> int:
    """How many units (N, size) do, of those that vary, the same as one before them."""
    scale = output.abs().amax().clamp(min=1e-30)
    rounded = (output / scale * 1e5).round()
    varying = rounded[:, (rounded != rounded[:1]).any(0)]
    return varying.shape[1] - len(set(map(tuple, varying.t().tolist())))


def _units(run: LayerRun) -> Units:
    by_state = [torch.stack(s).detach().double() for s in zip(*run.after, strict=True)]
    output = by_state[0]
    spread = output[run.active].amax(0) - output[run.active].amin(0)
    still = spread <= STILL * max(1.0, float(output[run.active].abs().max()))
    exploding = [_explode(run, state) for state in by_state]
    largest = max(float(state[run.active].abs().max()) for state in by_state)
    wild = {unit for e in exploding for unit in e.nonzero().flatten().tolist()}
    dead = still.nonzero().flatten()
    alike = _alike(output[run.active])
    return Units(output.shape[-1], tuple(dead.tolist()), tuple(sorted(wild)), largest, alike)


def _explode(run: LayerRun, state: Tensor) -> Tensor:
    """A mask (size,) of the units of a state (T, B, size) that explode."""
    magnitude = state.abs().masked_fill(~run.active.unsqueeze(-1), 0).nan_to_num(nan=torch.inf)
    largest = magnitude.amax(dim=(0, 1))
    third = len(magnitude) // 3
    if third == 0:
        return largest > BOUND
    over_time = run.in_order(magnitude)
    middle, late = (
        over_time[third : 2 * third].amax(dim=(0, 1)),
        over_time[-third:].amax(dim=(0, 1)),
    )
    return (largest > BOUND) | ((late > GROWTH * middle) & (late > 10))
