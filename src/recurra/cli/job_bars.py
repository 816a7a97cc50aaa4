"""Bars of several trainings at a time."""

from typing import Any, Self

from rich.console import Console
from rich.progress import Progress, TaskID, TextColumn
from rich.progress import TimeRemainingColumn as Remaining
from rich.table import Column

from recurra.training.progress import bar_columns

__all__ = ["JobBars"]


class JobBars:
    """A bar on standard error for each running training, and lines above them.

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
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    @property
    def are_shown(self) -> bool:
        """Whether there is a terminal for bars."""
        return not self._bars.disable

    def move(self, name: str, line: dict[str, Any]) -> bool:
        """Move the bar of a training by a line of its progress; whether it is the first one."""
        is_first = name not in self._tasks
        if is_first:
            self._tasks[name] = self._bars.add_task(name, total=None, figures="")
        figures = [f"{w} {line[w]:.3g}" for w in ("loss", "validation") if line.get(w) is not None]
        how = {"total": line["total"]} if "total" in line else {"figures": " · ".join(figures)}
        self._bars.update(self._tasks[name], completed=line.get("step", 0), **how)
        return is_first

    def remove(self, name: str) -> None:
        """Remove the bar of a training, if it has one."""
        if name in self._tasks:
            self._bars.remove_task(self._tasks.pop(name))

    def say(self, text: str) -> None:
        """Write a line."""
        self._console.print(text, markup=False, soft_wrap=True)
