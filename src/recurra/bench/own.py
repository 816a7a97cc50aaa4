"""The suite of a user's own cell: a loop of torch operations, Recurra, and Recurra's own LSTM."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from recurra.bench.catalogue import RECURRA
from recurra.bench.peephole import EagerPeephole
from recurra.bench.results import Point, Row
from recurra.bench.work import FORWARD, Plan, forward_run, leaf, operations, timed, training_run
from recurra.cells import PeepholeLSTM
from recurra.nn import LSTM, Recurrent

__all__ = ["own"]


def own(plan: Plan) -> Iterator[Row]:
    """Training steps and forward passes of an LSTM with peepholes."""
    for layer in plan.layers:
        for point in plan.points(layer):
            yield _row(point, plan)


def _row(point: Point, plan: Plan) -> Row:
    ours = Recurrent(PeepholeLSTM, point.size, point.size)
    modules = {
        "eager loop": EagerPeephole(ours),
        RECURRA: ours,
        "Recurra LSTM": LSTM(point.size, point.size),
    }
    x = leaf(torch.randn(point.steps, point.batch, point.size), point.work, plan)
    runs = {name: _run(point.work, module, x) for name, module in modules.items()}
    rows, wanted = point.steps * point.batch, plan.input_gradient
    # What peepholes multiply is H where a product has H * H: left out of the count.
    count = operations(point.layer, point.work, rows, point.size, input_gradient=wanted)
    return timed(point, runs, count, plan)


def _run(work: str, module: nn.Module, x: Tensor) -> Callable[[], None]:
    if work == FORWARD:
        return forward_run(lambda: module(x))
    return training_run(module, x, lambda: module(x)[0], torch.randn_like(x))
