"""The share of noise in a gradient, against gradients drawn with a known one."""

import pytest
import torch
from torch import nn

from recurra.training.gradient_noise import gradient_noise


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("steps", [15, 300])
def test_a_known_share_is_found(share, steps):
    generator = torch.Generator().manual_seed(0)
    weight = nn.Parameter(torch.zeros(20000))
    optimizer = torch.optim.AdamW([weight], 1e-3)
    mean = torch.randn(20000, generator=generator) * (1 - share) ** 0.5
    squares = 0.0
    for step in range(steps):
        scale = 1.0 if step < steps - 120 else 0.1  # a gradient that shrinks is no noise
        weight.grad = scale * (mean + share**0.5 * torch.randn(20000, generator=generator))
        squares += 0.1 * (float(weight.grad.square().sum()) - squares)
        optimizer.step()
    assert gradient_noise(optimizer, squares) == pytest.approx(share, abs=0.03)


def test_other_optimisers_and_first_steps_have_none():
    weight = nn.Parameter(torch.ones(3))
    weight.grad = torch.ones(3)
    for kind in (torch.optim.SGD, torch.optim.AdamW):
        optimizer = kind([weight], 1e-3)
        optimizer.step()
        assert gradient_noise(optimizer, 3.0) is None
