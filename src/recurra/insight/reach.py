"""How far a gradient reaches back through a layer, whatever the loss.

From a layer's output at many steps and rows a random direction is followed back through the
equations, step by step. So the figure is one of the layer on these data, not of a loss: a loss that
hears every step, or rows of different lengths, change nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.func import vjp

from recurra.insight.dynamics import spread_over
from recurra.nn.observe.recording import LayerRun

__all__ = ["SHARE", "Horizon", "LayerReach", "reach_of"]

SHARE = 0.01
"""A gradient has reached its horizon where this share of its start is left."""

NEGLIGIBLE = 1e-5
"""A state that carries a smaller share of a gradient carries none of the layer's memory."""

PLACES = 6
"""Steps of each row from which gradients are followed."""

ROWS = 8
"""At most so many rows are followed."""


@dataclass(frozen=True)
class Horizon:
    """The distance over which a gradient fades.

    Attributes:
        steps: the distance at which its norm first is 1 % of the norm at the start, or less; the
            largest distance where that is not reached.
        reached: whether it is reached.
        factor: the factor of the norm for each step back (a fit to its logarithm, up to the
            horizon); NaN for a single step.
        growth: the largest norm divided by that at the start.
        low, high: the quartiles of `steps` over the starts, None for a single start.
    """

    steps: int
    reached: bool
    factor: float
    growth: float
    low: int | None = None
    high: int | None = None

    def __str__(self) -> str:
        if not self.reached:
            return f"at least {self.steps} steps"
        if self.low is None or self.low == self.high:
            return f"{self.steps} steps"
        return f"{self.steps} steps ({self.low} to {self.high})"

    @property
    def pace(self) -> str:
        """The rate of change in words: `halves every 3.1 steps`."""
        if math.isnan(self.factor) or self.factor == 1:
            return "stays constant"
        if self.factor == 0:
            return "vanishes after one step"
        steps = math.log(2) / abs(math.log(self.factor))
        if steps > 1000:
            return "stays constant"
        word = "halves" if self.factor < 1 else "doubles"
        return f"{word} every {steps:.1f} steps" if steps >= 1.05 else f"{word} at every step"


