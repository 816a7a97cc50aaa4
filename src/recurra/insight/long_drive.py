"""A layer driven for long by the inputs it has seen: does a small change of its states grow?

The recorded steps of all rows follow one another, as often as it takes. Some chains of states run
over them, each with a tangent that is stretched by every step; what came before the tangents have
settled is left out. Growth of the states themselves is instability, not chaos.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import jvp

from recurra.nn.observe.recording import LayerRun

__all__ = ["LongDrive", "drive"]

CHAINS, STEPS, WARMUP = 24, 240, 120
BLOCKS = 5
"""The exponent's error is that of the mean of so many blocks of each chain."""
BOUND = 1e6
"""States beyond this magnitude have no bound."""
COST = 1 << 28
"""Products of a drive, about; wide layers are driven for fewer steps."""


@dataclass(frozen=True)
class LongDrive:
    """Growth of a small change, and of the states.

    Attributes:
        exponent: the largest Lyapunov exponent, in nats a step; NaN where the states have no bound.
        error: its standard error, over chains and blocks of steps.
        steps: the steps of each chain that it is the mean of.
        bounded: whether the states keep within bounds.
        largest: the largest magnitude of a state.
    """

    exponent: float
    error: float
    steps: int
    bounded: bool
    largest: float

    @property
    def is_chaotic(self) -> bool:
        """Whether small changes grow for certain."""
        return self.bounded and self.exponent - 3 * self.error > 0.01

    def __str__(self) -> str:
        if not self.bounded:
            return "no bound"
        return f"{self.exponent:+.3f} ± {max(self.error, 0.001):.3f}"


def drive(run: LayerRun) -> LongDrive | None:
    """Drive a recorded layer; None where its equations take a mask or another value a step."""
    if run.graph.givens:
        return None
    active = run.active.flip(0) if run.reverse else run.active
    inputs = run.inputs.flip(0) if run.reverse else run.inputs
    inputs = inputs.transpose(0, 1)[active.t()].double()
    sizes = [s.shape[-1] for s in run.before[0]]
    params = {name: value.double() for name, value in run.params.items()}
    weights = sum(value.numel() for value in params.values())
    steps = int(min(STEPS, max(60, COST // (max(1, weights) * CHAINS))))
    warmup = min(WARMUP, steps // 4)
    generator = torch.Generator().manual_seed(0)
    count = len(inputs)
    chains = min(CHAINS, count)
    offsets = torch.linspace(0, count - 1, chains + 1).round().long()[:-1]
    device = inputs.device
    states = tuple(torch.zeros(chains, size, dtype=torch.double, device=device) for size in sizes)
    tangents = tuple(
        torch.randn(chains, size, generator=generator, dtype=torch.double).to(device)
        for size in sizes
    )
    tangents = _normalised(tangents)[0]
    logs, largest = [], 0.0
    for step in range(steps + warmup):
        x = inputs[(offsets + step) % count]

        def after(*before: Tensor, x: Tensor = x) -> tuple[Tensor, ...]:
            return tuple(run.cell.step(x, before, params))

        with torch.no_grad(), warnings.catch_warnings():
            # torch's forward mode scripts its own decompositions by a way that it deprecates.
            warnings.simplefilter("ignore", DeprecationWarning)
            states, tangents = jvp(after, states, tangents)[:2]
        tangents, stretched = _normalised(tangents)
        largest = max(largest, max(float(s.abs().max()) for s in states))
        if not largest < BOUND:
            return LongDrive(math.nan, math.nan, step, False, largest)
        if step >= warmup:
            logs.append(stretched.log())
    return _summary(torch.stack(logs), largest)


def _normalised(tangents: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], Tensor]:
    """Tangents of length 1, and their lengths (chains,) before."""
    length = torch.stack([t.square().sum(1) for t in tangents]).sum(0).sqrt()
    scale = length.clamp(min=1e-300).unsqueeze(1)
    return tuple(t / scale for t in tangents), length


def _summary(logs: Tensor, largest: float) -> LongDrive:
    """Of logarithms of the stretching (steps, chains)."""
    size = len(logs) // BLOCKS
    blocks = logs[: size * BLOCKS].view(BLOCKS, size, -1).mean(1).flatten()
    blocks = blocks.clamp(min=-50.0)  # a change that is forgotten at once
    error = float(blocks.std() / math.sqrt(len(blocks)))
    return LongDrive(float(blocks.mean()), error, len(logs), True, largest)
