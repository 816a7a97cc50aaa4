"""What is timed: a forward pass or a training step, and the operations of its products."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from recurra.bench.catalogue import Grid
from recurra.bench.results import Point, Row
from recurra.bench.timing import interleaved

__all__ = [
    "FORWARD",
    "GATES",
    "TRAINING",
    "Plan",
    "forward_run",
    "leaf",
    "operations",
    "timed",
    "training_run",
]

TRAINING, FORWARD = "training", "forward"
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


@dataclass(frozen=True)
class Plan:
    """How a suite is measured: its grid, layers, rounds, and whether the input wants a gradient."""

    grid: Grid
    layers: Sequence[str]
    rounds: int = 7
    warmup: int = 2
    input_gradient: bool = False

    def points(self, layer: str) -> Iterator[Point]:
        """Every point of a layer: training steps, then forward passes."""
        for work in (TRAINING, FORWARD):
            for batch, steps, size in self.grid.points():
                yield Point(layer, work, batch, steps, size)


def operations(
    layer: str, work: str, rows: int, size: int, *, input_gradient: bool = False
) -> float:
    """Operations of all products over `rows` steps, counting those of the whole batch, I = H.

    Forward there is W x and U h; a training step adds the gradients of W, of U and of h, and that
    of x where it is asked for. A multiply-add is two.
    """
    product = 2.0 * rows * GATES[layer] * size * size
    products = 2 if work == FORWARD else 5 + input_gradient
    return products * product


def leaf(x: Tensor, work: str, plan: Plan) -> Tensor:
    """The input of a run, which wants a gradient where the plan says so."""
    return x.requires_grad_(work == TRAINING and plan.input_gradient)


def forward_run(call: Callable[[], Any]) -> Callable[[], None]:
    """A forward pass that records nothing for a backward pass."""

    def run() -> None:
        with torch.no_grad():
            call()

    return run


def training_run(
    module: nn.Module, x: Tensor, outputs: Callable[[], Tensor], gradient: Tensor
) -> Callable[[], None]:
    """Forward and backward pass from dL/dy = `gradient`; the gradients are let go of again."""

    def run() -> None:
        torch.autograd.backward(outputs(), gradient)
        module.zero_grad(set_to_none=True)
        x.grad = None

    return run


def timed(point: Point, runs: Mapping[str, Callable[[], object]], count: float, plan: Plan) -> Row:
    """Time the contenders of a point, whose run takes `count` operations."""
    return Row(point, interleaved(runs, rounds=plan.rounds, warmup=plan.warmup), count)
