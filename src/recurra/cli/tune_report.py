"""What `recurra tune` shows: progress, the table of trials, the best settings, what comes next."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.progress import Progress, TaskID, TextColumn
from rich.progress import TimeRemainingColumn as Remaining
from rich.table import Column

from recurra.cli.terminal import show_facts, show_table
from recurra.training.progress import bar_columns
from recurra.tuning import TrialRecord, Tuned, TuningProgress
from recurra.tuning.tuning_report import (
    figure,
    final_command,
    importance_table,
    shown_setting,
    trials_table,
)

__all__ = ["TuningBars", "show_tuned"]


class TuningBars(TuningProgress):
    """Shows a search on standard error: a bar for each running trial, a line at its end.

    Without a terminal there are lines alone.
    """

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bars = Progress(
            TextColumn("{task.description}"),
            *bar_columns(self._console, "figures"),
            Remaining(table_column=Column(no_wrap=True)),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._tasks: dict[int, TaskID] = {}
        self._notes: set[str] = set()
        self._wanted = 0

    def __enter__(self) -> TuningBars:
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    def begun(self, tuned: Tuned, trials: int) -> None:
        """Say what is searched, and how many trials have ended before."""
        self._wanted = trials
        self._say(f"{tuned.search.task}: {trials} trials, compared by {_direction(tuned)}")
        for name, values in tuned.search.ranges.items():
            self._say(f"  {name}: {values}")
        if ended := sum(record.state != "running" for record in tuned.trials):
            self._say(f"Continuing: {ended} of them ended before.")

    def progress(self, number: int, line: dict[str, Any]) -> None:
        """Move the bar of a trial."""
        if number not in self._tasks:
            self._tasks[number] = self._bars.add_task(f"trial {number}", total=None, figures="")
        figures = [f"{w} {line[w]:.3g}" for w in ("loss", "validation") if line.get(w) is not None]
        how = {"total": line["total"]} if "total" in line else {"figures": " · ".join(figures)}
        self._bars.update(self._tasks[number], completed=line.get("step", 0), **how)

    def note(self, text: str) -> None:
        """Say it, once."""
        if text not in self._notes:
            self._notes.add(text)
            self._say(f"Note: {text}")

    def ended(self, tuned: Tuned, record: TrialRecord) -> None:
        """Replace the bar by a line with what the trial came to."""
        if record.number in self._tasks:
            self._bars.remove_task(self._tasks.pop(record.number))
        what = figure(record.value, tuned) or record.state
        if record.error:
            what += f" ({record.error})"
        elif tuned.best is not None and tuned.best.number == record.number:
            what += ", the best so far"
        chosen = ", ".join(f"{n} {shown_setting(v)}" for n, v in record.settings.items())
        ended = sum(each.state != "running" for each in tuned.trials)
        took = f"{record.steps:,} steps, {record.minutes:.1f} minutes"
        self._say(f"[{ended}/{self._wanted}] trial {record.number}: {what} · {chosen} ({took})")

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)


def _direction(tuned: Tuned) -> str:
    lower = tuned.metric.lower_is_better
    return f"their best validation {tuned.metric.name} ({'lower' if lower else 'higher'} is better)"


def show_tuned(tuned: Tuned, *, refits: bool) -> None:
    """Print the table of trials, what matters, the best settings, and what to do next."""
    show_table(trials_table(tuned, lengths=False))
    if (importance := importance_table(tuned)) is not None:
        show_table(importance)
    running = sum(record.state == "running" for record in tuned.trials)
    if running:
        click.echo(f"{running} trials are under way in other processes.")
    if tuned.best is None:
        click.echo(f"\nNo trial is complete: {tuned.folder}/trials.csv says why.")
        return
    best = {name: shown_setting(value) for name, value in tuned.best.settings.items()}
    show_facts(f"Best: trial {tuned.best.number}, {figure(tuned.best.value, tuned)}", best)
    click.echo(f"\nIts run: {tuned.run}\nReport: {tuned.folder}/report.html\n")
    if not tuned.has_budget:
        click.echo("Every trial had the task's own length: that run is what a training would give.")
    if not refits or not tuned.has_budget:
        file = " FILE" if tuned.search.data else ""
        click.echo(f"Next:\n  recurra evaluate {tuned.run}{file}\n  {final_command(tuned)}")
