"""Truncated back-propagation through time by hand, with recurra.nn.

    python examples/truncated_bptt.py

A sequence of 2,000 steps is learnt in windows of 50. The state goes on from window to window, so
the network remembers across them, but it is detached, so the gradient goes back through one window
only: memory and time of a step no longer grow with the sequence. The network predicts the next
value of a sum of two sines from the values so far.
"""

import math

import torch
from torch import nn

from recurra.nn import GRU

STEPS, WINDOW, BATCH = 2000, 50, 16


def waves(batch: int) -> torch.Tensor:
    """(STEPS + 1, batch, 1): sums of two sines with periods of their own."""
    time = torch.arange(STEPS + 1).view(-1, 1)
    periods = 20 + 60 * torch.rand(2, batch)
    phases = 2 * math.pi * torch.rand(2, batch)
    both = [torch.sin(2 * math.pi * time / p + q) for p, q in zip(periods, phases, strict=True)]
    return (sum(both) / 2).unsqueeze(-1)


def main(epochs: int = 3) -> float:
    """Train for `epochs` passes over the sequence; returns the last window's mean squared error."""
    torch.manual_seed(0)
    layer, head = GRU(1, 32), nn.Linear(32, 1)
    parameters = [*layer.parameters(), *head.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=5e-3)
    series = waves(BATCH)
    for epoch in range(epochs):
        state, losses = None, []
        for start in range(0, STEPS, WINDOW):
            x, target = series[start : start + WINDOW], series[start + 1 : start + WINDOW + 1]
            outputs, state = layer(x, state)
            state = state.detach()  # the gradient stops here; the memory does not
            loss = nn.functional.mse_loss(head(outputs), target)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            losses.append(loss.item())
        print(f"epoch {epoch}   first window {losses[0]:.5f}   last window {losses[-1]:.5f}")
    return losses[-1]


if __name__ == "__main__":
    main()
