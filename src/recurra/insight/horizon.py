"""The horizon of a gradient: how far back it reaches, and how fast it decays."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Horizon", "find_horizon"]

SHARE = 0.01
"""A gradient has reached its horizon where this share of its start is left."""


@dataclass(frozen=True)
class Horizon:
    """The course of a gradient's norm with the distance from its loss.

    Attributes:
        steps: the distance at which its norm first is 1 % of the norm at the start, or less; the
            largest distance where that is not reached.
        reached: whether it is reached.
        factor: the factor of the norm for each step back (a fit to its logarithm, up to the
            horizon); NaN for a single step.
        growth: the largest norm divided by that at the start.
    """

    steps: int
    reached: bool
    factor: float
    growth: float

    def __str__(self) -> str:
        return f"{self.steps} steps" if self.reached else f"at least {self.steps} steps"

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


def find_horizon(norms: Tensor, stride: int = 1) -> Horizon:
    """Find the horizon of a gradient from its norms (N,) by distance: 0 first, then 1, ...

    Where the loss doesn't depend on the nearest steps, the start is the first that it depends on.
    A dilated layer's norms are `stride` steps apart; the horizon counts steps of the sequence.

    Example:
        >>> find_horizon(0.5 ** torch.arange(20.0)).steps
        7
    """
    norms = norms.double()
    if not bool(norms.isfinite().all()):
        return Horizon((len(norms) - 1) * stride, False, math.inf, math.inf)
    nonzero = norms.nonzero().flatten()
    if not len(nonzero):
        return Horizon(0, True, 0.0, 0.0)
    first = int(nonzero[0])
    start = float(norms[first])
    small = (norms[first:] <= SHARE * start).nonzero().flatten()
    reached = len(small) > 0
    steps = first + int(small[0]) if reached else len(norms) - 1
    factor = _factor(norms[first : steps + 1]) ** (1 / stride)
    return Horizon(steps * stride, reached, factor, float(norms.max()) / start)


def _factor(norms: Tensor) -> float:
    """The factor for each step: a line fitted to the norm's logarithm by least squares."""
    if float(norms[-1]) == 0:
        norms = norms[:-1]
        if len(norms) < 2:
            return 0.0
    if len(norms) < 2:
        return math.nan
    distance = torch.arange(len(norms), dtype=torch.double)
    distance -= distance.mean()
    slope = (distance * norms.log()).sum() / distance.square().sum()
    return float(slope.exp())
