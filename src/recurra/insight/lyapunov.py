"""Lyapunov exponents by the QR method.

Benettin et al. 1980 follow an orthonormal frame through the product of Jacobians and take the
logarithms of what each step stretches it by; R. Vogt et al. 2020 (arXiv:2006.14123) and R. Engelken
et al. 2020 (arXiv:2006.02427) did so for recurrent networks.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.errors import InsightError

__all__ = ["Spectrum", "spectrum_of"]


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Lyapunov exponents of driven dynamics.

    Attributes:
        exponents: (K,), per step, in nats, the largest first; -inf where a direction is forgotten
            at once.
        steps: over how many steps they were taken.
        size: how many directions there are, S; K of them were followed.
    """

    exponents: Tensor
    steps: int
    size: int

    @property
    def largest(self) -> float:
        """The largest exponent: above 0 small changes grow, which is chaos."""
        return float(self.exponents[0])

    @property
    def dimension(self) -> float:
        """The Kaplan-Yorke dimension of the attractor; NaN where more exponents are needed."""
        sums = self.exponents.cumsum(0)
        negative = (sums < 0).nonzero().flatten()
        if not len(negative):
            return float(self.size) if len(sums) == self.size else math.nan
        k = int(negative[0])
        rest = float(sums[k - 1]) if k else 0.0
        return k + rest / abs(float(self.exponents[k]))


def spectrum_of(
    jacobians: Iterable[Tensor], exponents: int | None, warmup: int, layer: str
) -> Spectrum:
    """The exponents of a product of Jacobians (S, S), given one after another.

    Raises InsightError where no step is left after `warmup`.
    """
    frame = total = torch.empty(0)
    steps = -warmup
    for jacobian in jacobians:
        if not frame.numel():
            size = len(jacobian)
            frame = torch.eye(size, exponents or size, dtype=jacobian.dtype)
            total = torch.zeros(frame.shape[1], dtype=jacobian.dtype)
        frame, stretched = torch.linalg.qr(jacobian @ frame)
        steps += 1
        if steps > 0:
            total = total + stretched.diagonal().abs().log()
    if steps < 1:
        raise InsightError(
            f"No step of {layer} is left for Lyapunov exponents: the row has {steps + warmup} and "
            f"{warmup} are left out; give longer sequences or warmup=0."
        )
    return Spectrum((total / steps).sort(descending=True).values, steps, len(frame))
