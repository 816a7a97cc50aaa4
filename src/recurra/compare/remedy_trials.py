"""Verdicts put to the test: each remedy in a short training, beside the same without one."""

from __future__ import annotations

import dataclasses
import math
import os
import statistics
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from recurra.compare.remedy_settings import Remedy, Settings, remedies_of
from recurra.config.training_config import Metric
from recurra.errors import ConfigError, RecurraError, RecurraWarning
from recurra.insight import Verdict
from recurra.reports import TextTable
from recurra.runs.run import Run
from recurra.tasks import record
from recurra.tasks.registry import estimator_of, load

__all__ = ["RemedyTrial", "RemedyTrials", "trials_table", "try_remedies"]

LEAST, MOST = 100, 1000
"""Steps of a trial, where none are given: a quarter of the run's, between these."""

Effect = Literal["helps", "harms", "no clear difference", "failed"]


@dataclass(frozen=True)
class RemedyTrial:
    """The trainings of one remedy.

    Attributes:
        remedy: the change of settings; None for the untreated training.
        values: the metric by seed.
        error: why it could not be trained; "" where it could.
    """

    remedy: Remedy | None
    values: tuple[float, ...]
    error: str = ""

    @property
    def mean(self) -> float:
        """The mean over the seeds; NaN where nothing was trained."""
        return statistics.fmean(self.values) if self.values else math.nan


@dataclass(frozen=True)
class RemedyTrials:
    """What the remedies of a run's verdicts do, all with the same budget.

    Attributes:
        metric: what they are judged by, best of the validations.
        steps: training steps of each.
        seeds: the seeds of each.
        untreated: the run's own settings, trained as briefly.
        trials: one for each remedy, in the order of the verdicts.
    """

    metric: Metric
    steps: int
    seeds: tuple[int, ...]
    untreated: RemedyTrial
    trials: tuple[RemedyTrial, ...]

    def gains(self, trial: RemedyTrial) -> tuple[float, ...]:
        """By seed, how much better than untreated with the same seed; below 0: worse."""
        sign = 1 if self.metric.lower_is_better else -1
        pairs = zip(self.untreated.values, trial.values, strict=True)
        return tuple(sign * (before - after) for before, after in pairs)

    def effect(self, trial: RemedyTrial) -> Effect:
        """The conclusion: a difference that all seeds agree on, larger than between the seeds."""
        if trial.error:
            return "failed"
        gains = self.gains(trial)
        spread = statistics.stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else 0.0
        mean = statistics.fmean(gains)
        if abs(mean) <= 2 * spread or len({gain > 0 for gain in gains}) > 1 or mean == 0:
            return "no clear difference"
        return "helps" if mean > 0 else "harms"


def try_remedies(
    path: str | os.PathLike[str],
    verdicts: Iterable[Verdict],
    *,
    steps: int | None = None,
    seeds: int = 2,
    said: Callable[[str], None] = lambda _: None,
) -> RemedyTrials:
    """Train the run's settings with each remedy that its verdicts recommend, and without.

    The run itself is left as it is; trials begin with newly drawn weights, on the run's own data,
    and are judged by the task's metric on what it holds out. Warm-ups are shortened to a tenth of a
    trial, those of a remedy to half of it.

    Args:
        path: a finished run, whose data are files.
        verdicts: those of its inspection.
        steps: training steps of each trial; left out, a quarter of the run's, 100 to 1,000.
        seeds: trainings of each, with the seeds 0, 1, ...
        said: told which trial begins.

    Raises:
        ConfigError: the data aren't files, no verdict recommends a setting, or numbers below 1.
        RunError: the run is missing, damaged or unfinished.
    """
    if seeds < 1 or (steps is not None and steps < 1):
        raise ConfigError(f"seeds = {seeds}, steps = {steps}; give 1 or more of both.")
    model, run = load(path), Run.open(path)
    remedies = remedies_of(verdicts, model.config)
    if not remedies:
        raise ConfigError(
            "There is nothing to try: no verdict recommends a change of settings; remedies of the "
            "data, and weights to be drawn again, are yours to apply."
        )
    record.check_readable(run)
    taken = max((result["steps"] for result in run.config["results"]), default=0)
    steps = steps or max(LEAST, min(MOST, taken // 4))
    metric = model.config.best_metric or model.task.metric
    own = _briefly(dataclasses.asdict(model.config), steps)
    trainings = _Trainings(run.config["task"], own, metric, tuple(range(seeds)))
    said(f"untreated, {steps} steps, {seeds} seeds")
    untreated = trainings.trial(None)
    if untreated.error:
        raise ConfigError(f"The run's own settings can't be trained again: {untreated.error}")
    trials = []
    for remedy in remedies:
        said(str(remedy))
        trials.append(trainings.trial(remedy))
    return RemedyTrials(metric, steps, trainings.seeds, untreated, tuple(trials))


def _briefly(settings: Settings, steps: int) -> Settings:
    """The settings for one network of so many steps."""
    return {
        **settings,
        "max_steps": steps,
        "epochs": None,
        "max_minutes": None,
        "patience": None,
        "ensemble": 1,
        "validate_every": max(1, steps // 4),
        "checkpoint_every": steps,
        "watch_every": 0,
        "warmup_steps": min(settings["warmup_steps"], steps // 10),
    }


def trials_table(trials: RemedyTrials) -> TextTable:
    """A row for each remedy: the metric's mean, the gain over untreated, the conclusion."""
    name = trials.metric.name
    rows = [["untreated", _number(trials.untreated.mean), "", "", ""]]
    for trial in trials.trials:
        assert trial.remedy is not None
        gains = () if trial.error else trials.gains(trial)
        rows.append(
            [
                str(trial.remedy),
                "" if trial.error else _number(trial.mean),
                f"{statistics.fmean(gains):+.4g}" if gains else "",
                trials.effect(trial),
                ", ".join(trial.remedy.verdicts),
            ]
        )
    columns = ("remedy", name, "better by", "effect", "recommended for")
    return TextTable(columns, rows, text_columns=1)


def _number(value: float) -> str:
    return f"{value:.4g}"


@dataclass(frozen=True)
class _Trainings:
    """Trainings that differ in their remedy and seed alone."""

    task: str
    settings: Settings
    metric: Metric
    seeds: tuple[int, ...]

    def trial(self, remedy: Remedy | None) -> RemedyTrial:
        """Train with every seed; what a remedy makes impossible is its error."""
        values = []
        for seed in self.seeds:
            treated: dict[str, Any] = {**self.settings, "seed": seed}
            treated |= remedy.settings if remedy is not None else {}
            treated["warmup_steps"] = min(treated["warmup_steps"], treated["max_steps"] // 2)
            try:
                values.append(self._value(treated))
            except RecurraError as error:
                return RemedyTrial(remedy, (), str(error))
        return RemedyTrial(remedy, tuple(values))

    def _value(self, settings: Settings) -> float:
        with warnings.catch_warnings():
            # What ails the run is known, and how long it trains is meant.
            warnings.simplefilter("ignore", RecurraWarning)
            model = estimator_of(self.task)(**settings).fit(progress=False)
        result = model.results[0]
        if result.stopped == "interrupted":
            raise KeyboardInterrupt
        if self.metric.name not in result.best:
            raise ConfigError(
                f"its training gives no {self.metric.name}; remedies are judged on held-out data."
            )
        return result.best[self.metric.name]
