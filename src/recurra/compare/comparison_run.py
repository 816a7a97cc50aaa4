"""A comparison from beginning to end: plan, trainings in processes, findings."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from recurra import __version__
from recurra.compare.comparison import Comparison
from recurra.compare.findings import Findings, write_findings
from recurra.compare.outcomes import Folder, Outcome, results_of
from recurra.compare.trials import Contest, Entry, Figures, Trial, plan
from recurra.errors import ConfigError
from recurra.processes import Job, run_jobs

__all__ = ["ComparisonProgress", "compare"]


class ComparisonProgress:
    """Receives the progress of a comparison, and ignores it: a base for classes that show it."""

    def planned(
        self, facts: Figures, entries: Sequence[Entry], outcomes: Sequence[Outcome]
    ) -> None:
        """Called before training; `outcomes` are those of trainings that have ended before."""

    def progress(self, name: str, line: dict[str, Any]) -> None:
        """Called from threads: training `name` is at `line["step"]`, maybe with its losses."""

    def ended(self, outcome: Outcome) -> None:
        """Called when a training has ended."""


def compare(
    comparison: Comparison,
    *,
    out: str | os.PathLike[str],
    resume: bool = False,
    overwrite: bool = False,
    jobs: int = 1,
    progress: ComparisonProgress | None = None,
) -> Findings:
    """Train every cell with every seed into the directory `out`, and return the findings.

    Each training has a process of its own, `jobs` at a time; a training that diverges is a result.
    Learning rates that are searched are tried first, for every cell alike.
    Table and pictures are written after each, so Ctrl-C loses nothing; `resume` continues from the
    checkpoints of interrupted trainings.

    Raises:
        ConfigError: an unknown problem or cell, an invalid setting, too few parameters.
        DataError: the data are missing.
        RunError: `out` holds other files, or trainings with other settings.
        TrainingError: a training's process was killed, or the disk is full.
    """
    if resume and overwrite:
        raise ConfigError("A comparison is either resumed or overwritten; give one of the two.")
    progress = progress or ComparisonProgress()
    entries = plan(comparison)
    facts = Contest(comparison.task).facts(entries[0].trials[0].settings)
    if comparison.is_tested:
        quality = facts.quality.removeprefix("validation ")
        facts = dataclasses.replace(facts, quality=f"test {quality}")
    folder = Folder(Path(out))
    folder.begin(_description(comparison), resume=resume, overwrite=overwrite)
    search = _in_turn([entry.search for entry in entries])
    searched = folder.outcomes(search)
    is_searched = len(searched) == len(search)
    if search and is_searched:
        entries = [_at_best_rate(entry, searched) for entry in entries]
    # Until the rates are known the trainings of all seeds can't have begun.
    before = folder.outcomes(_in_turn([e.trials for e in entries])) if is_searched else {}
    progress.planned(facts, entries, [*searched.values(), *before.values()])
    if not is_searched:
        searched |= _run(folder, search, searched, jobs, progress)
        entries = [_at_best_rate(entry, searched) for entry in entries]

    def findings(outcomes: dict[str, Outcome]) -> Findings:
        return Findings(comparison, facts, results_of(entries, outcomes))

    def shown(outcomes: dict[str, Outcome]) -> None:
        write_findings(folder, findings(outcomes))

    trials = _in_turn([entry.trials for entry in entries])
    outcomes = _run(folder, trials, folder.outcomes(trials), jobs, progress, shown)
    shown(outcomes)
    return findings(outcomes)


def _run(
    folder: Folder,
    trials: Sequence[Trial],
    before: dict[str, Outcome],
    jobs: int,
    progress: ComparisonProgress,
    shown: Callable[[dict[str, Outcome]], None] = lambda outcomes: None,
) -> dict[str, Outcome]:
    """Run the trainings that have not ended before; the outcomes of all, by name."""
    outcomes = dict(before)

    def ended(job: Job, _: Any) -> None:
        outcomes.update(folder.outcomes(trials))
        progress.ended(outcomes[job.name])
        shown(outcomes)

    left = [folder.job(trial) for trial in trials if trial.name not in outcomes]
    run_jobs(left, jobs, progress=progress.progress, ended=ended)
    return outcomes


def _at_best_rate(entry: Entry, searched: Mapping[str, Outcome]) -> Entry:
    """A cell's trainings at the learning rate with the lowest validation; the first of equals."""
    best = min(entry.search, key=lambda trial: searched[trial.name].best_validation)
    return entry.at_rate(best.settings["learning_rate"])


def _in_turn(trials: Sequence[Sequence[Trial]]) -> list[Trial]:
    """Every cell's first training before any second, so that early outcomes can be compared."""
    return [trial for of_all in zip(*trials, strict=True) for trial in of_all]


def _description(comparison: Comparison) -> dict[str, Any]:
    return {"recurra": __version__, **dataclasses.asdict(comparison)}