@dataclass(frozen=True, eq=False)
class LayerReach:
    """The gradients of one layer and direction that start at its output.

    Attributes:
        states: the names of its states.
        norms: (N, Q, K), at distance 0, 1, ... from each of Q starts the norm of the part that each
            of the K states carries, as a share of the start; NaN before a row's start.
        stride: steps of the sequence between two steps of a dilated layer.
    """

    states: tuple[str, ...]
    norms: Tensor = field(repr=False)
    stride: int = 1

    @property
    def joint(self) -> Tensor:
        """The norms (N, Q) of all states together."""
        return self.norms.square().sum(-1).sqrt()

    @property
    def horizon(self) -> Horizon:
        """That of all states together: the median of the starts, with quartiles."""
        return self._of(self.joint)

    def of_state(self, name: str) -> Horizon:
        """That of the part which one state carries."""
        return self._of(self.norms[..., self.states.index(name)])

    def carried(self, name: str) -> tuple[int, float]:
        """How far one state carries what the layer's output hears, and how much of it is left.

        Distances are counted until the part falls below 1 % of its own largest.
        """
        part = self.norms[..., self.states.index(name)].nanmedian(1).values
        part = part[part.isfinite()]
        largest = float(part.max())
        if largest < NEGLIGIBLE:
            return (0, 0.0)
        above = (part >= SHARE * largest).nonzero().flatten()
        return int(above[-1]), float(part[-1] / largest)

    @property
    def median(self) -> Tensor:
        """The median (N,) of the joint norm over the starts that reach so far back."""
        return self.joint.nanmedian(1).values

    def _of(self, norms: Tensor) -> Horizon:
        each = [_fading(own[own.isfinite() | own.isinf()]) for own in norms.unbind(1)]
        # A start whose row begins before its gradient has faded reaches at least so far.
        order = sorted(each, key=lambda pair: (pair[0] if pair[1] else math.inf, pair[0]))
        steps, reached = order[(len(order) - 1) // 2]
        if not reached:
            steps = max(own for own, _ in each)
        quartiles = [order[round(share * (len(order) - 1))] for share in (0.25, 0.75)]
        low, high = (own if own_reached else len(norms) - 1 for own, own_reached in quartiles)
        median = norms.nanmedian(1).values
        median = median[median.isfinite()]
        growth = float(_largest(norms).median())
        factor = _factor(median[: steps + 1]) ** (1 / self.stride)
        stride = self.stride
        return Horizon(steps * stride, reached, factor, growth, low * stride, high * stride)


def _fading(norms: Tensor) -> tuple[int, bool]:
    """The distance at which 1 % is left of norms (n,), whether it is reached."""
    peak = 0 if not len(norms) or norms[0] > 0 else int((norms > 0).double().argmax())
    small = (norms[peak:] <= SHARE * norms[peak]).nonzero().flatten() if len(norms) else norms
    return (peak + int(small[0]), True) if len(small) else (max(len(norms) - 1, 0), False)


def _largest(norms: Tensor) -> Tensor:
    """The largest norm (Q,) of each start by its first."""
    largest = norms.nan_to_num(nan=0.0, posinf=math.inf).amax(0)
    return largest / norms[0].clamp(min=1e-300)


def _factor(norms: Tensor) -> float:
    """The factor for each step: a line fitted to the norm's logarithm by least squares."""
    norms = norms.double()
    if len(norms) and float(norms[-1]) == 0:
        norms = norms[:-1]
        if len(norms) < 2:
            return 0.0
    norms = norms[(norms > 0) & norms.isfinite()]
    if len(norms) < 2:
        return math.nan
    distance = torch.arange(len(norms), dtype=torch.double)
    distance -= distance.mean()
    slope = (distance * norms.log()).sum() / distance.square().sum()
    return float(slope.exp())


def reach_of(run: LayerRun, stride: int = 1) -> LayerReach:
    """Follow gradients from the output of a recorded layer, in float64."""
    times, rows = _starts(run)
    sizes = [s.shape[-1] for s in run.before[0]]
    generator = torch.Generator().manual_seed(0)
    heard = torch.randn(len(rows), sizes[0], generator=generator, dtype=torch.double)
    heard = heard / heard.norm(dim=1, keepdim=True)
    cotangents = [heard.to(run.inputs.device)]
    cotangents += [heard.new_zeros(len(rows), size).to(heard.device) for size in sizes[1:]]
    back = _Back(run)
    norms = [torch.stack([c.norm(dim=1) for c in cotangents], 1)]
    alive = torch.ones(len(rows), dtype=torch.bool)
    while True:
        alive = alive & (times >= 0) & ~back.begins(times, rows)
        if not alive.any():
            break
        cotangents = back.step(times.clamp(min=0), rows, cotangents)
        times = times - 1
        alive = alive & (times >= 0)
        found = torch.stack([c.norm(dim=1) for c in cotangents], 1)
        if not alive.any():
            break
        norms.append(torch.where(alive.unsqueeze(1), found, math.nan))
        if bool((found[alive].norm(dim=1) < 1e-12).all()):
            break
    return LayerReach(tuple(run.graph.states), torch.stack(norms), stride)


def _starts(run: LayerRun) -> tuple[Tensor, Tensor]:
    """Places (Q,) in the order in which the layer runs, and their rows (Q,)."""
    active = run.in_order(run.active)
    batch = active.shape[1]
    times, rows = list[int](), list[int]()
    for row in spread_over(batch, ROWS):
        there = active[:, row].nonzero().flatten()
        if not len(there):
            continue
        late = there[len(there) // 2 :]
        places = late[spread_over(len(late), PLACES)].tolist()
        times += places
        rows += [row] * len(places)
    return torch.tensor(times), torch.tensor(rows)


class _Back:
    """Vector-Jacobian products of single steps of a recorded layer, for many rows at once."""

    def __init__(self, run: LayerRun) -> None:
        self.run = run
        self.inputs = run.in_order(run.inputs).double()
        states = [torch.stack(s) for s in zip(*run.before, strict=True)]
        self.before = [run.in_order(state).detach().double() for state in states]
        self.starts = run.in_order(run.begins)
        active = run.in_order(run.active)
        self.first = active & ~torch.cat([torch.zeros_like(active[:1]), active[:-1]])
        given = {name for name, _ in run.graph.givens}
        self.params = {n: v.double() for n, v in run.params.items() if n not in given}
        self.given = {n: run.in_order(run.params[n]).double() for n in given}

    def begins(self, times: Tensor, rows: Tensor) -> Tensor:
        """Whether nothing came before these steps."""
        place = times.clamp(min=0)
        return self.starts[place, rows] | self.first[place, rows]

    def step(self, times: Tensor, rows: Tensor, cotangents: Sequence[Tensor]) -> list[Tensor]:
        """The cotangents of the states before these steps, from those of the states after them."""
        x, masks = self.inputs[times, rows], {n: v[times, rows] for n, v in self.given.items()}
        states = tuple(s[times, rows] for s in self.before)

        def after(*before: Tensor) -> Any:
            params: Mapping[str, Tensor] = {**self.params, **masks}
            return tuple(self.run.cell.step(x, before, params))

        with torch.no_grad():
            _, pull, *_ = vjp(after, *states)
            return list(pull(tuple(cotangents)))
