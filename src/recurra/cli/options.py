"""Command-line options made from the fields of a configuration: one description, one default."""

import dataclasses
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import click

__all__ = ["Field", "Sectioned", "given", "options_for"]

Command = TypeVar("Command", bound=Callable[..., Any])
Field = dataclasses.Field[Any]

NONE = "none"
"""What stands for None on the command line, as in a TOML file, which has no word for it."""

_WORDS = {int: ("NUMBER", "a whole number"), float: ("NUMBER", "a number"), str: ("TEXT", "a text")}


class Sectioned(click.Command):
    """A command whose help lists options in sections: a title each, and the names in it.

    What is in no section stands first.
    """

    def __init__(self, *args: Any, sections: Mapping[str, Sequence[str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._titles = {name: title for title, names in sections.items() for name in names}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each section."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                title = self._titles.get(param.name or "", "Options")
                sections.setdefault(title, []).append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def options_for(config: type, fields: Iterable[Field]) -> Callable[[Command], Command]:
    """Decorate a command with an option for each field; one that is not given is None."""
    hints = typing.get_type_hints(config)
    options = [_option(field, hints[field.name]) for field in fields]

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that the user gave."""
    return {name: value for name, value in options.items() if value is not None}


def _option(field: Field, hint: Any) -> Callable[[Command], Command]:
    name = f"--{field.name.replace('_', '-')}"
    text = field.metadata["help"]
    if hint is bool:
        names = f"{name}/--no-{name[2:]}"
        return click.option(
            names, default=None, help=f"{text} [{'on' if field.default else 'off'}]"
        )
    text = f"{text} [{NONE if field.default is None else field.default}]"
    if typing.get_origin(hint) is Literal:
        return click.option(name, type=click.Choice(typing.get_args(hint)), help=text)
    kinds = typing.get_args(hint) or (hint,)
    metavar, word = _WORDS[kinds[0]]
    return click.option(name, type=_parser(kinds, word), metavar=metavar, help=text)


def _parser(kinds: tuple[Any, ...], word: str) -> Callable[[str], Any]:
    """What turns the text of an option into the first of `kinds`, or leaves `none` be."""

    def parse(text: str) -> Any:
        if text == NONE and types.NoneType in kinds:
            return NONE
        try:
            return kinds[0](text)
        except ValueError as error:
            raise click.BadParameter(f"{text!r} is not {word}.") from error

    return parse
