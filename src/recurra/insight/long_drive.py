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
    params = {name: value.double() for name, value in run.params.items()}
    inputs = _inputs_in_order(run)
    chains = min(CHAINS, len(inputs))
    products = max(1, sum(value.numel() for value in params.values())) * CHAINS
    steps = min(STEPS, max(60, COST // products))
    warmup = min(WARMUP, steps // 2)
    states, tangents = _beginning(run, chains)
    offsets = torch.linspace(0, len(inputs) - 1, chains + 1).round().long()[:-1]
    logs, sizes, largest = [], list[float](), 0.0
    for step in range(steps + warmup):
        x = inputs[(offsets + step) % len(inputs)]

        def after(*before: Tensor, x: Tensor = x) -> tuple[Tensor, ...]:
            return tuple(run.cell.step(x, before, params))

        with torch.no_grad(), warnings.catch_warnings():
            # torch's forward mode scripts its own decompositions by a way that it deprecates.
            warnings.simplefilter("ignore", DeprecationWarning)
            states, tangents = jvp(after, states, tangents)[:2]
        tangents, stretched = _normalised(tangents)
        sizes.append(max(float(state.abs().max()) for state in states))
        largest = max(largest, sizes[-1])
        if not largest < BOUND:
            return LongDrive(math.nan, math.nan, step, False, largest)
        if step >= warmup:
            logs.append(stretched.log())
    summary = _summary(torch.stack(logs), largest)
    if _grow_alike(sizes, summary.exponent):
        return LongDrive(math.nan, math.nan, len(logs), False, largest)
    return summary


def _grow_alike(sizes: list[float], exponent: float) -> bool:
    """Whether the states grow as fast as small changes do: without bound, if slowly."""
    fifth = len(sizes) // 5
    if fifth == 0 or exponent <= 0:
        return False
    middle, late = max(sizes[2 * fifth : 3 * fifth]), max(sizes[-fifth:])
    if not middle > 0:
        return False
    return math.log(late / middle) > max(0.5 * exponent * 2 * fifth, 0.1)


def _inputs_in_order(run: LayerRun) -> Tensor:
    """The steps (N, I) of all rows, one row after another, as the layer reads them."""
    active, inputs = run.in_order(run.active), run.in_order(run.inputs)
    return inputs.transpose(0, 1)[active.t()].double()


def _beginning(run: LayerRun, chains: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """States of zeros, and tangents drawn at random, of length 1."""
    generator = torch.Generator().manual_seed(0)
    like = [state[:1].double().expand(chains, -1) for state in run.before[0]]
    states = tuple(torch.zeros_like(each) for each in like)
    drawn = tuple(
        torch.randn(each.shape, generator=generator, dtype=torch.double).to(each.device)
        for each in like
    )
    return states, _normalised(drawn)[0]


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
