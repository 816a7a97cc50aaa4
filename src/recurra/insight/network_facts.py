"""Facts of a recorded network as a whole: its inputs, and where the loss's gradient arrives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.insight.recorded_model import Recording, gradients_of
from recurra.nn.observe.recording import LayerRun

__all__ = ["Arrival", "InputFacts", "arrivals", "input_facts"]


ELSEWHERE = 0.02
"""The share of steps before the ends that may repeat one another where the ends are padding."""
LEAST = 3
"""Steps at a row's end from which it is said to end early."""


@dataclass(frozen=True)
class InputFacts:
    """What the first layer reads.

    Attributes:
        largest: the root mean square of the feature with the largest.
        norm: the median norm of a step's input, of those that aren't zero.
        padding: the share of steps that repeat the end of their row; 0 where such steps come
            elsewhere, too, and so are data.
        padded_rows: the share of rows that end early.
    """

    largest: float
    norm: float
    padding: float
    padded_rows: float


def input_facts(run: LayerRun) -> InputFacts:
    """Measure the input of a recorded layer."""
    x, active = run.inputs.double(), run.active
    there = x[active]
    scale = float(there.square().mean(0).sqrt().max())
    norms = there.norm(dim=1)
    norm = float(norms[norms > 0].median()) if bool((norms > 0).any()) else 0.0
    share, rows = _padding(x, active)
    return InputFacts(scale, norm, share, rows)


def _padding(x: Tensor, active: Tensor) -> tuple[float, float]:
    """The shares of steps and of rows that a run of equal steps at the end takes."""
    steps = len(x)
    if not bool(active.all()) or steps < 8:
        return 0.0, 0.0
    repeats = torch.zeros(active.shape, dtype=torch.bool)
    repeats[1:] = (x[1:] == x[:-1]).all(-1).cpu()
    return max(_tails(repeats), _tails((x == 0).all(-1).cpu()))


def _tails(empty: Tensor) -> tuple[float, float]:
    """The shares of steps and rows of the empty (T, B) steps at ends, where no others are empty."""
    steps = len(empty)
    trailing = empty.flip(0).long().cumprod(0).sum(0)
    inside = torch.arange(steps).unsqueeze(1) < steps - trailing
    elsewhere = float(empty[inside].double().mean()) if bool(inside.any()) else 1.0
    early = trailing >= LEAST
    if elsewhere > ELSEWHERE or len(set(trailing[early].tolist())) < 2:
        return 0.0, 0.0
    return float(trailing.double().mean() / steps), float(early.double().mean())


@dataclass(frozen=True)
class Arrival:
    """The gradient of the whole loss at one layer and direction.

    Attributes:
        norm: its norm at the layer's outputs, over all steps and rows.
        read: the steps that the layer has read where the loss last hears it, the median of the
            rows; None where the loss doesn't hear it.
        steps: the steps of a row, the median.
    """

    norm: float
    read: int | None
    steps: int


def arrivals(recorded: Recording, loss: Tensor) -> list[Arrival]:
    """Where the gradient of a loss, one number, arrives; layer by layer."""
    outputs = [after[0] for run in recorded.runs for after in run.after]
    by_node = gradients_of(loss, outputs)
    return [_arrival(run, by_node) for run in recorded.runs]


def _arrival(run: LayerRun, by_node: Mapping[int, Tensor | None]) -> Arrival:
    zero = torch.zeros_like(run.after[0][0])
    each = [by_node.get(id(after[0])) for after in run.after]
    gradient = torch.stack([zero if g is None else g for g in each]).double()
    heard = gradient.norm(dim=-1) > 0
    active = run.in_order(run.active)
    read = torch.where(run.in_order(heard), active.long().cumsum(0), 0).amax(0)
    read = read[read > 0]  # rows that the network has right for certain have no gradient
    return Arrival(
        float(gradient.norm()),
        int(read.median()) if len(read) else None,
        int(active.sum(0).median()),
    )
