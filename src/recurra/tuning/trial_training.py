"""One trial of a search: trained, compared with the others on the way, recorded."""

from __future__ import annotations

import functools
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from recurra.config.training_config import Metric
from recurra.errors import ConfigError, MissingExtra, RecurraWarning, RunError, TrainingError
from recurra.processes import STOPPED, report_progress
from recurra.runs.run import Run
from recurra.tasks.registry import estimator_of, task_named
from recurra.training import TrainingResult
from recurra.training.relayed_progress import RelayedProgress
from recurra.tuning.settings_search import SettingsSearch, search_at, trial_folder
from recurra.tuning.study import SHARES, Study, Taken

__all__ = ["TrialWatch", "metric_of", "run_next_trial", "train_next"]

Report = Callable[..., None]


def metric_of(search: SettingsSearch) -> Metric:
    """The number of validations that trials are compared by."""
    return search.config.of(search.settings).best_metric or task_named(search.task).metric


def run_next_trial(folder: str, trials: int) -> int | None:
    """The job of a process: the next trial, until there are so many; its number."""
    search = search_at(Path(folder))
    assert search is not None  # whoever starts the process has made it
    study = Study(Path(folder), search, higher=not metric_of(search).lower_is_better)
    try:
        return train_next(study, trials, report_progress, search.data or None)
    except KeyboardInterrupt:
        sys.exit(STOPPED)


def train_next(study: Study, trials: int, report: Report, data: Any, **others: Any) -> int | None:
    """Train the next trial, until there are so many; its number, None where there is none left.

    What it comes to is recorded. `report` gets its progress. Raises KeyboardInterrupt where it was
    interrupted, saved; RunError, MissingExtra and ConfigError for what every trial would meet.
    """
    with study.taken(trials) as taken:
        if taken is None:
            return None
        report(trial=taken.number, chosen=taken.chosen)
        watch = TrialWatch(taken, report, study.search)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", RecurraWarning)
            try:
                _train(study, taken, watch, data, others)
            except _EndedEarlyError:
                study.tell(taken.trial, "pruned", **watch.facts())
            except TrainingError as error:
                if error.__cause__ is not None:  # a full disk, say
                    raise
                study.tell(taken.trial, "diverged", error=str(error), **watch.facts())
            except (RunError, MissingExtra, _NothingHeldOutError):
                raise
            except Exception as error:
                text = f"{type(error).__name__}: {error}"
                study.tell(taken.trial, "failed", error=text, **watch.facts())
        for each in said:
            if issubclass(each.category, RecurraWarning):
                report(note=str(each.message))
        return taken.number


class _EndedEarlyError(Exception):
    """A trial is worse than the others."""


class _NothingHeldOutError(ConfigError):
    """No validation compares the trials."""


def _train(
    study: Study, taken: Taken, watch: TrialWatch, data: Any, others: Mapping[str, Any]
) -> None:
    place = trial_folder(study.folder, taken.number) / "run"
    estimator = estimator_of(study.search.task)
    resume = not Run.has_room(place)
    model = estimator.resuming(place, {}) if resume else estimator(**taken.settings)
    model.fit(data, out=place, resume=resume, progress=watch, **others)
    if model.results[-1].stopped == "interrupted":
        raise KeyboardInterrupt
    if not model.results[0].best:
        raise _NothingHeldOutError(
            "Trials are compared by their validations, and nothing is held out to validate on; "
            "give data for that, or a part of those to train on (valid_fraction)."
        )
    study.tell(taken.trial, "complete", **_judged(model.results, watch.metric), **watch.facts())


def _judged(results: Sequence[TrainingResult], metric: Metric) -> dict[str, float]:
    """The value of a trial, with its standard error and its loss where there are any: means over
    the members of an ensemble.
    """
    names = {"value": metric.name, "spread": f"{metric.name}_error", "loss": "loss"}
    every = [result.best for result in results]
    return {
        called: statistics.fmean(best[name] for best in every)
        for called, name in names.items()
        if all(name in best for best in every)
    }


class TrialWatch(RelayedProgress):
    """Receives the progress of a trial: passes it to `report`, and ends a trial that is bad.

    After each twentieth of the budget the best validation so far is compared with what the others
    had then. Further trainings of the same trial (members of an ensemble) are not compared.
    """

    def __init__(self, taken: Taken, report: Report, search: SettingsSearch) -> None:
        super().__init__(functools.partial(report, trial=taken.number))
        self._taken, self._search = taken, search
        self.metric: Metric = metric_of(search)
        self._began = time.monotonic()
        self._total: int | None = None
        self._minutes: float | None = None
        self._trainings = self._steps = self._share = 0
        self._best: float | None = None

    def start(self, total_steps: int | None, step: int) -> None:
        """A training begins."""
        self._trainings += 1
        self._total = total_steps
        self._minutes = self._search.config.of(self._taken.settings).max_minutes
        super().start(total_steps, step)

    def update(
        self,
        step: int,
        epoch: int,
        loss: float,
        tokens_per_second: float,
        *,
        validation: float | None = None,
        **more: Any,
    ) -> None:
        """Compare where a share of the budget has passed; pass on the numbers, now and then."""
        if self._trainings == 1:
            self._steps = step
            self._compare(step, validation)
        super().update(step, epoch, loss, tokens_per_second, validation=self._best)

    def facts(self) -> dict[str, Any]:
        """The steps and the minutes that the trial took."""
        return {"steps": self._steps, "minutes": (time.monotonic() - self._began) / 60}

    def _compare(self, step: int, validation: float | None) -> None:
        if validation is not None:
            better = self._best is None or self.metric.is_better(validation, self._best)
            self._best = validation if better else self._best
        share = int(SHARES * self._passed(step))
        if self._best is None or not self._share < share < SHARES:
            return
        for each in range(self._share + 1, share + 1):
            self._taken.report(each, self._best)
        self._share = share
        if self._taken.is_bad():
            raise _EndedEarlyError

    def _passed(self, step: int) -> float:
        """The share of the budget that has passed."""
        shares = [0.0 if self._total is None else step / self._total]
        if self._minutes is not None:
            shares.append((time.monotonic() - self._began) / (60 * self._minutes))
        return max(shares)
