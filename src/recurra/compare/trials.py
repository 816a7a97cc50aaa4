"""Trainings of a comparison: a task as a contest of cells, their sizes, the settings by seed."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from recurra.compare.comparison import Comparison, folder_name
from recurra.config.task_config import NetworkConfig
from recurra.errors import CellError, ConfigError, RecurraError
from recurra.insight import GradientFlow, LayerReach, gradient_flow
from recurra.tasks.record import cell_digests, split_tensors
from recurra.tasks.registry import check_early, config_of, estimator_of, task_named
from recurra.tasks.stages import check_memory, unallocated
from recurra.tasks.task import Figures, Task
from recurra.training import Progress, TrainingResult
from recurra.training.optim import make_optimizer

__all__ = [
    "Contest",
    "Entry",
    "Figures",
    "Settings",
    "Trained",
    "Trial",
    "Weights",
    "farthest",
    "nearest_size",
    "plan",
]

_ENDLESS = 1_000_000
_CURVE_POINTS, _LEAST_STEPS_BETWEEN = 40, 50
_SEARCH_PART = 3
"""A search trains for this part of the budget; not tuned."""
_TRIES = 64
"""The most sizes tried in a row: a cell with blocks of units can't have every size."""


Settings = Mapping[str, Any]
Weights = dict[str, Tensor]

_ROWS, _STEPS = 32, 100
"""Rows and steps of a window whose gradient is followed, where the settings leave them to the data.
"""


_READ: dict[tuple[str, str], tuple[Any, Mapping[str, Any]]] = {}
"""Data and context by the task and the settings that they depend on."""


@dataclass(frozen=True)
class Trained:
    """A training's result, and its figures on the test."""

    result: TrainingResult
    test: dict[str, float]


class Contest:
    """The task of that name; `settings` are those of its configuration."""

    def __init__(self, task: str) -> None:
        self._name = task

    def facts(self, settings: Settings) -> Figures:
        """Names of the figures, and what chance gives."""
        task, data = self._begun(settings)
        return task.figures(data)

    def count(self, settings: Settings) -> int:
        """Learnt numbers of the model; CellError for a hidden size that the cell can't have."""
        task, _ = self._begun(settings)
        return sum(parameter.numel() for parameter in unallocated(task).parameters())

    def check(self, settings: Settings) -> str:
        """Raise what building the model would; the digests of its cells' equations."""
        check_memory(self._begun(settings)[0])
        with torch.random.fork_rng(devices=[]):
            model, _, _ = self._model(settings)
        return " ".join(cell_digests([model]).values())

    def warm_up(self, settings: Settings) -> None:
        """One training step of one sequence, which loads libraries and compiles kernels."""
        model, task, data = self._model({**settings, "batch_size": 1})
        optimizer = make_optimizer(model, task.config)
        loss, _, _ = task.loss(model, task.windows(data).window(0, 0), None)
        torch.autograd.backward(loss)
        optimizer.step()

    def train(
        self,
        settings: Settings,
        out: Path,
        progress: Progress,
        *,
        resume: bool = False,
        tests: bool = True,
        tested: Mapping[str, Any] | None = None,
    ) -> Trained:
        """Train into the run `out`, and test: on the task's own test, or on what is `tested`."""
        model = estimator_of(self._name)(**settings)
        model.fit(out=out, resume=resume, progress=progress)
        result = model.results[0]
        tests = tests and result.stopped != "interrupted"
        if not tests:
            return Trained(result, {})
        return Trained(result, dict(model.evaluate(**tested) if tested else model.figures()))

    def flow(self, settings: Settings, weights: Weights | None) -> LayerReach:
        """The loss's gradient on its way back, with weights of a run or those of the start."""
        model, task, data = self._model(settings)
        if weights is not None:
            model.load_state_dict(split_tensors(weights, task.config.ensemble)[0][0])
        config = task.config
        probe = task.probe(data, rows=config.batch_size or _ROWS, steps=config.window or _STEPS)
        return farthest(gradient_flow(model.eval(), probe.inputs, loss=probe.loss))

    def _model(self, settings: Settings) -> tuple[nn.Module, Task[Any, Any, Any], Any]:
        """The model as its training begins, and the data."""
        task, data = self._begun(settings)
        torch.manual_seed(task.config.seed)
        return task.build(), task, data

    def _begun(self, settings: Settings) -> tuple[Task[Any, Any, Any], Any]:
        """The task with its context, and the data, which are read once for all cells."""
        kind = task_named(self._name)
        config = kind.configuration.of(settings)
        shared = {field.name for field in dataclasses.fields(NetworkConfig)}
        deciding = {name: v for name, v in dataclasses.asdict(config).items() if name not in shared}
        key = (self._name, json.dumps(deciding))
        if key not in _READ:
            task = kind(config)
            data = task.read()
            _READ[key] = data, task.context_of(data)
        data, context = _READ[key]
        return kind(config, context), data


def farthest(flow: GradientFlow) -> LayerReach:
    """That of the layer through which a gradient reaches farthest."""
    reaches = (layer.reach for layer in flow.layers)
    return max(reaches, key=lambda reach: (reach.horizon.steps, not reach.horizon.reached))


