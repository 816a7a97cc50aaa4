"""How far back a gradient reaches, and how fast it decays on the way."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Horizon", "find_horizon"]

SHARE = 0.01
"""A gradient has reached its horizon where it is this share of what it started from."""


@dataclass(frozen=True)
class Horizon:
    """How a gradient's norm goes with the distance from its loss.

    Attributes:
        steps: how many steps back its norm first is 1 % of the norm at the start, or less; where
            that is never reached, how many steps back there are.
        reached: whether it is.
        factor: by what the norm is multiplied with each step back (a fit on its logarithm, up to
            the horizon); NaN for a single step.
        growth: the largest norm over that at the start.
    """

    steps: int
    reached: bool
    factor: float
    growth: float

    def __str__(self) -> str:
        return f"{self.steps} steps" if self.reached else f"at least {self.steps} steps"

    @property
    def pace(self) -> str:
        """How fast it goes in words: `halves every 3.1 steps`."""
        if math.isnan(self.factor) or self.factor == 1:
            return "stays as it is"
        if self.factor == 0:
            return "is gone after one step"
        steps = math.log(2) / abs(math.log(self.factor))
        if steps > 1000:
            return "stays as it is"
        word = "halves" if self.factor < 1 else "doubles"
        return f"{word} every {steps:.1f} steps" if steps >= 1.05 else f"{word} at every step"


def find_horizon(norms: Tensor, stride: int = 1) -> Horizon:
    """The horizon of a gradient whose norms (N,) are given by distance: 0 first, then 1, ...

    Where the loss doesn't hear the nearest steps at all, it starts at the first that it does hear.
    A dilated layer's are `stride` steps apart, and its horizon is told in steps of the sequence.

    Example:
        >>> find_horizon(0.5 ** torch.arange(20.0)).steps
        7
    """
    norms = norms.double()
    if not bool(norms.isfinite().all()):
        return Horizon((len(norms) - 1) * stride, False, math.inf, math.inf)
    heard = norms.nonzero().flatten()
    if not len(heard):
        return Horizon(0, True, 0.0, 0.0)
    first = int(heard[0])
    start = float(norms[first])
    small = (norms[first:] <= SHARE * start).nonzero().flatten()
    reached = len(small) > 0
    steps = first + int(small[0]) if reached else len(norms) - 1
    factor = _factor(norms[first : steps + 1]) ** (1 / stride)
    return Horizon(steps * stride, reached, factor, float(norms.max()) / start)


def _factor(norms: Tensor) -> float:
    """What a step multiplies the norm by: a line through its logarithm, by least squares."""
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
