"""A comparison from beginning to end."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from recurra import __version__
from recurra.compare.config import Comparison
from recurra.compare.contests import Contest, Facts
from recurra.compare.folder import Folder
from recurra.compare.plan import Entry, Trial, plan
from recurra.compare.processes import Order, carry_out_all
from recurra.compare.report import write_findings
from recurra.compare.results import Outcome, rows_of
from recurra.compare.table import Findings
from recurra.errors import ConfigError

__all__ = ["Silent", "Told", "compare"]


class Told(Protocol):
    """What a comparison tells while it goes on; `progress` is called from threads."""

    def planned(self, facts: Facts, entries: Sequence[Entry], outcomes: Sequence[Outcome]) -> None:
        """Training begins; `outcomes` are there already."""

    def progress(self, name: str, line: dict[str, Any]) -> None:
        """The training `name` is at `line["step"]`, perhaps with "loss" and "validation"."""

    def ended(self, outcome: Outcome) -> None:
        """A training has ended."""


class Silent:
    """Tells nothing."""

    def planned(self, facts: Facts, entries: Sequence[Entry], outcomes: Sequence[Outcome]) -> None:
        """Nothing."""

    def progress(self, name: str, line: dict[str, Any]) -> None:
        """Nothing."""

    def ended(self, outcome: Outcome) -> None:
        """Nothing."""


def compare(
    comparison: Comparison,
    *,
    out: str | os.PathLike[str],
    resume: bool = False,
    overwrite: bool = False,
    jobs: int = 1,
    told: Told | None = None,
) -> Findings:
    """Train every cell with every seed into `out`, and give the table; what lies there is complete.

    Each training has a process of its own, `jobs` at a time; a training that diverges is a result.
    After each, the table and the pictures are written anew, so that Ctrl-C keeps what there is;
    `resume` goes on with that, from the checkpoints of the trainings cut short.

    Raises:
        ConfigError: an unknown problem or cell, a setting that can't be, too few parameters.
        DataError: the data are not at hand.
        RunError: `out` holds something else, or trainings with other settings.
        TrainingError: a training's process was killed, or the disk is full.
    """
    if resume and overwrite:
        raise ConfigError("A comparison is either resumed or overwritten; give one of the two.")
    told = told or Silent()
    entries = plan(comparison)
    facts = Contest(comparison.task).facts(entries[0].trials[0].settings)
    folder = Folder(Path(out))
    folder.begin(_description(comparison), resume=resume, overwrite=overwrite)
    outcomes = folder.outcomes(entries)
    told.planned(facts, entries, list(outcomes.values()))

    def ended(order: Order) -> None:
        outcomes.update(folder.outcomes(entries))
        told.ended(outcomes[order.trial.name])
        write_findings(folder, findings())

    def findings() -> Findings:
        return Findings(comparison, facts, rows_of(entries, outcomes))

    left = [trial for trial in _in_turn(entries) if trial.name not in outcomes]
    orders = [folder.order(trial) for trial in left]
    carry_out_all(orders, jobs, tell=told.progress, ended=ended)
    write_findings(folder, findings())
    return findings()


def _in_turn(entries: Sequence[Entry]) -> list[Trial]:
    """Every cell's first seed before any second, so that what is there early can be compared."""
    return [trial for trials in zip(*(e.trials for e in entries), strict=True) for trial in trials]


def _description(comparison: Comparison) -> dict[str, Any]:
    return {"recurra": __version__, **dataclasses.asdict(comparison)}
