"""`weft train TASK`."""

import click

from weft.cli.groups import LazyGroup

__all__ = ["command"]

TASKS = {
    "forecast": ("weft.cli.train_forecast", "Probabilistic forecasts of series in a table."),
    "language": ("weft.cli.train_language", "A model of text: what comes next."),
}


@click.group(name="train", cls=LazyGroup, verbs=TASKS)
def command() -> None:
    """Train a model of a task."""
