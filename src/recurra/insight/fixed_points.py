"""Fixed and slow points of a layer's dynamics under a constant input, and their linearisation.

A point is fixed where a step leaves the states as they are. Starts drawn from the recorded states
are moved by damped Gauss-Newton steps (Levenberg-Marquardt) down the squared speed of the states
(D. Sussillo and O. Barak 2013, Opening the black box). Where its minimum isn't 0 the point is slow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.func import jacrev, vmap

from recurra.insight.dynamics import spread_over
from recurra.nn.observe.recording import LayerRun

__all__ = ["FixedPoint", "fixed_points"]

STARTS, ROUNDS = 32, 40
FIXED, SLOW = 1e-8, 0.05
"""Speeds of a fixed and of a slow point, as shares of the recorded states' size."""
SAME = 1e-3
"""Points closer than this share of it are one."""
FAR = 3.0
"""A point lies outside of what the network visits beyond this many times its size."""


@dataclass(frozen=True, eq=False)
class FixedPoint:
    """A point of the state space that a step leaves as it is, or nearly so.

    Attributes:
        state: (S,), all states of the cell together.
        speed: the length of a step's change there.
        is_fixed: whether that is 0 within rounding; else the point is slow.
        eigenvalues: (S,), complex, of the step's Jacobian there, the largest magnitude first.
        count: the starts that came here.
    """

    state: Tensor = field(repr=False)
    speed: float
    is_fixed: bool
    eigenvalues: Tensor = field(repr=False)
    count: int

    @property
    def unstable(self) -> int:
        """The number of directions in which small changes grow."""
        return int((self.eigenvalues.abs() > 1 + 1e-9).sum())

    @property
    def kind(self) -> str:
        """An attractor, a saddle with so many unstable directions, or a repeller."""
        name = "" if self.is_fixed else "slow "
        if self.unstable == 0:
            return f"{name}attractor"
        if self.unstable == len(self.eigenvalues):
            return f"{name}repeller"
        return f"{name}saddle, {self.unstable} of {len(self.eigenvalues)} directions unstable"

    @property
    def time_constant(self) -> float:
        """Steps in which the slowest stable direction decays to 1/e; infinite at magnitude 1."""
        sizes = self.eigenvalues.abs()
        stable = sizes[sizes <= 1 + 1e-9]
        if not len(stable):
            return 0.0
        slowest = float(stable[0])
        if slowest == 0:
            return 0.0
        return math.inf if slowest >= 1 - 1e-12 else -1 / math.log(slowest)


def fixed_points(run: LayerRun, x: Tensor | None = None) -> tuple[FixedPoint, ...]:
    """Find fixed and slow points of a recorded layer, those that most starts lead to first.

    `x` (I,) is the constant input; by default the median of the recorded ones, feature by feature:
    what is there most of the time, where inputs are pulses. Computed in float64. Empty for cells
    whose steps take a mask or another value besides the input, and where nothing is fixed or slow
    near the recorded states.
    """
    if run.graph.givens:
        return ()
    active = run.active
    params = {name: value.double() for name, value in run.params.items()}
    sizes = [state.shape[-1] for state in run.before[0]]
    held = (
        (run.inputs[active].double().median(0).values if x is None else x)
        .to(active.device)
        .double()
    )

    def change(state: Tensor) -> Tensor:
        after = run.cell.step(held, torch.split(state, sizes), params)
        return torch.cat(tuple(after)) - state

    visited = torch.cat([torch.stack(s) for s in zip(*run.after, strict=True)], -1)
    visited = visited[active].detach().double()
    visited = visited[visited.isfinite().all(-1)]
    if not len(visited):
        return ()
    size = float(visited.square().sum(-1).mean().sqrt())
    starts = visited[spread_over(len(visited), STARTS)]
    with torch.no_grad():
        found, speeds, jacobians = _descend(change, starts)
    near = (speeds <= SLOW * max(size, 1e-12)) & (found.norm(dim=-1) <= FAR * size + 1e-6)
    points: list[FixedPoint] = []
    order = [i for i in speeds.argsort().tolist() if bool(near[i])]
    groups: list[list[int]] = []
    for i in order:
        mine = (g for g in groups if float((found[g[0]] - found[i]).norm()) <= SAME * size + 1e-9)
        group = next(mine, None)
        if group is None:
            groups.append([i])
        else:
            group.append(i)
    eye = torch.eye(found.shape[-1], dtype=found.dtype, device=found.device)
    for group in groups:
        first = group[0]
        values = torch.linalg.eigvals(jacobians[first] + eye)
        values = values[values.abs().argsort(descending=True)]
        speed = float(speeds[first])
        points.append(
            FixedPoint(found[first], speed, speed <= FIXED * max(size, 1.0), values, len(group))
        )
    return tuple(sorted(points, key=lambda point: -point.count))


def _descend(change: Callable[[Tensor], Tensor], starts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Points (N, S) of least speed, their speeds (N,), and Jacobians (N, S, S) of the change."""
    step, slope = vmap(change), vmap(jacrev(change))
    points, moved = starts, step(starts)
    jacobians = slope(points)
    damping = torch.full((len(starts), 1, 1), 1e-2, dtype=starts.dtype, device=starts.device)
    eye = torch.eye(starts.shape[-1], dtype=starts.dtype, device=starts.device)
    for _ in range(ROUNDS):
        transposed = jacobians.mT
        matrix = transposed @ jacobians
        scale = matrix.diagonal(dim1=-2, dim2=-1).mean(-1).clamp(min=1e-12)[:, None, None]
        right = -(transposed @ moved.unsqueeze(-1))
        delta = torch.linalg.solve(matrix + damping * scale * eye, right).squeeze(-1)
        tried = points + delta
        now = step(tried)
        better = now.norm(dim=-1) < moved.norm(dim=-1)
        points = torch.where(better[:, None], tried, points)
        moved = torch.where(better[:, None], now, moved)
        damping = torch.where(better[:, None, None], damping / 5, damping * 4).clamp(1e-14, 1e8)
        is_still = moved.norm(dim=-1) <= 1e-13 * (1 + points.norm(dim=-1))
        if bool((is_still | (damping.flatten() > 1e6)).all()):
            jacobians = slope(points)
            break
        jacobians = slope(points)
    return points, moved.norm(dim=-1), jacobians
