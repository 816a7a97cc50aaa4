"""How much of a training's gradient is noise from batch to batch, from Adam's own averages."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["gradient_noise"]

LEAST = 10
"""Steps before which the averages say nothing."""


def gradient_noise(optimizer: torch.optim.Optimizer) -> float | None:
    """The share of the mean squared gradient that is variance from step to step, 0 to 1.

    Adam keeps an average m of the gradient g and one v of its square. Over n steps the noise in m
    shrinks and that in v doesn't: with the weights w of m's average, E m^2 = (E g)^2 + s sum(w^2)
    and E v = (E g)^2 + s for the variance s, all summed over the parameters. Near 1 a larger
    batch or a smaller learning rate helps; near 0 neither does (McCandlish et al. 2018,
    arXiv:1812.06162). None for other optimisers, and in the first steps.
    """
    means, squares = list[Tensor](), list[Tensor]()
    share = 0.0
    for group in optimizer.param_groups:
        for weight in group["params"]:
            state = optimizer.state.get(weight, {})
            if "exp_avg" not in state or "exp_avg_sq" not in state:
                continue
            step = float(state["step"])
            if step < LEAST:
                return None
            one, two = group["betas"]
            share = (1 - one) * (1 + one**step) / ((1 + one) * (1 - one**step))
            means.append(state["exp_avg"].double().square().sum() / (1 - one**step) ** 2)
            squares.append(state["exp_avg_sq"].double().sum() / (1 - two**step))
    if not means:
        return None
    mean, square = torch.stack([torch.stack(means).sum(), torch.stack(squares).sum()]).tolist()
    if not square > 0:
        return None
    return float(min(1.0, max(0.0, (square - mean) / (square * (1 - share)))))
