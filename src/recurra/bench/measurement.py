"""Measurements at the points of a grid: runs timed in turn, and their numbers of operations."""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from recurra.bench.catalogue import Ratio, SizeGrid

__all__ = [
    "ENOUGH",
    "FORWARD",
    "GATES",
    "TRAINING",
    "Point",
    "PointResult",
    "Spread",
    "SuitePlan",
    "forward_run",
    "interleaved",
    "leaf",
    "operations",
    "spread_of",
    "timed",
    "training_run",
]

TRAINING, FORWARD = "training", "forward"
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}

ENOUGH = 0.02
"""Seconds that a contender runs in each round: shorter runs are repeated."""


@dataclass(frozen=True)
class Point:
    """A point of a grid: a layer, its work, and its sizes B, T and I = H."""

    layer: str
    work: str
    batch: int
    steps: int
    size: int


@dataclass(frozen=True)
class SuitePlan:
    """The options of a measurement: grid, layers, rounds, and whether x needs a gradient."""

    grid: SizeGrid
    layers: Sequence[str]
    rounds: int = 7
    warmup: int = 2
    input_gradient: bool = False

    def points(self, layer: str) -> Iterator[Point]:
        """Every point of a layer: training steps, then forward passes."""
        for work in (TRAINING, FORWARD):
            for batch, steps, size in self.grid.points():
                yield Point(layer, work, batch, steps, size)


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of the rounds."""

    median: float
    lower: float
    upper: float


@dataclass(frozen=True)
class PointResult:
    """The result at a point: the spread of each contender, and the operations of one run."""

    point: Point
    spreads: Mapping[str, Spread]
    operations: float | None = None

    def ratio(self, ratio: Ratio) -> float:
        """The ratio of the medians."""
        return self.spreads[ratio.theirs].median / self.spreads[ratio.ours].median


def spread_of(values: Sequence[float]) -> Spread:
    """Median and quartiles of at least one value.

    Example:
        >>> spread_of([3.0, 1.0, 2.0])
        Spread(median=2.0, lower=1.5, upper=2.5)
    """
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, lower, upper)


def operations(
    layer: str, work: str, rows: int, size: int, *, input_gradient: bool = False
) -> float:
    """Operations of all products over `rows` steps, counting those of the whole batch, I = H.

    A forward pass has W x and U h; a training step adds the gradients of W, of U and of h, and that
    of x where it is needed. A multiply-add is two operations.
    """
    product = 2.0 * rows * GATES[layer] * size * size
    products = 2 if work == FORWARD else 5 + input_gradient
    return products * product


def leaf(x: Tensor, work: str, plan: SuitePlan) -> Tensor:
    """The input of a run, which needs a gradient where the plan says so."""
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
    """A forward and backward pass from dL/dy = `gradient`, which releases the gradients again."""

    def run() -> None:
        torch.autograd.backward(outputs(), gradient)
        module.zero_grad(set_to_none=True)
        x.grad = None

    return run


def timed(
    point: Point, runs: Mapping[str, Callable[[], object]], count: float, plan: SuitePlan
) -> PointResult:
    """Time the contenders at a point, whose run takes `count` operations."""
    spreads = interleaved(runs, rounds=plan.rounds, warmup=plan.warmup)
    return PointResult(point, spreads, count)


def interleaved(
    runs: Mapping[str, Callable[[], object]], *, rounds: int, warmup: int
) -> dict[str, Spread]:
    """Seconds of one run of each contender: all in turn, `rounds` times after `warmup` times.

    Taking turns, they all slow down where the machine does. There is at least one round of warm-up:
    the last determines how often a short run is repeated.
    """
    repeats = dict.fromkeys(runs, 1)
    for _ in range(warmup):
        repeats = {name: math.ceil(ENOUGH / _seconds(run, 1)) for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            times[name].append(_seconds(run, repeats[name]))
    return {name: spread_of(values) for name, values in times.items()}


def _seconds(run: Callable[[], object], repeats: int) -> float:
    began = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - began) / repeats
