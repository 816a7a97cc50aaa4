"""A group of commands that imports each when it is called, and answers a mistake in one line."""

import difflib
import importlib
import io
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

import click

from recurra.cli.failures import reported
from recurra.settings import launched

__all__ = ["LazyGroup"]


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
