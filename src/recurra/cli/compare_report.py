"""The output of `recurra compare`: the progress of each training, and the table."""

from collections.abc import Sequence
from typing import Any

import click

from recurra.cli.job_bars import JobBars
from recurra.cli.terminal import show_table
from recurra.compare.comparison_run import ComparisonProgress
from recurra.compare.findings import Findings, comparison_table, number
from recurra.compare.outcomes import Outcome
from recurra.compare.trials import Entry, Figures

__all__ = ["ComparisonBars", "show_findings"]


class ComparisonBars(JobBars, ComparisonProgress):
    """Shows a comparison on standard error: a bar for each running training, a line at its end.

    Without a terminal it shows a line when a training begins as well.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ended = self._all = 0

    def planned(
        self, facts: Figures, entries: Sequence[Entry], outcomes: Sequence[Outcome]
    ) -> None:
        """Show each cell's size, and how many trainings have ended before."""
        self._facts = facts
        self._all = sum(len(entry.search) + len(entry.trials) for entry in entries)
        self._ended = len(outcomes)
        self.say(f"{facts.title}: {self._all} trainings")
        for entry in entries:
            self.say(f"  {entry.label}: H = {entry.hidden}, {entry.parameters:,} parameters")
        if outcomes:
            self.say(f"Resuming: {len(outcomes)} of them have ended before.")

    def progress(self, name: str, line: dict[str, Any]) -> None:
        """Move the bar of a training."""
        if self.move(name, line) and not self.are_shown:
            self.say(f"{name}: from step {line['step']}")

    def ended(self, outcome: Outcome) -> None:
        """Replace the bar by a line with the outcome of the training."""
        self.remove(outcome.name)
        self._ended += 1
        facts = self._facts
        if outcome.diverged is not None:
            what = f"diverged after step {outcome.steps:,}"
        elif facts.measure in outcome.test:
            what = f"{facts.quality} {number(outcome.test[facts.measure], facts)}"
        else:
            what = f"validation {outcome.best_validation:.3g}"
        minutes = f"{outcome.steps:,} steps, {outcome.seconds / 60:.1f} minutes"
        self.say(f"[{self._ended}/{self._all}] {outcome.name}: {what} ({minutes})")


def show_findings(findings: Findings, out: str) -> None:
    """Print the table, with notes on its columns, and the directory of everything else."""
    show_table(comparison_table(findings))
    click.echo(f"\nTable, curves and runs: {out}/report.html")
