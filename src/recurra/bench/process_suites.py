"""Suites that need a new process for each measurement: peak memory, and the time to compile."""

import mmap
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

import recurra.nn
from recurra.bench.catalogue import RECURRA, TORCH
from recurra.bench.measurement import (
    TRAINING,
    Point,
    PointResult,
    SuitePlan,
    spread_of,
    use_threads,
)
from recurra.errors import EngineError
from recurra.processes import Job, peak_memory, reset_peak_memory, run_job

__all__ = ["compile_seconds", "compiling", "memory", "step_bytes"]

MOST = 3
"""The most processes of each kind for a point, however many rounds are requested."""
STEPS = 3
"""Training steps whose highest peak counts: the first allocates workspaces, the next reuse them."""


def memory(plan: SuitePlan) -> Iterator[PointResult]:
    """Measure the peak memory of training steps, above the memory before the first."""
    for layer in plan.layers:
        for point in plan.points(layer):
            if point.work == TRAINING:
                yield _memory(point, plan)


def compiling(plan: SuitePlan) -> Iterator[PointResult]:
    """Measure the first calls in a process with an empty cache, and in the next process."""
    for layer in plan.layers:
        for batch, steps, size in plan.grid.points():
            yield _compiling(Point(layer, "first call", batch, steps, size), plan)


def _memory(point: Point, plan: SuitePlan) -> PointResult:
    values: dict[str, list[float]] = {TORCH: [], RECURRA: []}
    for _ in range(min(plan.rounds, MOST)):
        for name, found in values.items():
            found.append(run_job(job(step_bytes.__name__, point, plan, name)))
    return PointResult(point, {name: spread_of(found) for name, found in values.items()})


def _compiling(point: Point, plan: SuitePlan) -> PointResult:
    values: dict[str, list[float]] = {}
    for _ in range(min(plan.rounds, MOST)):
        with tempfile.TemporaryDirectory() as cache:
            settings = {"RECURRA_CACHE": cache}
            compiled = job(compile_seconds.__name__, point, plan, RECURRA, settings)
            cold, cached = run_job(compiled), run_job(compiled)
        found = {
            "start": cold["start"],
            "compiled": cold["first"],
            "start again": cached["start"],
            "cached": cached["first"],
            "next call": cached["second"],
        }
        for name, seconds in found.items():
            values.setdefault(name, []).append(seconds)
    return PointResult(point, {name: spread_of(seconds) for name, seconds in values.items()})


def job(
    function: str,
    point: Point,
    plan: SuitePlan,
    library: str,
    settings: dict[str, str] | None = None,
) -> Job:
    """A job that measures a layer of a library at a point by a function of this file."""
    arguments = {
        "library": library,
        "layer": point.layer,
        "shape": [point.steps, point.batch, point.size],
        "input_gradient": plan.input_gradient,
        "threads": torch.get_num_threads(),
    }
    return Job(
        f"{point.layer} with B = {point.batch}, T = {point.steps}, H = {point.size}",
        f"{__name__}:{function}",
        arguments,
        settings or {},
        failure=EngineError,
        remedy="try smaller sizes",
    )


def step_bytes(
    library: str, layer: str, shape: Sequence[int], input_gradient: bool, threads: int
) -> float:
    """The peak memory of training steps in this process, above the memory before the first.

    By then the layer and its input exist, and a step of two rows was run, so that libraries are
    loaded and kernels compiled.
    """
    use_threads(threads)
    module, x = _made(library, layer, shape, input_gradient)
    _training_step(module, x[:2])
    before = reset_peak_memory()
    for _ in range(STEPS):
        _training_step(module, x)
    # At least the unit that the kernel counts in, so that a ratio never divides by zero.
    return max(peak_memory() - before, mmap.PAGESIZE)


def compile_seconds(
    library: str, layer: str, shape: Sequence[int], input_gradient: bool, threads: int
) -> dict[str, float]:
    """Seconds of training steps in this process: the first of all, which loads libraries.

    That is of another layer; then come the first and the second step of the layer itself.
    """
    use_threads(threads)
    start = _seconds(*_made(library, "RNN", (1, 1, 3), input_gradient))
    module, x = _made(library, layer, shape, input_gradient)
    return {"start": start, "first": _seconds(module, x), "second": _seconds(module, x)}


def _made(
    library: str, layer: str, shape: Sequence[int], input_gradient: bool
) -> tuple[nn.Module, Tensor]:
    steps, batch, size = shape
    source: Any = nn if library == TORCH else recurra.nn
    x = torch.randn(steps, batch, size, requires_grad=input_gradient)
    return getattr(source, layer)(size, size), x


def _training_step(module: nn.Module, x: Tensor) -> None:
    y, _ = module(x)
    torch.autograd.backward(y, torch.ones_like(y))
    module.zero_grad(set_to_none=True)
    x.grad = None


def _seconds(module: nn.Module, x: Tensor) -> float:
    began = time.perf_counter()
    _training_step(module, x)
    return time.perf_counter() - began