@dataclass(frozen=True)
class Trial:
    """One training: a cell with a seed, and everything else that its result depends on.

    One of the search is there for its validations alone: nothing is tested. `tested` is what the
    others are measured on, where that isn't the task's own test.
    """

    label: str
    seed: int
    task: str
    settings: Mapping[str, Any]
    equations: str
    tested: Mapping[str, Any] | None = None
    is_search: bool = False

    @property
    def name(self) -> str:
        """The name of its folder."""
        if self.is_search:
            return f"{folder_name(self.label)}-rate-{self.settings['learning_rate']:g}"
        return f"{folder_name(self.label)}-{self.seed}"

    def key(self) -> str:
        """A digest of everything that its result depends on."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Entry:
    """A cell of the comparison at its size, with the trainings of all seeds.

    `search` has a training for each learning rate, where those are searched.
    """

    label: str
    hidden: int
    parameters: int
    trials: tuple[Trial, ...]
    search: tuple[Trial, ...] = ()

    def at_rate(self, rate: float) -> Entry:
        """The same with a learning rate for all seeds."""
        trials = (replace(t, settings={**t.settings, "learning_rate": rate}) for t in self.trials)
        return replace(self, trials=tuple(trials))


def plan(comparison: Comparison) -> list[Entry]:
    """Choose every cell's size and check all settings, before any training begins.

    Raises ConfigError, with the cell's label, for unknown cells, invalid settings, or too few
    parameters; DataError for files to test on that don't exist.
    """
    return [_entry(comparison, label) for label in comparison.cells]


def _entry(comparison: Comparison, label: str) -> Entry:
    contest = Contest(comparison.task)
    settings = _with_budget(comparison, comparison.settings(label))
    try:
        check_early(config_of(comparison.task).of(settings), comparison.test)
        hidden, parameters = _size(comparison, contest, settings)
        settings = {**settings, "hidden": hidden}
        equations = contest.check(settings)
    except RecurraError as error:
        raise type(error)(f"{label}: {error}") from error
    tested = comparison.tested if comparison.is_tested else None
    trials = (
        Trial(label, seed, comparison.task, {**settings, "seed": seed}, equations, tested)
        for seed in range(comparison.seeds)
    )
    return Entry(
        label, hidden, parameters, tuple(trials), _search(comparison, label, settings, equations)
    )


def _search(
    comparison: Comparison, label: str, settings: Settings, equations: str
) -> tuple[Trial, ...]:
    """A training for each learning rate, of a part of the budget, with the first seed."""
    budget = {
        "max_steps": -(-comparison.steps // _SEARCH_PART) if comparison.steps else "none",
        "max_minutes": comparison.minutes / _SEARCH_PART if comparison.minutes else "none",
    }
    return tuple(
        Trial(
            label, 0, comparison.task, {**settings, **budget, "seed": 0, "learning_rate": rate},
            equations, is_search=True,
        )
        for rate in comparison.rates
    )  # fmt: skip


def _size(comparison: Comparison, contest: Contest, settings: Mapping[str, Any]) -> tuple[int, int]:
    """Hidden size and parameters: a cell's own `hidden` takes precedence over the budget."""

    def count(hidden: int) -> int:
        return contest.count({**settings, "hidden": hidden})

    hidden = settings.get("hidden", comparison.hidden)
    if hidden is None:
        assert comparison.parameters is not None  # one of the two is there
        return nearest_size(count, comparison.parameters)
    return hidden, count(hidden)


def _with_budget(comparison: Comparison, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings with the budget, and with regular validations for the learning curve."""
    every = max(_LEAST_STEPS_BETWEEN, (comparison.steps or 0) // _CURVE_POINTS)
    steps = {"max_steps": comparison.steps or "none", "max_minutes": comparison.minutes or "none"}
    return {"validate_every": every, "epochs": _ENDLESS, **settings, **steps}


def nearest_size(count: Callable[[int], int], wanted: int) -> tuple[int, int]:
    """Find the size whose count is nearest to `wanted`; return both.

    `count` grows with the size, and raises CellError for an impossible size. Raises ConfigError
    where the smallest possible size has a count above `wanted`, or no larger one is possible.

    >>> nearest_size(lambda size: 2 * size * size, 20)
    (3, 18)
    """
    low, fewest = _next_size(count, 1)
    if fewest > wanted:
        raise ConfigError(f"parameters = {wanted}; the smallest model has {fewest}: give as many.")
    if fewest == wanted:
        return low, fewest
    high, most = _next_size(count, 2 * low)
    while most < wanted:
        low, fewest = high, most
        high, most = _next_size(count, 2 * high)
    while high - low > 1:
        middle, between = _next_size(count, (low + high) // 2)
        if middle == high:
            # No size from the middle up to `high` is possible: search below it.
            middle, between = _last_size(count, (low + high) // 2, low)
            if middle == low:
                break
        if between <= wanted:
            low, fewest = middle, between
        else:
            high, most = middle, between
    return (low, fewest) if wanted - fewest <= most - wanted else (high, most)


def _next_size(count: Callable[[int], int], size: int) -> tuple[int, int]:
    """The first possible size from `size` on, with its count."""
    for tried in range(size, size + _TRIES):
        try:
            return tried, count(tried)
        except CellError as error:
            reason = error
    raise ConfigError(
        f"no hidden size from {size} to {size + _TRIES - 1} is possible, so parameters can't be "
        f"chosen: {reason}"
    )


def _last_size(count: Callable[[int], int], size: int, least: int) -> tuple[int, int]:
    """The last possible size below `size`, with its count; `least` is possible."""
    for tried in range(size - 1, least, -1):
        with contextlib.suppress(CellError):
            return tried, count(tried)
    return least, count(least)
