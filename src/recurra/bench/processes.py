"""Suites that need a fresh process for each measurement: peak memory, and time to compile."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence

import torch

from recurra.bench.catalogue import RECURRA, TORCH
from recurra.bench.results import Point, Row, spread_of
from recurra.bench.work import TRAINING, Plan
from recurra.errors import EngineError

__all__ = ["compiling", "memory"]

MOST = 3
"""Processes of each kind for a point, however many rounds are asked for."""


def memory(plan: Plan) -> Iterator[Row]:
    """Bytes that training steps need at most, beyond what was there before the first."""
    for layer in plan.layers:
        for point in plan.points(layer):
            if point.work == TRAINING:
                yield _memory(point, plan)


def compiling(plan: Plan) -> Iterator[Row]:
    """Seconds of the first calls in a process whose cache is empty, and in the next one."""
    for layer in plan.layers:
        for batch, steps, size in plan.grid.points():
            yield _compiling(Point(layer, "first call", batch, steps, size), plan)


def _memory(point: Point, plan: Plan) -> Row:
    values: dict[str, list[float]] = {TORCH: [], RECURRA: []}
    for _ in range(min(plan.rounds, MOST)):
        for name, found in values.items():
            found.append(_child("memory", point, plan, name)["bytes"])
    return Row(point, {name: spread_of(found) for name, found in values.items()})


def _compiling(point: Point, plan: Plan) -> Row:
    values: dict[str, list[float]] = {}
    for _ in range(min(plan.rounds, MOST)):
        with tempfile.TemporaryDirectory() as cache:
            cold, cached = (_child("compile", point, plan, RECURRA, cache) for _ in range(2))
        found = {
            "start": cold["start"],
            "compiled": cold["first"],
            "start again": cached["start"],
            "cached": cached["first"],
            "next call": cached["second"],
        }
        for name, seconds in found.items():
            values.setdefault(name, []).append(seconds)
    return Row(point, {name: spread_of(seconds) for name, seconds in values.items()})


def _child(
    job: str, point: Point, plan: Plan, library: str, cache: str | None = None
) -> dict[str, float]:
    order = {
        "job": job,
        "library": library,
        "layer": point.layer,
        "shape": [point.steps, point.batch, point.size],
        "input_gradient": plan.input_gradient,
        "threads": torch.get_num_threads(),
    }
    # `env` sets the folder of the cache: the environment itself is for the settings alone to read.
    setting = ["env", f"RECURRA_CACHE={cache}"] if cache is not None else []
    return _answer(
        [*setting, sys.executable, "-m", "recurra.bench.child", json.dumps(order)], point
    )


def _answer(command: Sequence[str], point: Point) -> dict[str, float]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it was killed"])[-1]
        raise EngineError(
            f"The process that measured {point.layer} with B = {point.batch}, T = {point.steps}, "
            f"H = {point.size} ended with code {done.returncode} ({last}); try smaller sizes."
        )
    found: dict[str, float] = json.loads(done.stdout)
    return found
