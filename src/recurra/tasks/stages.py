"""The trainings of a run: every member of an ensemble, one stage after another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from recurra.runs import ranks
from recurra.runs.run import Run
from recurra.tasks.session import weights_digest
from recurra.tasks.task import Task
from recurra.tasks.warm_start import freeze
from recurra.training import Progress, TrainingResult, fit

__all__ = ["StageInterrupted", "Stages", "build_members", "has_begun", "member_run"]


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

    def __call__(
        self, stage: str, models: Sequence[nn.Module], tasks: Sequence[Task[Any, Any, Any]]
    ) -> tuple[TrainingResult, ...]:
        results: list[TrainingResult] = []
        for number, (model, task) in enumerate(zip(models, tasks, strict=True)):
            results.append(self._train(stage, number, len(models), model, task))
            if results[-1].stopped == "interrupted":
                raise StageInterrupted(tuple(results))
        return tuple(results)

    def _train(
        self, stage: str, number: int, members: int, model: nn.Module, task: Task[Any, Any, Any]
    ) -> TrainingResult:
        run, resume = self._stage_run(stage, number, members, model)
        result = fit(
            model,
            task.windows(self._data),
            task.loss,
            config=task.config,
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
        if self._resume and ranks.on_first((folder / "manifest.json").exists):
            run = Run.open(folder)
            if run.config == config:
                return run, True
        return Run.create(folder, config, overwrite=True), False


def build_members(task: Task[Any, Any, Any]) -> list[nn.Module]:
    """The models of all members, as each one's seed draws them."""
    models = []
    for number in range(task.config.ensemble):
        member = task.member(number)
        torch.manual_seed(member.config.seed)
        models.append(member.build())
        freeze(models[-1], member.config.freeze)
    return models


def _folder(run: Run, number: int, members: int) -> Path:
    return run.path if members == 1 else run.path / "members" / str(number)


def member_run(run: Run, number: int, members: int) -> Run:
    """The run of a member: the run itself where it has one model alone."""
    return run if members == 1 else Run.open(_folder(run, number, members))


def has_begun(run: Run, number: int, members: int) -> bool:
    """Tell whether the training of a member has left a checkpoint to resume from."""
    checkpoints = _folder(run, number, members) / "checkpoints"
    return ranks.on_first(lambda: any(checkpoints.glob("step-*")))
