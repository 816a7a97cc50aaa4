"""What `recurra tune` shows: progress, the table of trials, the best settings, what comes next."""

from __future__ import annotations

from typing import Any

import click

from recurra.cli.job_bars import JobBars
from recurra.cli.terminal import show_facts, show_table
from recurra.tuning import TrialRecord, Tuned, TuningProgress
from recurra.tuning.tuning_report import (
    figure,
    final_command,
    importance_table,
    shown_setting,
    trials_table,
)

__all__ = ["TuningBars", "show_tuned"]


class TuningBars(JobBars, TuningProgress):
    """Shows a search on standard error: a bar for each running trial, a line at its end."""

    def __init__(self) -> None:
        super().__init__()
        self._notes: set[str] = set()
        self._wanted = 0

    def begun(self, tuned: Tuned, trials: int) -> None:
        """Say what is searched, and how many trials have ended before."""
        self._wanted = trials
        self.say(f"{tuned.search.task}: {trials} trials, compared by {_direction(tuned)}")
        for name, values in tuned.search.ranges.items():
            self.say(f"  {name}: {values}")
        if ended := sum(record.state != "running" for record in tuned.trials):
            self.say(f"Continuing: {ended} of them ended before.")

    def progress(self, number: int, line: dict[str, Any]) -> None:
        """Move the bar of a trial."""
        self.move(f"trial {number}", line)

    def note(self, text: str) -> None:
        """Say it, once."""
        if text not in self._notes:
            self._notes.add(text)
            self.say(f"Note: {text}")

    def ended(self, tuned: Tuned, record: TrialRecord) -> None:
        """Replace the bar by a line with what the trial came to."""
        self.remove(f"trial {record.number}")
        what = figure(record.value, tuned) or record.state
        if record.error:
            what += f" ({record.error})"
        elif tuned.best is not None and tuned.best.number == record.number:
            what += ", the best so far"
        chosen = ", ".join(f"{n} {shown_setting(v)}" for n, v in record.settings.items())
        ended = sum(each.state != "running" for each in tuned.trials)
        took = f"{record.steps:,} steps, {record.minutes:.1f} minutes"
        self.say(f"[{ended}/{self._wanted}] trial {record.number}: {what} · {chosen} ({took})")


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
