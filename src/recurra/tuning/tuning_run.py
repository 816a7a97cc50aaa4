"""A search from beginning to end: trials in processes, then the best settings."""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from recurra.config.options import check_option
from recurra.config.training_config import Metric
from recurra.errors import ConfigError, RecurraError, TrainingError
from recurra.processes import Job, run_jobs
from recurra.tasks.registry import config_of, estimator_of
from recurra.tuning.search_space import LENGTHS
from recurra.tuning.settings_search import SettingsSearch, begin_search, trial_folder
from recurra.tuning.study import Study, require_optuna
from recurra.tuning.trial_record import TrialRecord, best_of
from recurra.tuning.trial_training import metric_of, train_next
from recurra.tuning.tuning_report import write_results

__all__ = ["Tuned", "TuningProgress", "tune"]

_HOPELESS = 3
"""A search ends where as many trials have failed and none has done anything else."""


@dataclass(frozen=True)
class Tuned:
    """The trials of a search so far, and the share of each setting in which are the best."""

    folder: Path
    search: SettingsSearch
    metric: Metric
    trials: Sequence[TrialRecord]
    importance: Mapping[str, float]

    @property
    def best(self) -> TrialRecord | None:
        """The trial with the best validation; None where none is complete."""
        return best_of(self.trials, higher=not self.metric.lower_is_better)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the best trial, without the length that was given for all trials."""
        chosen = {} if self.best is None else self.best.settings
        shared = {n: value for n, value in self.search.settings.items() if n not in LENGTHS}
        return {**shared, **chosen}

    @property
    def has_budget(self) -> bool:
        """Whether a length was given for all trials, so that a training without it may differ."""
        return any(name in LENGTHS for name in self.search.settings)

    @property
    def run(self) -> Path | None:
        """The run of the best trial."""
        return None if self.best is None else trial_folder(self.folder, self.best.number) / "run"


class TuningProgress:
    """Receives the progress of a search, and ignores it: a base for classes that show it."""

    def begun(self, tuned: Tuned, trials: int) -> None:
        """Called before the first trial, with those of before; `trials` are wanted."""

    def progress(self, number: int, line: dict[str, Any]) -> None:
        """Called from threads: trial `number` is at `line["step"]`, maybe with its figures."""

    def note(self, text: str) -> None:
        """Called, perhaps from threads, with what is to be known of the data."""

    def ended(self, tuned: Tuned, record: TrialRecord) -> None:
        """Called when a trial has ended."""


def tune(
    task: str,
    data: Any = None,
    *,
    out: str | os.PathLike[str],
    trials: int = 30,
    space: Mapping[str, Any] | None = None,
    jobs: int = 1,
    prune: bool | None = None,
    overwrite: bool = False,
    progress: TuningProgress | None = None,
    **settings: Any,
) -> Tuned:
    """Search for good settings of a task, until the directory `out` has so many trials.

    Args:
        task: the task's name.
        data: files, or data in memory, as the task's `fit` takes them, which may take more (`y`).
        out: the directory of the search; a search that is there is continued.
        trials: those wanted in all, of several processes together.
        space: for each setting a range `{"low": 1, "high": 3}`, with `log` or `step`, or a list of
            values; none: a default one about the task's defaults.
        jobs: trials at a time, each in a process of its own; 1 for data in memory, which are
            trained on in this process.
        prune: end trials early that are worse than the median of the others (the default).
        overwrite: replace the search that is there.
        progress: what shows the progress.
        settings: those of all trials; a length (max_minutes, say) is the budget of each.

    Each trial is validated on the same held-out data, and the best validation counts. Trial 0 has
    the task's defaults. A trial that fails is recorded with its error. Ctrl-C loses nothing.

    Raises:
        ConfigError: a setting or a range that is not allowed.
        DataError: a file is missing.
        RunError: `out` holds other files, or a search that differs from what is given.
        MissingExtra: optuna is absent.
        TrainingError: the first trials all failed, or the disk is full.
    """
    require_optuna()
    progress = progress or TuningProgress()
    others = _others(task, settings)
    files = _files(data) if not others else None
    if files is None and jobs != 1:
        raise ConfigError(f"jobs = {jobs} with data in memory; give files, or jobs = 1.")
    if trials < 1 or jobs < 1:
        raise ConfigError(f"trials = {trials}, jobs = {jobs}; give 1 or more of both.")
    shared = {name: value for name, value in settings.items() if name not in others}
    search = begin_search(
        Path(out), task, files or (), shared, space, prune=prune, overwrite=overwrite
    )
    work = _Work(Path(out), search, trials, progress)
    progress.begun(work.tuned(), trials)
    if files is None:
        work.run_here(data, others)
    else:
        work.run_in_processes(jobs)
    return work.shown()


def _others(task: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What is given to `fit` beside data; ConfigError for what is neither that nor a setting."""
    fields = [field.name for field in dataclasses.fields(config_of(task))]
    unknown = {name: value for name, value in settings.items() if name not in fields}
    if not unknown:
        return {}
    estimator = estimator_of(task)
    steps = (estimator.fit, estimator.task.read)
    named = {name for step in steps for name in inspect.signature(step).parameters}
    named -= {"self", "data", "out", "resume", "progress", "others", "options"}
    for name in unknown:
        if name not in named:
            check_option(name, fields)
    return unknown


