"""Streams: steps of a layer by sessions, and by calls of torch that carry their state."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from recurra.bench.catalogue import CELL, RECURRA, TORCH
from recurra.bench.layer_suites import pair
from recurra.bench.measurement import (
    FORWARD,
    Point,
    PointResult,
    SuitePlan,
    forward_run,
    operations,
    timed,
)
from recurra.nn.module_steps import steps_of

__all__ = ["streams"]


def streams(plan: SuitePlan) -> Iterator[PointResult]:
    """Measure the next steps of a layer, of one or several rows: one step, or a chunk of them."""
    for layer in plan.layers:
        for batch, steps, size in plan.grid.points():
            work = "one step" if steps == 1 else "a chunk"
            point = Point(layer, work, batch, steps, size)
            count = operations(layer, FORWARD, steps * batch, size)
            yield timed(point, _runs(point), count, plan)


def _runs(point: Point) -> dict[str, Callable[[], None]]:
    layers = pair(point.layer, point.size)
    cell = getattr(nn, f"{point.layer}Cell")(point.size, point.size)
    x = torch.randn(point.steps, point.batch, point.size)
    session = steps_of(layers[RECURRA], point.batch)
    advance = (lambda: session.step(x[0])) if point.steps == 1 else (lambda: session.feed(x))
    return {
        TORCH: forward_run(_carried(lambda state: layers[TORCH](x, state)[1])),
        CELL: forward_run(_carried(lambda state: _cells(cell, x, state))),
        RECURRA: forward_run(advance),
    }


def _carried(call: Callable[[Any], Any]) -> Callable[[], None]:
    """A call whose state is that of the call before."""
    state: Any = None

    def run() -> None:
        nonlocal state
        state = call(state)

    return run


def _cells(cell: nn.Module, x: torch.Tensor, state: Any) -> Any:
    for row in x:
        state = cell(row, state)
    return state
