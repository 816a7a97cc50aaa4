"""A layer's states as a cloud in space: its dimension, its main axes, and how fast gates leak."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from recurra.insight.fixed_points import FixedPoint, fixed_points
from recurra.nn.observe.recording import LayerRun

__all__ = ["GateTime", "StateSpace", "state_space"]

ROWS = 6
"""Trajectories that are kept."""
LARGEST = 64
"""Layers with more state units have no fixed points computed, for their cost."""


@dataclass(frozen=True, eq=False)
class GateTime:
    """Time constants of the units of a forget gate.

    Attributes:
        gate: its name.
        state: the state that it keeps.
        steps: (size,), by unit the steps in which the gate's mean value leaves 1/e of the state.
    """

    gate: str
    state: str
    steps: Tensor = field(repr=False)

    def __str__(self) -> str:
        low, middle, high = (
            float(self.steps.quantile(share, interpolation="nearest"))
            for share in (0.25, 0.5, 0.75)
        )
        longest = float(self.steps.max())
        return (
            f"{self.gate} keeps {self.state} for {middle:.3g} steps "
            f"({low:.3g} to {high:.3g}, the longest {longest:.3g})"
        )


@dataclass(frozen=True, eq=False)
class StateSpace:
    """The states of one layer, all of the cell's together.

    Attributes:
        name: the layer.
        participation: the participation ratio of their principal components,
            (sum of variances)^2 / sum of their squares: about how many dimensions they fill.
        explained: (3,) or fewer, the shares of variance of the first components.
        mean, axes: (S,) and (S, 3) or narrower: a state's place is (state - mean) @ axes.
        paths: trajectories (steps, 3) or narrower, of some rows.
        times: time constants of each forget gate.
        points: fixed and slow points under the median input; None where they weren't computed.
    """

    name: str
    participation: float
    explained: Tensor = field(repr=False)
    mean: Tensor = field(repr=False)
    axes: Tensor = field(repr=False)
    paths: tuple[Tensor, ...] = field(repr=False)
    times: tuple[GateTime, ...]
    points: tuple[FixedPoint, ...] | None

    def place(self, state: Tensor) -> Tensor:
        """The coordinates of states (..., S) along the axes."""
        return (state.double() - self.mean) @ self.axes


def state_space(run: LayerRun) -> StateSpace:
    """Describe the states of a recorded layer."""
    states = torch.cat([torch.stack(s) for s in zip(*run.after, strict=True)], -1)
    states = states.detach().double().nan_to_num()
    cloud = states[run.active]
    mean = cloud.mean(0)
    _, sizes, axes = torch.linalg.svd(cloud - mean, full_matrices=False)
    variance = sizes.square()
    total = float(variance.sum())
    ratio = total**2 / float(variance.square().sum()) if total > 0 else 0.0
    axes = axes[:3].T
    over_time = run.in_order(states)
    active = run.in_order(run.active)
    paths = tuple(
        (over_time[active[:, row], row] - mean) @ axes for row in range(min(ROWS, states.shape[1]))
    )
    points = fixed_points(run) if states.shape[-1] <= LARGEST and not run.graph.givens else None
    explained = variance[:3] / total if total > 0 else variance[:3]
    return StateSpace(run.name, ratio, explained, mean, axes, paths, _times(run), points)


def _times(run: LayerRun) -> tuple[GateTime, ...]:
    found = []
    for name, (value, values) in run.values().items():
        if value.keeps is not None:
            mean = values[run.active].double().mean(0)
            kept = (1 - mean if value.inverted else mean).clamp(min=0)
            steps = torch.where(kept < 1, -1 / kept.clamp(max=1 - 1e-15).log(), math.inf)
            found.append(GateTime(name, value.keeps, steps))
    return tuple(found)