def _files(data: Any) -> list[str] | None:
    """The paths that data are; None where they are in memory."""
    items = [] if data is None else data
    items = [items] if isinstance(items, (str, os.PathLike)) else items
    if isinstance(items, (list, tuple)) and all(
        isinstance(item, os.PathLike) or (isinstance(item, str) and os.path.exists(item))
        for item in items
    ):
        return [os.fspath(item) for item in items]
    return None if not isinstance(data, str) else [data]


class _KilledError(RecurraError):
    """The process of a trial was killed."""


class _Work:
    """The trials that this process starts."""

    def __init__(
        self, folder: Path, search: SettingsSearch, trials: int, show: TuningProgress
    ) -> None:
        self._folder, self._search, self._trials, self._show = folder, search, trials, show
        self._metric = metric_of(search)
        self._study = Study(folder, search, higher=not self._metric.lower_is_better)
        self._numbers: dict[str, int] = {}

    def tuned(self) -> Tuned:
        """The trials so far."""
        study = self._study
        return Tuned(self._folder, self._search, self._metric, study.records(), study.importance())

    def shown(self) -> Tuned:
        """The trials so far, written into the directory."""
        tuned = self.tuned()
        with self._study.alone():
            write_results(tuned)
        return tuned

    def run_here(self, data: Any, others: Mapping[str, Any]) -> None:
        """One trial after the other in this process."""

        def report(**line: Any) -> None:
            self._listen("", line)

        while (number := train_next(self._study, self._trials, report, data, **others)) is not None:
            self._ended(number)

    def run_in_processes(self, jobs: int) -> None:
        """Each trial in a process of its own, so many at a time."""
        ended = [record for record in self._study.records() if record.state != "running"]
        threads = max(1, torch.get_num_threads() // jobs)
        order = {"folder": str(self._folder), "trials": self._trials}
        left = [
            Job(
                f"worker {number}",
                "recurra.tuning.trial_training:run_next_trial",
                order,
                {"OMP_NUM_THREADS": str(threads)} if jobs > 1 else {},
                _KilledError,
                "give fewer jobs, or smaller sizes, where memory ran out",
            )
            for number in range(len(ended), self._trials)
        ]
        run_jobs(
            left,
            jobs,
            progress=self._listen,
            ended=lambda _, number: None if number is None else self._ended(number),
            failed=self._failed,
        )

    def _listen(self, name: str, line: dict[str, Any]) -> None:
        if "note" in line:
            self._show.note(line["note"])
        else:
            self._numbers[name] = line["trial"]
            self._show.progress(line["trial"], line)

    def _failed(self, job: Job, error: RecurraError) -> None:
        """Record that a process was killed; raise what every trial would meet."""
        if not isinstance(error, _KilledError) or job.name not in self._numbers:
            raise error
        self._study.fail(self._numbers[job.name], str(error))
        self._ended(self._numbers[job.name])

    def _ended(self, number: int) -> None:
        tuned = self.shown()
        self._show.ended(tuned, tuned.trials[number])
        ended = [record for record in tuned.trials if record.state != "running"]
        if len(ended) >= _HOPELESS and all(record.state == "failed" for record in ended):
            raise TrainingError(
                f"The first {len(ended)} trials all failed, the last with: {ended[-1].error}"
            )
