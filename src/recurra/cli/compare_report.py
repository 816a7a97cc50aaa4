"""What `recurra compare` shows: how far each training is, and the table."""

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.progress import TimeRemainingColumn as Remaining
from rich.table import Table

from recurra.compare.config import Comparison
from recurra.compare.contests import Facts
from recurra.compare.plan import Entry
from recurra.compare.results import Outcome
from recurra.compare.table import Findings, number, table_of

__all__ = ["Telling", "show_findings"]

WIDTH = 120


class Telling:
    """Shows a comparison on standard error: a bar for each training under way, a line at its end.

    Where that is no terminal, lines alone: one when a training begins and one when it ends.
    """

    def __init__(self, comparison: Comparison) -> None:
        self._steps = comparison.steps
        self._console = Console(stderr=True, highlight=False)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[losses]}"),
            Remaining(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._ended = self._all = 0

    def __enter__(self) -> "Telling":
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    def planned(self, facts: Facts, entries: Sequence[Entry], outcomes: Sequence[Outcome]) -> None:
        """Each cell's size, and what is there already."""
        self._facts = facts
        self._all = sum(len(entry.trials) for entry in entries)
        self._ended = len(outcomes)
        self._say(f"{facts.title}: {self._all} trainings")
        for entry in entries:
            self._say(f"  {entry.label}: H = {entry.hidden}, {entry.parameters:,} parameters")
        if outcomes:
            self._say(f"Going on: {len(outcomes)} of them have ended before.")

    def progress(self, name: str, line: dict[str, Any]) -> None:
        """Move the bar of a training."""
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=self._steps, losses="")
            if self._bars.disable:
                self._say(f"{name}: from step {line['step']}")
        losses = [f"{what} {line[what]:.3g}" for what in ("loss", "validation") if line.get(what)]
        self._bars.update(self._tasks[name], completed=line["step"], losses=" · ".join(losses))

    def ended(self, outcome: Outcome) -> None:
        """Take the bar away, and say what came of the training."""
        if outcome.name in self._tasks:
            self._bars.remove_task(self._tasks.pop(outcome.name))
        self._ended += 1
        facts = self._facts
        found = outcome.test.get(facts.measure)
        what = (
            f"diverged after step {outcome.steps:,}"
            if found is None
            else f"{facts.quality} {number(found, facts)}"
        )
        minutes = f"{outcome.steps:,} steps, {outcome.seconds / 60:.1f} minutes"
        self._say(f"[{self._ended}/{self._all}] {outcome.name}: {what} ({minutes})")

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)


def show_findings(findings: Findings, out: str) -> None:
    """The table, what its columns mean, and where everything lies."""
    table = table_of(findings)
    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    made.add_column(table.columns[0])
    for name in table.columns[1:]:
        made.add_column(name, justify="right")
    for cells in table.rows:
        made.add_row(*cells)
    made.add_section()
    for cells in table.others:
        made.add_row(*cells, style="dim")
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=WIDTH)
    console.print(made)
    for note in table.notes:
        console.print(note, markup=False)
    console.print(f"\nThe table, the curves and the runs: {out}/report.html", markup=False)
