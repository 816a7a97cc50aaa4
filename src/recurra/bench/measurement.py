"""Runs timed in turn at the points of a grid, beside the processor that they are measured on.

Its peak is that of independent multiply-adds.
"""

import ctypes
import functools
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from recurra import __version__
from recurra.bench.catalogue import Ratio, SizeGrid
from recurra.engines.cpu.jit.llvm import addresses, host
from recurra.nn import LSTM

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
    "machine_facts",
    "operations",
    "peak",
    "spread_of",
    "timed",
    "training_run",
    "use_threads",
]

ROUNDS = 5


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


def machine_facts() -> dict[str, str | int]:
    """The processor, versions, torch's threads, and the engine that layers run on."""
    return {
        "processor": _processor(),
        "llvm_name": host().cpu,
        "cores": os.cpu_count() or 1,
        "vector_bits": host().register_bytes * 8,
        "threads": torch.get_num_threads(),
        "engine": LSTM(1, 1).engine,
        "recurra": __version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
    }


def use_threads(threads: int) -> None:
    """Set torch's threads in this process, as a benchmark may; Recurra's are the same."""
    torch.set_num_threads(threads)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


# Enough sums to hide the latency of two units of 4 cycles, few enough for 16 registers.
STEPS, SUMS = 20_000_000, 12


def peak(steps: int = STEPS) -> float:
    """Measure operations a second in float32 (a multiply-add is two), on all of torch's threads.

    It is the best of a few rounds.
    """
    run, threads = _compiled(), torch.get_num_threads()
    seconds = _fewest_seconds(lambda room: run(room, steps), threads)
    return threads * steps * SUMS * host().lanes(4) * 2 / seconds


@functools.cache
def _compiled() -> Callable[[int, int], None]:
    (address,) = addresses(_text(host().lanes(4)), ("peak",), host())
    return ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(address)


def _fewest_seconds(run: Callable[[int], None], threads: int) -> float:
    """Seconds of a call on all threads, each with a buffer; ctypes releases the global lock."""
    rooms = [ctypes.create_string_buffer(256) for _ in range(threads)]
    places = [ctypes.addressof(room) for room in rooms]
    times = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(ROUNDS):
            began = time.perf_counter()
            list(pool.map(run, places))
            times.append(time.perf_counter() - began)
    return min(times)


def _text(lanes: int) -> str:
    """The loop for LLVM.

    loop:
      %s0 = phi [0, %entry], [%n0, %loop]        one of these a sum
      %n0 = fma(%s0, 0.5, 0.5)                   one of these a sum
    done:
      store volatile %n0, ptr %out               or the loop would be optimised away
    """
    vector = f"<{lanes} x float>"
    half = f"{vector} <" + ", ".join(["float 0.5"] * lanes) + ">"
    fma = f"{vector} @llvm.fma.v{lanes}f32"
    phis = [f"%s{n} = phi {vector} [zeroinitializer, %entry], [%n{n}, %loop]" for n in range(SUMS)]
    sums = [f"%n{n} = call {fma}({vector} %s{n}, {half}, {half})" for n in range(SUMS)]
    stores = [f"store volatile {vector} %n{n}, ptr %out, align 4" for n in range(SUMS)]
    lines = [
        f"declare {fma}({vector}, {vector}, {vector})",
        'define void @peak(ptr %out, i64 %steps) "prefer-vector-width"="512" {',
        "entry:",
        "br label %loop",
        "loop:",
        "%i = phi i64 [0, %entry], [%next, %loop]",
        *phis,
        *sums,
        "%next = add i64 %i, 1",
        "%more = icmp slt i64 %next, %steps",
        "br i1 %more, label %loop, label %done",
        "done:",
        *stores,
        "ret void",
        "}",
    ]
    return "\n".join(lines)
