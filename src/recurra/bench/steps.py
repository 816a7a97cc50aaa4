"""Suites of single steps: a layer that streams, and cells that a training loop calls."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

import recurra.nn
from recurra.bench.catalogue import RECURRA, TORCH
from recurra.bench.layers import pair
from recurra.bench.results import Point, Row
from recurra.bench.work import (
    FORWARD,
    TRAINING,
    Plan,
    forward_run,
    leaf,
    operations,
    timed,
    training_run,
)

__all__ = ["steps"]

STREAMED = "LSTM"


def steps(plan: Plan) -> Iterator[Row]:
    """One step of a layer of each size, then a training step of a loop over each cell."""
    if STREAMED in plan.layers:
        for size in plan.grid.sizes:
            yield _one_step(Point(STREAMED, "one step", 1, 1, size), plan)
    for layer in plan.layers:
        for batch, length, size in plan.grid.points():
            point = Point(f"{layer}Cell", "training loop", batch, length, size)
            yield _loop(layer, point, plan)


def _one_step(point: Point, plan: Plan) -> Row:
    x, state = torch.randn(1, 1, point.size), torch.randn(2, 1, 1, point.size)
    states = (state[0], state[1])
    runs = {
        name: _step_run(module, x, states) for name, module in pair(STREAMED, point.size).items()
    }
    return timed(point, runs, operations(STREAMED, FORWARD, 1, point.size), plan)


def _step_run(module: nn.Module, x: Tensor, states: tuple[Tensor, Tensor]) -> Callable[[], None]:
    return forward_run(lambda: module(x, states))


def _loop(layer: str, point: Point, plan: Plan) -> Row:
    x = leaf(torch.randn(point.steps, point.batch, point.size), TRAINING, plan)
    runs = {
        name: _loop_run(getattr(library, point.layer)(point.size, point.size), x)
        for name, library in ((TORCH, nn), (RECURRA, recurra.nn))
    }
    rows = point.steps * point.batch
    wanted = plan.input_gradient
    count = operations(layer, TRAINING, rows, point.size, input_gradient=wanted)
    return timed(point, runs, count, plan)


def _loop_run(cell: nn.Module, x: Tensor) -> Callable[[], None]:
    def outputs() -> Tensor:
        state: Any = None
        hidden = []
        for row in x:
            state = cell(row, state)
            hidden.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(hidden)

    return training_run(cell, x, outputs, torch.randn_like(x))
