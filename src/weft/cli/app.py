"""`weft`: the verbs, loaded when they are called, so that `weft --help` answers at once."""

import os
import sys

import click

from weft import __version__
from weft.cli.groups import LazyGroup

__all__ = ["main"]

VERBS = {
    "train": ("weft.cli.train", "Train a model of a task."),
    "evaluate": ("weft.cli.evaluate", "Measure how well a run's model predicts."),
    "forecast": ("weft.cli.forecast", "Forecast what comes next with a run's model."),
    "generate": ("weft.cli.generate", "Write new text with a run's model."),
    "inspect": ("weft.cli.inspect", "Show how gradients flow through a run, with remedies."),
    "compare": ("weft.cli.compare", "Train several cells on one problem, side by side."),
    "bench": ("weft.cli.bench", "Measure Weft against torch.nn on this machine."),
    "cells": ("weft.cli.cells", "List the cells, or show one's equations."),
}


@click.group(cls=LazyGroup, verbs=VERBS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="weft", message="%(prog)s %(version)s")
def main() -> None:
    """Recurrent neural networks: a cell is written once, as its equations.

    \b
    weft train language --out runs/first      train on Python's own documentation
    weft generate runs/first --prompt "The"   and let it write
    weft train forecast sales.csv --horizon 28 --freq D --out runs/sales
    """
    # So that `--cell mypkg.mycell:MyCell` finds the user's module; last, so that it hides none.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
