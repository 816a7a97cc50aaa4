"""`recurra`: the verbs, loaded when they are called, so that `recurra --help` answers at once."""

import contextlib
import io
import os
import sys

import click

from recurra import __version__
from recurra.cli.groups import LazyGroup
from recurra.settings import launched

__all__ = ["main"]

VERBS = {
    "train": ("recurra.cli.train", "Train a model of a task."),
    "evaluate": ("recurra.cli.evaluate", "Measure how well a run's model predicts."),
    "forecast": ("recurra.cli.forecast", "Forecast what comes next with a run's model."),
    "generate": ("recurra.cli.generate", "Write new text with a run's model."),
    "inspect": ("recurra.cli.inspect", "Show how gradients flow through a run, with remedies."),
    "compare": ("recurra.cli.compare", "Train several cells on one problem, side by side."),
    "bench": ("recurra.cli.bench", "Measure Recurra against torch.nn on this machine."),
    "cells": ("recurra.cli.cells", "List the cells, or show one's equations."),
}


@click.group(cls=LazyGroup, verbs=VERBS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="recurra", message="%(prog)s %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """Recurrent neural networks: a cell is written once, as its equations.

    \b
    recurra train language --out runs/first      train on Python's own documentation
    recurra generate runs/first --prompt "The"   and let it write
    recurra train forecast sales.csv --horizon 28 --freq D --out runs/sales
    """
    # So that `--cell mypkg.mycell:MyCell` finds the user's module; last, so that it hides none.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    own = launched()
    if own.world_size > 1 and context.invoked_subcommand != "train":
        context.fail("Of the commands only train runs under torchrun; start this one without it.")
    if own.rank > 0:  # the first process speaks for all
        context.with_resource(contextlib.redirect_stdout(io.StringIO()))
