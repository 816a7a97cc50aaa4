"""A task as a contest of cells: model sizes, trainings, and how far back gradients reach."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from recurra.config.task_config import NetworkConfig
from recurra.errors import CellError
from recurra.insight.flow import GradientFlow, StateFlow, gradient_flow
from recurra.tasks.record import cell_digests, split_tensors
from recurra.tasks.registry import estimator_of, task_named
from recurra.tasks.task import Figures, Task
from recurra.training import Progress, TrainingResult
from recurra.training.optim import make_optimizer

__all__ = ["Contest", "Figures", "Settings", "Trained", "Weights", "farthest"]

Settings = Mapping[str, Any]
Weights = dict[str, Tensor]

_STEPS = 100
"""Steps of a window whose gradient is followed, where the task's windows have no length."""


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

    def count(self, settings: Settings) -> int | None:
        """Learnt numbers of the model, None for a hidden size that the cell can't have."""
        # Initialisation, and what keeps it, adds none.
        task, _ = self._begun({**settings, "init": "none", "orthogonal": False})
        try:
            with torch.device("meta"):
                return sum(parameter.numel() for parameter in task.build().parameters())
        except CellError:
            return None

    def check(self, settings: Settings) -> str:
        """Raise what building the model would; the digests of its cells' equations."""
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

    def train(self, settings: Settings, out: Path, resume: bool, progress: Progress) -> Trained:
        """Train into the run `out`, and test."""
        model = estimator_of(self._name)(**settings)
        model.fit(out=out, resume=resume, progress=progress)
        result = model.results[0]
        test = {} if result.stopped == "interrupted" else dict(model.figures())
        return Trained(result, test)

    def flow(self, settings: Settings, weights: Weights | None) -> StateFlow:
        """The loss's gradient on its way back, with weights of a run or those of the start."""
        model, task, data = self._model(settings)
        if weights is not None:
            model.load_state_dict(split_tensors(weights, task.config.ensemble)[0][0])
        config = task.config
        probe = task.probe(data, rows=config.batch_size, steps=config.window or _STEPS)
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


def farthest(flow: GradientFlow) -> StateFlow:
    """That of the layer, and its state, through which the gradient reaches farthest."""
    states = (layer.longest for layer in flow.layers)
    return max(states, key=lambda s: (s.horizon.steps, not s.horizon.reached))
