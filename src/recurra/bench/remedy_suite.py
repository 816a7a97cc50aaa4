"""The suite of remedies: a training step of a layer with each, and of the same layer without."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from recurra.bench.catalogue import WITH, WITHOUT
from recurra.bench.measurement import (
    TRAINING,
    Point,
    PointResult,
    SuitePlan,
    interleaved,
    leaf,
)
from recurra.nn import Recurrent, init
from recurra.nn.penalties import activation_penalty, temporal_activation_penalty

__all__ = ["REMEDIES", "Contender", "remedies"]

Penalty = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Contender:
    """A layer to be trained: its difference from a plain one, and the base it is measured against.

    `start` changes its parameters, `penalty` is added to the loss, `layers` are the layers that the
    remedy is for, and `cell` replaces their cell.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    start: Callable[[Recurrent], object] | None = None
    penalty: Penalty | None = None
    has_resets: bool = False
    cell: str | None = None
    layers: tuple[str, ...] = ("LSTM", "GRU")
    against: str = "plain"


BASES = {
    "plain": Contender(),
    "two layers": Contender({"num_layers": 2}),
    "resets": Contender(has_resets=True),
}


def _start(layer: Recurrent) -> None:
    init.orthogonal_(layer)
    init.chrono_(layer, 128)


REMEDIES = {
    "dropout": Contender({"num_layers": 2, "dropout": 0.3}, against="two layers"),
    "input dropout": Contender({"input_dropout": 0.3}),
    "state dropout": Contender({"state_dropout": 0.3}),
    "output dropout": Contender({"output_dropout": 0.3}),
    "recurrent dropout": Contender({"recurrent_dropout": 0.3}),
    "weight drop": Contender({"weight_drop": 0.5}),
    "zoneout": Contender({"zoneout": 0.1}),
    "activation penalty": Contender(penalty=activation_penalty),
    "temporal penalty": Contender(penalty=temporal_activation_penalty),
    "learnt start": Contender({"learn_initial_state": True}),
    "learnt, resets": Contender({"learn_initial_state": True}, has_resets=True, against="resets"),
    "initialisation": Contender(start=_start),
    "norm by gate": Contender(cell="lstm_layernorm", layers=("LSTM",)),
    "norm over gates": Contender(cell="lstm_layernorm_joint", layers=("LSTM",)),
}
"""The remedies by name. Initialisations have one row: they cost a training step nothing."""


def remedies(plan: SuitePlan) -> Iterator[PointResult]:
    """Measure training steps, each remedy in turn with the same layer without it."""
    for layer in plan.layers:
        for batch, steps, size in plan.grid.points():
            for name, contender in REMEDIES.items():
                if layer in contender.layers:
                    yield _row(contender, Point(layer, name, batch, steps, size), plan)


def _row(contender: Contender, point: Point, plan: SuitePlan) -> PointResult:
    x = leaf(torch.randn(point.steps, point.batch, point.size), TRAINING, plan)
    pair = {WITHOUT: BASES[contender.against], WITH: contender}
    runs = {name: _run(each, point, x) for name, each in pair.items()}
    # One pair at a time: with all remedies in turn, minutes would pass between the two.
    return PointResult(point, interleaved(runs, rounds=plan.rounds, warmup=plan.warmup))


def _run(contender: Contender, point: Point, x: Tensor) -> Callable[[], None]:
    """A forward and backward pass from dL/dy, and from the penalty if there is one."""
    cell = contender.cell or point.layer.lower()
    module = Recurrent(cell, point.size, point.size, **contender.options)
    if contender.start is not None:
        contender.start(module)
    penalty, gradient = contender.penalty, torch.randn_like(x)
    resets = _resets(point) if contender.has_resets else None

    def run() -> None:
        y, _ = module(x, resets=resets)
        ends = (y,) if penalty is None else (y, penalty(y))
        torch.autograd.backward(ends, (gradient, None)[: len(ends)])
        module.zero_grad(set_to_none=True)
        x.grad = None

    return run


def _resets(point: Point) -> Tensor:
    """Reset marks (T, B), about one step in 16, always the same."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(point.steps, point.batch, generator=generator) < 1 / 16
