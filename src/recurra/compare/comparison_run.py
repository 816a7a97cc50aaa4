"""A comparison from beginning to end: plan, trainings in processes, findings."""

import dataclasses
import os
from collections.abc import Sequence
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
    folder = Folder(Path(out))
    folder.begin(_description(comparison), resume=resume, overwrite=overwrite)
    outcomes = folder.outcomes(entries)
    progress.planned(facts, entries, list(outcomes.values()))

    def ended(job: Job, _: Any) -> None:
        outcomes.update(folder.outcomes(entries))
        progress.ended(outcomes[job.name])
        write_findings(folder, findings())

    def findings() -> Findings:
        return Findings(comparison, facts, results_of(entries, outcomes))

    left = [folder.job(trial) for trial in _in_turn(entries) if trial.name not in outcomes]
    run_jobs(left, jobs, progress=progress.progress, ended=ended)
    write_findings(folder, findings())
    return findings()


def _in_turn(entries: Sequence[Entry]) -> list[Trial]:
    """Every cell's first seed before any second, so that early outcomes can be compared."""
    return [trial for trials in zip(*(e.trials for e in entries), strict=True) for trial in trials]


def _description(comparison: Comparison) -> dict[str, Any]:
    return {"recurra": __version__, **dataclasses.asdict(comparison)}
