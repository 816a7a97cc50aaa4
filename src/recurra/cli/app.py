"""`recurra`: the verbs, loaded when they are called, so that `recurra --help` answers at once.

A user's mistake is one line on stderr.
"""

import contextlib
import difflib
import importlib
import io
import os
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

import click

from recurra import __version__
from recurra.cli.failures import reported
from recurra.settings import launched

__all__ = [
    "LazyGroup",
    "main",
]


class LazyGroup(click.Group):
    """Commands given as name -> (module, summary); the module holds the command as `command`."""

    def __init__(self, *args: Any, verbs: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._verbs)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self._verbs:
            return None
        command = importlib.import_module(self._verbs[name][0]).command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self._verbs and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], self._verbs, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(self._verbs)}."
            ctx.fail(f"There is no command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in self._verbs.items()])

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """As click's, but a user's mistake is one line on stderr and an exit code of 2."""
        for stream in (sys.stdout, sys.stderr):
            # A terminal that lacks a character shows `?` for it rather than ending the program.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        with reported():
            try:
                code = super().main(*args, **{**kwargs, "standalone_mode": False})
            except SystemExit as ended:
                code = ended.code
            if launched().world_size > 1:
                importlib.import_module("recurra.runs.ranks").leave()
        sys.exit(code if isinstance(code, int) else 0)


VERBS = {
    "train": ("recurra.cli.train", "Train a model of a task."),
    "evaluate": ("recurra.cli.evaluate", "Measure how well a run's model predicts."),
    "forecast": ("recurra.cli.forecast", "Forecast what comes next with a run's model."),
    "generate": ("recurra.cli.generate", "Write new text with a run's model."),
    "predict": ("recurra.cli.predict", "Write a run's answers to sequences, a row each."),
    "transcribe": ("recurra.cli.transcribe", "Write the text of sound, pen strokes or images."),
    "translate": ("recurra.cli.translate", "Write what sequences become: translations, sounds."),
    "inspect": ("recurra.cli.inspect", "Show how gradients flow through a run, with remedies."),
    "compare": ("recurra.cli.compare", "Train several cells on one problem, side by side."),
    "tune": ("recurra.cli.tune", "Search for good settings of a task."),
    "serve": ("recurra.cli.serve", "Answer for runs over HTTP and WebSocket, with a page."),
    "export": ("recurra.cli.export", "Write a run's networks as files that run without Recurra."),
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
