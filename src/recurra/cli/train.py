"""`recurra train TASK`."""

import click

from recurra.cli.groups import LazyGroup

__all__ = ["command"]

TASKS = {
    "forecast": ("recurra.cli.train_forecast", "Probabilistic forecasts of series in a table."),
    "language": ("recurra.cli.train_language", "A model of text: what comes next."),
}


@click.group(name="train", cls=LazyGroup, verbs=TASKS)
def command() -> None:
    """Train a model of a task."""
