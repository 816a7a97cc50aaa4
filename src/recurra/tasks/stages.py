"""The trainings of a run: its members, stage by stage."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from recurra.errors import ConfigError
from recurra.processes import machine_memory
from recurra.runs import ranks
from recurra.runs.run import Run
from recurra.tasks.session import weights_digest
from recurra.tasks.task import Task
from recurra.training import Progress, TrainingResult, fit

__all__ = [
    "StageInterrupted",
    "Stages",
    "build_members",
    "check_memory",
    "freeze",
    "has_begun",
    "member_run",
    "unallocated",
]


def freeze(model: nn.Module, parts: str) -> None:
    """Keep parameters as they are whose names begin with one of `parts`, separated by commas.

    Raises ConfigError for a part that the model does not have, and where nothing is left to train.
    """
    # Tied weights under each of their names.
    every = dict(model.named_parameters(remove_duplicate=False))
    for part in (word.strip() for word in parts.split(",") if word.strip()):
        names = [name for name in every if name.startswith(part)]
        if not names:
            roots = sorted({name.partition(".")[0] for name in every})
            raise ConfigError(
                f"freeze = {parts!r}: no parameter's name begins with {part!r}; the model has "
                f"{', '.join(roots)}."
            )
        for name in names:
            every[name].requires_grad_(False)
    if not any(parameter.requires_grad for parameter in every.values()):
        raise ConfigError(f"freeze = {parts!r}: nothing is left to train; freeze fewer parts.")


class StageInterrupted(Exception):
    """A training was interrupted by a signal, saved; `results` are those of its stage so far."""

    def __init__(self, results: tuple[TrainingResult, ...]) -> None:
        super().__init__()
        self.results = results


class Stages:
    """Trains all models, as one stage of a run: "" is the first, in the members' own runs."""

    def __init__(self, run: Run, data: Any, resume: bool, progress: Progress | None) -> None:
        self._run, self._data = run, data
        self._resume, self._progress = resume, progress
        self.steps_taken: int = 0

    def __call__(
        self, stage: str, models: Sequence[nn.Module], tasks: Sequence[Task[Any, Any, Any]]
    ) -> tuple[TrainingResult, ...]:
        results: list[TrainingResult] = []
        for number, (model, task) in enumerate(zip(models, tasks, strict=True)):
            results.append(self._train(stage, number, len(models), model, task))
            self.steps_taken += results[-1].steps - results[-1].resumed_at
            if results[-1].stopped == "interrupted":
                raise StageInterrupted(tuple(results))
        return tuple(results)

    def _train(
        self, stage: str, number: int, members: int, model: nn.Module, task: Task[Any, Any, Any]
    ) -> TrainingResult:
        run, resume = self._stage_run(stage, number, members, model)
        windows = task.windows(self._data)
        result = fit(
            model,
            windows,
            task.loss,
            config=task.suited(windows),
            run=run,
            validate=task.validation(self._data),
            metric=task.metric,
            resume=resume,
            progress=self._progress,
        )
        model.load_state_dict(run.load_model())
        model.eval()
        return result

    def _stage_run(
        self, stage: str, number: int, members: int, model: nn.Module
    ) -> tuple[Run, bool]:
        """The run of a member's stage, and whether it is resumed.

        A further stage is not, where the one before it has changed the weights it starts from.
        """
        if members == 1 and not stage:
            return self._run, self._resume
        folder = _folder(self._run, number, members)
        folder = folder / "stages" / stage if stage else folder
        config = {"member": number, **({"start": weights_digest([model])} if stage else {})}
        # Rank 0 answers for all: it may make the run before another one looks.
        if self._resume and not ranks.on_first(lambda: Run.has_room(folder)):
            run = Run.open(folder)
            if run.config == config:
                return run, True
        return Run.create(folder, config, overwrite=True), False


def build_members(task: Task[Any, Any, Any]) -> list[nn.Module]:
    """The models of all members, as each one's seed draws them.

    Raises ConfigError where training them needs more memory than there is.
    """
    check_memory(task)
    models = []
    for number in range(task.config.ensemble):
        member = task.member(number)
        torch.manual_seed(member.config.seed)
        models.append(member.build())
        freeze(models[-1], member.config.freeze)
    return models


def unallocated(task: Task[Any, Any, Any]) -> nn.Module:
    """The task's model on torch's meta device, where it has sizes and no memory."""
    # Initialisation, and what keeps it, adds no parameters.
    config = dataclasses.replace(task.config, init=None, orthogonal=False)
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return type(task)(config, task.context).build()


_WORDS_OF_OPTIMIZER = {"adamw": 2, "sgd": 1}
"""Numbers that an optimiser keeps for each parameter, at most."""


def check_memory(task: Task[Any, Any, Any]) -> None:
    """Raise ConfigError where training the task's models needs more memory than there is."""
    config, memory = task.config, machine_memory()
    try:
        weights = list(unallocated(task).parameters())
    except Exception:
        return  # a mistake that building raises, or a model of a user's own that computes
    size = sum(weight.numel() * weight.element_size() for weight in weights)
    needed = size * (config.ensemble + 1 + _WORDS_OF_OPTIMIZER[config.optimizer])
    if memory is not None and needed > memory:
        parameters = sum(weight.numel() for weight in weights)
        raise ConfigError(
            f"hidden = {config.hidden} and layers = {config.layers} make {parameters:,} "
            f"parameters; training takes {_gibibytes(needed)} for weights, gradients and "
            f"optimiser alone, and there are {_gibibytes(memory)}: give fewer."
        )


def _gibibytes(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB"


def _folder(run: Run, number: int, members: int) -> Path:
    return run.path if members == 1 else run.path / "members" / str(number)


def member_run(run: Run, number: int, members: int) -> Run:
    """The run of a member: the run itself where it has one model alone."""
    return run if members == 1 else Run.open(_folder(run, number, members))


def has_begun(run: Run, number: int, members: int) -> bool:
    """Tell whether the training of a member has left a checkpoint to resume from."""
    checkpoints = _folder(run, number, members) / "checkpoints"
    return ranks.on_first(lambda: any(checkpoints.glob("step-*")))
