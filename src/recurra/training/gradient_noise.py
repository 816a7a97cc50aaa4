"""How much of a training's gradient is noise from batch to batch, from Adam's own average of it."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["MOMENT", "gradient_noise"]

LEAST = 10
"""Steps before which the averages say nothing."""
MOMENT = 0.9
"""The decay of Adam's average of the gradient, and of the squared norms compared with it."""


def gradient_noise(optimizer: torch.optim.Optimizer, squares: float) -> float | None:
    """The share of the mean squared gradient that is variance from step to step, 0 to 1.

    Adam keeps an average m of the gradient g; `squares` is the same average, with the decay
    `MOMENT` and begun at 0, of its squared norm. Noise of variance s in all shrinks in m by the sum
    of its squared weights w and stays in `squares`: E m^2 = (E g)^2 + s sum(w^2), against
    (E g)^2 + s. Near 1 a larger batch or a smaller learning rate helps; near 0 neither does
    (McCandlish et al. 2018, arXiv:1812.06162). None for other optimisers, and in the first steps.
    """
    means = list[Tensor]()
    step = 0.0
    for state in optimizer.state.values():
        if "exp_avg" in state:
            step = float(state["step"])
            means.append(state["exp_avg"].double().square().sum())
    if step < LEAST or not squares > 0:
        return None
    whole = 1 - MOMENT**step  # of the weights of an average that began at 0
    mean, square = float(torch.stack(means).sum()) / whole**2, squares / whole
    share = (1 - MOMENT) * (1 + MOMENT**step) / ((1 + MOMENT) * whole)
    return float(min(1.0, max(0.0, (square - mean) / (square * (1 - share)))))
