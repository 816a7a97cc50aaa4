"""Estimator: training, loading, resuming, judging and inspecting, the same for every task."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import os
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import torch
from torch import nn

from recurra.config.options import config_from_mapping, nearest_option
from recurra.config.task_config import TaskConfig
from recurra.config.training_config import Budget
from recurra.errors import ConfigError, RecurraWarning, RunError
from recurra.insight import Inspection, inspect_model
from recurra.runs import ranks
from recurra.runs.run import Run
from recurra.tasks import record
from recurra.tasks.description import Description, add_inspection, describe
from recurra.tasks.dialogue import Dialogues
from recurra.tasks.exportable import Exportable
from recurra.tasks.session import Session
from recurra.tasks.signature import Named, options_of
from recurra.tasks.sklearn_tags import not_trained
from recurra.tasks.stages import (
    StageInterrupted,
    Stages,
    build_members,
    has_begun,
    member_run,
)
from recurra.tasks.starting_weights import begin, set_part_rates, settings_taken_over
from recurra.tasks.task import Evaluation, Facts, Task
from recurra.training import Progress, RichProgress, TrainingResult
from recurra.training.training_loop import check_settings

__all__ = ["Estimator", "estimator_for"]

Config = TypeVar("Config", bound=TaskConfig)
Product = TypeVar("Product")


class Estimator(Named[Config], Generic[Config, Product]):
    """A model of a task: `fit` trains it into a run, `load` brings one back.

    Any field of the task's configuration may be given by name. `results` are those of the
    trainings, one a member of the ensemble; `validation` is the evaluation on the held-out data;
    `run` is the run. It is cloned, and has `get_params` and `set_params`, as scikit-learn expects.
    """

    task: ClassVar[type[Task[Any, Any, Any]]]

    def __init__(self, config: Config) -> None:
        self.config: Config = config
        self.results: tuple[TrainingResult, ...] = ()
        self.run: Run | None = None
        self._task: Task[Config, Any, Product] = self.task(config)
        self._product: Product | None = None
        self._validation: Evaluation | None = None
        self._data: Any = None
        self._facts: Facts | None = None
        self._say: Callable[[str], None] = _unsaid

    def fit(
        self,
        data: Any = None,
        *,
        out: str | os.PathLike[str] | None = None,
        resume: bool = False,
        overwrite: bool = False,
        progress: Progress | bool | None = None,
        **others: Any,
    ) -> Self:
        """Train into the run `out`, and measure what the best weights came to.

        Args:
            data: files or data in memory; none: those that the settings name.
            out: directory of the run; without one it lies in a temporary folder.
            resume: resume the run from its last checkpoint, with the settings it was started with;
                of those given here only epochs, max_steps, max_minutes, patience and
                resume_schedule may differ.
            overwrite: replace the run that is there.
            progress: a live display on stderr; by default in a terminal or notebook.
            others: further data, by the names that the task gives them.

        Raises:
            DataError: the data can't be used, or are too few.
            ConfigError: a setting differs from that of the run which is to be resumed.
            RunError: `out` holds another run, or the data or the cell of the run have changed.
            TrainingError: a loss or gradient is not finite, or the disk is full.
        """
        if resume and (overwrite or out is None):
            given = "overwritten" if overwrite else "without out"
            raise ConfigError(
                f"resume = true, and the run is {given}; a run is resumed from `out`, as it is."
            )
        self._check_named("fit", self.task.read, others)
        place, temporary = self._place(out)
        shown = _shown(progress, self._task.unit, self.config)
        self._say = _unsaid if shown is None else shown.message
        begin = self._resumed if resume else self._begun
        try:
            task, models, read, run, length = begin(place, overwrite or temporary, data, others)
        finally:
            self._say = _unsaid  # a display can't be pickled
        # Not before what would be refused is refused.
        self._forget()
        self.config, self._task, self.run, self._data = task.config, task, run, read
        for note in task.notes(read):
            warnings.warn(note, task.warning, stacklevel=2)
        if shown is not None and not resume and "start" in run.config:
            shown.message(run.config["start"])
        if shown is not None and length is not None:
            shown.message(length)
        with run.locked():
            stages = Stages(run, read, resume, shown)
            self._train(models, stages, describes=not temporary)
        if resume and not stages.steps_taken and self._product is not None:
            warnings.warn(_nothing_left(run, self.results), RecurraWarning, stacklevel=2)
        return self

    def evaluate(self, data: Any = None, **options: Any) -> Evaluation:
        """Measure the model on data, or without any on the run's own held-out data.

        `options` are those of the task's evaluation; ConfigError for another.
        """
        config_from_mapping(self.config.evaluation, options)
        product = self._ready()
        own = data is None
        read = self._own_data() if own else self._task.read_measured(data, **options)
        return self._task.evaluate(product, read, **options)

    def inspect(
        self,
        data: Any = None,
        *,
        rows: int = 32,
        steps: int = 100,
        out: str | os.PathLike[str] | None = None,
    ) -> tuple[Inspection, Path]:
        """Follow gradients through the model over data, with verdicts; and the page of pictures.

        Args:
            data: as for `evaluate`, of which about `rows` rows of `steps` steps are read; items of
                up to four times as many are read whole.
            rows: 1 or more.
            steps: 2 or more.
            out: the page to write; without one the pictures go to the run's report.html.
        """
        if rows < 1 or steps < 2:
            raise ConfigError(
                f"rows = {rows}, steps = {steps}; give 1 row or more of 2 steps or more."
            )
        page = None if out is None else Path(out)
        if page is not None and (page.suffix != ".html" or not page.parent.is_dir()):
            raise ConfigError(f"out = '{page}'; give a page in a folder that is there: page.html.")
        product, run = self._ready(), self._run()
        read = self._own_data() if data is None else self._task.read_measured(data)
        probe = self._task.probe(read, rows=rows, steps=steps)
        module = self._task.module(product).eval()
        metrics = member_run(run, 0, self.config.ensemble).metrics()
        found = inspect_model(
            module,
            probe.inputs,
            loss=probe.loss,
            judges=probe.judges,
            window=self._task.training_window,
            metrics=metrics,
        )
        return found, add_inspection(run, page, found, probe, module)

    def session(self, **options: Any) -> Session[Any, Any]:
        """A stream of one client: fed chunk by chunk, saved and restored.

        `options` are those of the task's `session`; TypeError for another.
        """
        self._check_named("session", self.task.session, options)
        return self._task.session(self._ready(), **options).begun()

    def exportables(self) -> Sequence[Exportable]:
        """The model's networks as programs for other machines.

        Raises ConfigError where the task or its model can't be exported.
        """
        return self._task.exportables(self._ready())

    def page_facts(self) -> dict[str, Any]:
        """What a page without a server needs: `run` as a server describes it, and `facts`.

        Raises ConfigError where the model has no such page.
        """
        facts = self._task.page_facts(self._ready())
        return {"run": self.dialogues(1).describe(), "facts": dict(facts)}

    def dialogues(self, most: int = 100) -> Dialogues:
        """The model as at most so many clients at once talk to it, in messages of JSON.

        Raises ConfigError where the task or its model can't be served.
        """
        return self._task.dialogues(self._ready(), most)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The trained model of a run.

        Raises RunError where the run is missing, damaged, unfinished or of another task, or where
        the equations of its cell have changed since.
        """
        run = Run.open(path)
        config = record.read_config(run, cls.task)
        model = cls.from_config(config, run.config["settings"])
        task = model._task = cls.task(config, run.config["context"])
        record.check_task(run, task, strict=False)
        with torch.random.fork_rng(devices=[]):
            models = [task.member(n).build() for n in range(config.ensemble)]
        record.check_cells(run, models)
        facts = record.artefacts_of(run, config.ensemble)
        weights, artefacts = record.split_tensors(run.load_model(), config.ensemble)
        for module, tensors in zip(models, weights, strict=True):
            module.load_state_dict(tensors)
            module.eval()
        model._product = task.restore(models, artefacts, facts)
        model.run = run
        return model

    @classmethod
    def resuming(cls, path: str | os.PathLike[str], given: Mapping[str, Any]) -> Self:
        """An estimator to resume the run at `path` with, some settings given besides."""
        return cls.from_config(record.resumed_config(Run.open(path), cls.task, given), given)

    @property
    def validation(self) -> Evaluation | None:
        """The evaluation on the data that `fit` held out, None where it held out none."""
        if self._validation is None and self.results and self._product is not None:
            self._validation = self._task.held_out(self._product, self._data)
        return self._validation

    @property
    def metric(self) -> str:
        """The name of the number that chooses the best weights."""
        return (self.config.best_metric or self._task.metric).name

    def facts(self) -> Facts:
        """Sections about data, model and quality, and commands for the run's next steps."""
        if self._facts is None:
            self._facts = self._task.facts(self._ready(), self._own_data(), self.validation)
        return self._facts

    def figures(self) -> Mapping[str, float]:
        """The figures of a comparison."""
        return self._task.test(self._ready(), self._own_data())

    def _begun(
        self, out: Path, overwrite: bool, data: Any, others: dict[str, Any]
    ) -> tuple[Task[Config, Any, Product], list[nn.Module], Any, Run, str | None]:
        """Task, models before their first step, data, run, and a sentence about the length.

        Nothing is replaced unchecked.
        """
        start = None if self.config.start is None else Run.open(self.config.start)
        old = None if start is None else start.config
        task = self.task(self.config).settled(self._given, old)
        read = task.read(data, **others)
        task = task.decided(read, self._given, self._say)
        task.context = task.context_of(read)
        if old is not None:
            task.context = task.grown(old.get("context", {}), dict(task.context))
        models = build_members(task)
        begun = [begin(task, module, read, start) for module in models]
        length = _check_settings(task, models, read)
        changed = settings_taken_over(self.config, task.config)
        task.config = record.recorded(task, data, read)
        settings = record.write_record(task, read, models, begun[0].said(changed), begun[0].taken)
        return task, models, read, Run.create(out, settings, overwrite=overwrite), length

    def _resumed(
        self, out: Path, overwrite: bool, data: Any, others: dict[str, Any]
    ) -> tuple[Task[Config, Any, Product], list[nn.Module], Any, Run, str | None]:
        """Task, models as the run began, data, run, and a sentence about the length.

        Checkpoints follow when training begins.
        """
        run = Run.open(out)
        config = record.resumed_config(run, self.task, self._given)
        task = self.task(config, run.config["context"])
        record.check_task(run, task, strict=True)
        if data is None and not config.data:
            record.check_readable(run)
        read = task.read(data, **others)
        record.check_sources(run, task.sources(read))
        models = build_members(task)
        record.check_cells(run, models)
        for number, module in enumerate(models):
            if has_begun(run, number, len(models)):
                set_part_rates(module, run.config.get("taken", ()), config)
            else:
                start = None if config.start is None else Run.open(config.start)
                begin(task, module, read, start)
        length = _check_settings(task, models, read)
        task.config = record.recorded(task, data, read)
        run.save_config(record.reopened(run, task.config))
        return task, models, read, run, length

    def _train(self, models: list[nn.Module], stages: Stages, *, describes: bool) -> None:
        """Train every member, complete the product, keep it, and describe it."""
        task, run = self._task, self._run()
        tasks = [task.member(number) for number in range(len(models))]
        try:
            self.results = stages("", models, tasks)
            product = task.complete(models, self._data, stages)
        except StageInterrupted as interrupted:
            self.results = interrupted.results
            return
        self._product = product
        tensors, facts = task.artefacts(product)
        run.save_model(record.join_tensors(task.models(product), tensors))
        results = [record.result_of(result) for result in self.results]
        completed = ranks.on_first(run.model_digest)
        ended = {"artefacts": facts, "results": results, "completed": completed}
        run.save_config({**run.config, **ended})
        if describes:
            describe(run, self._description())

    def _description(self) -> Description:
        run, members, validation = self._run(), self.config.ensemble, self.validation
        data = self._own_data()
        return Description(
            self.facts(),
            None if validation is None else self._task.headline(data, validation),
            self._task.figures(data).loss,
            self.results,
            self.config.seed,
            self.metric,
            run.config["sources"],
            run.config.get("start"),
            [member_run(run, number, members) for number in range(members)],
        )

    def _own_data(self) -> Any:
        """The data of the training, read again after a load; they must not have changed."""
        if self._data is None:
            run = self._run()
            record.check_readable(run)
            read = self._task.read()
            record.check_sources(run, self._task.sources(read))
            self._data = read
        return self._data

    def _place(self, out: str | os.PathLike[str] | None) -> tuple[Path, bool]:
        if out is not None:
            return Path(out), False
        folder = tempfile.mkdtemp(prefix="recurra-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder), True

    def _forget(self) -> None:
        self.results, self.run = (), None
        self._product = self._validation = self._data = self._facts = None

    def _check_named(self, method: str, step: Callable[..., Any], given: Mapping[str, Any]) -> None:
        """Raise TypeError for what a task's step does not name, with a remedy."""
        parameters = inspect.signature(step).parameters.values()
        named = [p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
        settings = [field.name for field in dataclasses.fields(self.config)]
        for name in given:
            if name in named:
                continue
            hint = ""
            if near := nearest_option(name, named):
                hint = f"; did you mean {near!r}?"
            elif setting := nearest_option(name, settings):
                hint = f"; it is a setting: {type(self).__name__}({setting}=...)"
            elif named:
                hint = f"; it takes {', '.join(named)}"
            raise TypeError(f"{method}() got an unexpected keyword argument {name!r}{hint}")

    def _run(self) -> Run:
        assert self.run is not None  # of a model that is ready
        return self.run

    def _ready(self) -> Product:
        if self._product is not None:
            return self._product
        if self.results:
            raise RunError(
                f"The training was interrupted after {self.results[-1].steps:,} steps; resume it "
                "with fit(..., resume=True), or load the run for its best weights so far."
            )
        raise not_trained(f"The model is not trained yet; call fit, or {type(self).__name__}.load.")


def _unsaid(text: str) -> None:
    """Where nobody watches, nothing is said."""


@functools.cache
def estimator_for(task: type[Task[Any, Any, Any]]) -> type[Estimator[Any, Any]]:
    """The estimator of a task: its own, where it names one, else a plain one."""
    if task.estimator:
        module, _, name = task.estimator.partition(":")
        own: type[Estimator[Any, Any]] = getattr(importlib.import_module(module), name)
        return own

    @options_of(task.configuration)
    def init(self: Estimator[Any, Any], config: Any) -> None:
        Estimator.__init__(self, config)

    body = {"task": task, "__init__": init, "__module__": task.__module__, "__doc__": task.__doc__}
    return type(f"{task.__name__}Estimator", (Estimator,), body)


def _check_settings(
    task: Task[Any, Any, Any], models: Sequence[nn.Module], data: Any
) -> str | None:
    """Raise what training would for settings, models and data that contradict one another.

    A sentence says how long it will be, where the data decide.
    """
    validate, said = task.validation(data), None
    for number, model in enumerate(models):
        member = task.member(number)
        windows = member.windows(data)
        config = member.suited(windows)
        budget = check_settings(model, windows, config, validate)
        if config.epochs != member.config.epochs:
            said = _length(config, len(windows), budget)
    return said


def _length(config: TaskConfig, windows: int, budget: Budget) -> str:
    early = f", fewer after {config.patience} validations without improvement"
    return (
        f"No length was given: up to {budget.steps:,} steps (an epoch has {windows:,})"
        f"{early if config.patience is not None else ''}; --epochs, --max-steps or --max-minutes "
        "set another."
    )


def _nothing_left(run: Run, results: Sequence[TrainingResult]) -> str:
    longer = {"finished": "epochs", "steps": "max_steps", "time": "max_minutes"}
    names = dict.fromkeys(longer.get(result.stopped, "patience") for result in results)
    steps = " and ".join(f"{result.steps:,}" for result in results)
    return (
        f"Nothing was left to train: {run.path} had ended after {steps} steps. To train for "
        f"longer, raise {' and '.join(names)}."
    )


def _shown(progress: Progress | bool | None, unit: str, config: TaskConfig) -> Progress | None:
    """What shows the progress: by default a display where somebody watches."""
    if progress is None:
        progress = RichProgress.is_watched()
    if isinstance(progress, bool):
        return RichProgress(max_minutes=config.max_minutes, unit=unit) if progress else None
    return progress
