"""A bar that shows the progress of a training."""

import math
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import ProgressColumn

__all__ = [
    "RichProgress",
    "bar_columns",
]


_BETWEEN_REDRAWS = 0.1  # seconds

_WIDE = 120
"""A terminal of so many columns has room for a bar beside every number."""


class RichProgress:
    """A live bar on a terminal: epoch, loss, tokens/s, the validation's metric, time left.

    Elsewhere (a log file, a pipe) a plain line every `seconds_between_lines`. `console` is rich's,
    by default one on standard error; `max_minutes` bounds the time left that is shown; `unit` is
    what the loss is a mean over, in the task's own word.
    """

    def __init__(
        self,
        console: "Console | None" = None,
        *,
        max_minutes: float | None = None,
        seconds_between_lines: float = 10.0,
        unit: str = "tokens",
    ) -> None:
        from rich.console import Console

        self._unit = unit
        self._console = console or Console(stderr=True)
        self._limit = None if max_minutes is None else 60 * max_minutes
        live = self._console.is_terminal
        self._between = _BETWEEN_REDRAWS if live else seconds_between_lines
        self._bar = _make_bar(self._console) if live else None
        self._loss: float | None = None

    @staticmethod
    def is_watched() -> bool:
        """Tell a terminal or a notebook from a file or a pipe, where no progress is wanted."""
        return sys.stderr.isatty() or "ipykernel" in sys.modules

    def start(self, total_steps: int | None, step: int) -> None:
        """Show the bar at `step`."""
        self._total, self._first = total_steps, step
        self._began = self._shown = time.monotonic()
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task("", total=total_steps, completed=step, text="", left="")

    def update(
        self,
        step: int,
        epoch: int,
        loss: float,
        tokens_per_second: float,
        *,
        validation: float | None = None,
        metric: str = "loss",
        seconds: float | None = None,
        **more: Any,
    ) -> None:
        """Show the numbers, at most ten times a second; the loss is a running mean.

        `seconds` are those of the whole training, before it was resumed as well.
        """
        self._loss = loss if self._loss is None else 0.95 * self._loss + 0.05 * loss
        now = time.monotonic()
        if now - self._shown < self._between and step != self._total:
            return
        self._shown = now
        text = f"epoch {epoch} · loss {self._loss:.4f}"
        if validation is not None:
            text += f" · validation {metric} {validation:.4f}"
        text += f" · {tokens_per_second:,.0f} {self._unit}/s"
        self._show(step, text, self._left(step, now, seconds))

    def message(self, text: str) -> None:
        """Print `text` above the bar."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def stop(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.stop()

    def _show(self, step: int, text: str, left: str) -> None:
        if self._bar is None:
            of = "" if self._total is None else f"/{self._total}"
            self.message(f"step {step}{of} · {text} · {left}")
        else:
            self._bar.update(self._task, completed=step, text=text, left=left)

    def _left(self, step: int, now: float, seconds: float | None) -> str:
        spent = now - self._began
        so_far = spent if seconds is None else seconds
        left = math.inf if self._limit is None else max(0.0, self._limit - so_far)
        if self._total is not None:
            left = min(left, spent / (step - self._first) * (self._total - step))
        minutes, seconds = divmod(round(left), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{seconds:02} left"


def _make_bar(console: "Console") -> "Bar":
    from rich.progress import Progress

    return Progress(*bar_columns(console, "text", "left"), console=console)


def bar_columns(console: "Console", text: str, *after: str) -> "list[ProgressColumn]":
    """A bar, the number of steps, a text, and others after it, by the names of the task's fields.

    Where the terminal is too narrow for all, there is no bar, and the text is shortened, never the
    numbers.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn
    from rich.table import Column
    from rich.text import Text

    class Shortened(ProgressColumn):
        def render(self, task: Any) -> Text:
            return Text(task.fields[text], no_wrap=True, overflow="ellipsis")

    return [
        *([BarColumn(bar_width=24)] if console.width >= _WIDE else []),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        Shortened(),
        *(TextColumn(f"{{task.fields[{name}]}}") for name in after),
    ]
