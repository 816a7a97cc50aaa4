"""The output of `recurra compare`: the progress of each training, and the table."""

from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress, TaskID, TextColumn
from rich.progress import TimeRemainingColumn as Remaining
from rich.table import Column

from recurra.cli.terminal import show_table
from recurra.compare.comparison import Comparison
from recurra.compare.comparison_run import ComparisonProgress
from recurra.compare.findings import Findings, comparison_table, number
from recurra.compare.outcomes import Outcome
from recurra.compare.trials import Entry, Figures
from recurra.training.progress import bar_columns

__all__ = ["ComparisonBars", "show_findings"]


class ComparisonBars(ComparisonProgress):
    """Shows a comparison on standard error: a bar for each running training, a line at its end.

    Without a terminal it shows lines alone: one when a training begins and one when it ends.
    """

    def __init__(self, comparison: Comparison) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bars = Progress(
            TextColumn("{task.description}"),
            *bar_columns(self._console, "losses"),
            Remaining(table_column=Column(no_wrap=True)),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._ended = self._all = 0

    def __enter__(self) -> "ComparisonBars":
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    def planned(
        self, facts: Figures, entries: Sequence[Entry], outcomes: Sequence[Outcome]
    ) -> None:
        """Show each cell's size, and how many trainings have ended before."""
        self._facts = facts
        trials = [trial for entry in entries for trial in (*entry.search, *entry.trials)]
        self._totals = {trial.name: trial.settings["max_steps"] for trial in trials}
        self._all = len(trials)
        self._ended = len(outcomes)
        self._say(f"{facts.title}: {self._all} trainings")
        for entry in entries:
            self._say(f"  {entry.label}: H = {entry.hidden}, {entry.parameters:,} parameters")
        if outcomes:
            self._say(f"Resuming: {len(outcomes)} of them have ended before.")

    def progress(self, name: str, line: dict[str, Any]) -> None:
        """Move the bar of a training."""
        if name not in self._tasks:
            total = self._totals.get(name)
            total = total if isinstance(total, int) else None
            self._tasks[name] = self._bars.add_task(name, total=total, losses="")
            if self._bars.disable:
                self._say(f"{name}: from step {line['step']}")
        losses = [f"{what} {line[what]:.3g}" for what in ("loss", "validation") if line.get(what)]
        self._bars.update(self._tasks[name], completed=line["step"], losses=" · ".join(losses))

    def ended(self, outcome: Outcome) -> None:
        """Replace the bar by a line with the outcome of the training."""
        if outcome.name in self._tasks:
            self._bars.remove_task(self._tasks.pop(outcome.name))
        self._ended += 1
        facts = self._facts
        if outcome.diverged is not None:
            what = f"diverged after step {outcome.steps:,}"
        elif facts.measure in outcome.test:
            what = f"{facts.quality} {number(outcome.test[facts.measure], facts)}"
        else:
            what = f"validation {outcome.best_validation:.3g}"
        minutes = f"{outcome.steps:,} steps, {outcome.seconds / 60:.1f} minutes"
        self._say(f"[{self._ended}/{self._all}] {outcome.name}: {what} ({minutes})")

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)


def show_findings(findings: Findings, out: str) -> None:
    """Print the table, with notes on its columns, and the directory of everything else."""
    show_table(comparison_table(findings))
    click.echo(f"\nTable, curves and runs: {out}/report.html")
