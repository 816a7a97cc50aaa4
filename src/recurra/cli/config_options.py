"""Command-line options made from the fields of a configuration: one description, one default."""

import dataclasses
import types
import typing
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import click

__all__ = ["Field", "Sectioned", "given", "option_of", "options_for"]

Command = TypeVar("Command", bound=Callable[..., Any])
Field = dataclasses.Field[Any]

NONE = "none"
"""What stands for None on the command line, as in a TOML file, which has no word for it."""

_WORDS = {int: ("NUMBER", "a whole number"), float: ("NUMBER", "a number"), str: ("TEXT", "a text")}


class Sectioned(click.Command):
    """A command whose help lists options in sections: a title each, and the names in it.

    What is in no section stands first. With `usual` --help lists only the options of these names
    from the sections, and --help-all the others, too.
    """

    def __init__(
        self,
        *args: Any,
        sections: Mapping[str, Sequence[str]],
        usual: Container[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._titles = {name: title for title, names in sections.items() for name in names}
        self._usual = usual
        if usual is not None:
            more = sum(name not in usual for name in self._titles)
            self.params.append(_help_all(f"show this message with the {more} further options"))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each section."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        for param in self.get_params(ctx):
            if not self._is_listed(param.name or "", ctx):
                continue
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                title = self._titles.get(param.name or "", "Options")
                sections.setdefault(title, []).append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def _is_listed(self, name: str, ctx: click.Context) -> bool:
        every = self._usual is None or _EVERY in ctx.meta
        return every or name not in self._titles or name in (self._usual or ())


_EVERY = "recurra: every option"


def _help_all(text: str) -> click.Option:
    def show(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
        if wanted:
            ctx.meta[_EVERY] = True
            click.echo(ctx.get_help(), color=ctx.color)
            ctx.exit()

    how = {"is_flag": True, "is_eager": True, "expose_value": False}
    return click.Option(["--help-all"], callback=show, help=text, **how)


def options_for(config: type, fields: Iterable[Field]) -> Callable[[Command], Command]:
    """Decorate a command with an option for each field; one that is not given is None."""
    hints = typing.get_type_hints(config)
    options = [option_of(field, hints[field.name]) for field in fields]

    def decorate(command: Command) -> Command:
        made: Any = command
        if isinstance(made, click.Command):
            made.params.extend(options)
        else:
            made.__click_params__ = [*reversed(options), *getattr(made, "__click_params__", [])]
        return command

    return decorate


def given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that the user gave."""
    return {name: value for name, value in options.items() if value is not None}


def option_of(field: Field, hint: Any) -> click.Option:
    """The option of a field; one that is not given is None."""
    flag = field.metadata.get("flag", f"--{field.name.replace('_', '-')}")
    text = field.metadata["help"]
    if hint is bool or bool in typing.get_args(hint):
        words: dict[Any, str] = {True: "on", False: "off", None: "by the data"}
        default = words[field.default]
        names = [f"{flag}/--no-{flag[2:]}", field.name]
        return click.Option(names, default=None, help=f"{text} [{default}]")
    text = f"{text} [{NONE if field.default is None else field.default}]"
    names = [flag, field.name]
    if typing.get_origin(hint) is Literal:
        return click.Option(names, type=click.Choice(typing.get_args(hint)), help=text)
    kinds = typing.get_args(hint) or (hint,)
    metavar, word = _WORDS[kinds[0]]
    return click.Option(names, type=_Parsed(_parser(kinds, word)), metavar=metavar, help=text)


class _Parsed(click.ParamType[Any]):
    """A type that is a function of the option's text."""

    name = "value"

    def __init__(self, parse: Callable[[str], Any]) -> None:
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value of a text."""
        return self._parse(value) if isinstance(value, str) else value


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
