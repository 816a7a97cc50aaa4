"""Contenders timed in turn, so that a machine that slows down slows all of them."""

import math
import time
from collections.abc import Callable, Mapping

from recurra.bench.results import Spread, spread_of

__all__ = ["ENOUGH", "interleaved"]

ENOUGH = 0.02
"""Seconds that a contender runs in each round: shorter runs are repeated."""

Run = Callable[[], object]


def interleaved(runs: Mapping[str, Run], *, rounds: int, warmup: int) -> dict[str, Spread]:
    """Seconds of one run of each contender: all in turn, `rounds` times after `warmup` times.

    Rounds that warm up are at least one: the last tells how often a short run is repeated.
    """
    repeats = dict.fromkeys(runs, 1)
    for _ in range(warmup):
        repeats = {name: math.ceil(ENOUGH / _seconds(run, 1)) for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            times[name].append(_seconds(run, repeats[name]))
    return {name: spread_of(values) for name, values in times.items()}


def _seconds(run: Run, repeats: int) -> float:
    began = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - began) / repeats
