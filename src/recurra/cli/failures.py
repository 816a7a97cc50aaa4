"""Failures as the user sees them: a line on stderr and an exit code, never a traceback."""

import contextlib
import re
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import click

from recurra.config.options import nearest_option
from recurra.errors import RecurraError

__all__ = [
    "exit_code",
    "reported",
    "users_line",
]


_OURS = Path(__file__).parents[1]
_INSTALLED = ("site-packages", "dist-packages")


def users_line(error: Exception) -> str | None:
    """`file:line` where an error left the user's code, or None where it never was there."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = reversed(traceback.extract_tb(error.__traceback__))
    return next((f"{f.filename}:{f.lineno}" for f in frames if _is_users(f.filename)), None)


def _is_users(name: str) -> bool:
    path = Path(name)
    python = (Path(sys.prefix), Path(sys.base_prefix), _OURS)
    return (
        path.is_file()
        and not any(path.is_relative_to(folder) for folder in python)
        and not any(folder in path.parts for folder in _INSTALLED)
    )


MISTAKE = 2
"""Exit code of a user's mistake."""


def exit_code(interrupted: object) -> int:
    """Exit code for an exception or a result whose `signal` is what interrupted it.

    It is what a shell gives for that signal: 130 for SIGINT, the default, and 143 for SIGTERM.
    """
    return 128 + (getattr(interrupted, "signal", None) or signal.SIGINT)


@contextlib.contextmanager
def reported() -> Iterator[None]:
    """Report a user's mistake as `recurra: ...` on stderr; a bug of ours keeps its traceback."""
    try:
        yield
    except click.ClickException as error:
        _usage(error)
    except RecurraError as error:
        _fail(str(error))
    except (click.Abort, KeyboardInterrupt) as error:
        # click's main turns a KeyboardInterrupt into an Abort.
        _fail("interrupted.", exit_code(error.__cause__ or error))
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        _fail(f"{name}{error.strerror or error}; check the path, its permissions and the disk.")
    except Exception as error:
        if refused := _refused_memory(error):
            _fail(f"{refused}; give smaller sizes, or a smaller batch.")
        line = users_line(error)
        if line is None:
            raise
        what = error.msg if isinstance(error, SyntaxError) else error
        _fail(f"{line}: {type(error).__name__}: {what}; fix that line of your module.")


def _refused_memory(error: Exception) -> str | None:
    """A sentence for memory that the system refused; None for any other error."""
    asked = re.search(r"can't allocate memory: you tried to allocate (\d+) bytes", str(error))
    if asked:
        return f"There is not enough memory for a further {int(asked[1]) / 2**30:,.1f} GiB"
    too_large = "Storage size calculation overflowed" in str(error)
    return "There is not enough memory" if too_large or isinstance(error, MemoryError) else None


def _usage(error: click.ClickException) -> NoReturn:
    if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
        error.show()
        sys.exit(error.exit_code)
    context = getattr(error, "ctx", None)
    hint = f" See {context.command_path} {_help_option(context)}." if context else ""
    if isinstance(error, click.NoSuchOption):
        _fail(_no_such_option(error) + hint)
    message = error.format_message()
    _fail(message + "." * (not message.endswith((".", "?"))) + hint)


def _help_option(context: click.Context) -> str:
    """The option that lists every other one."""
    listed = {flag for param in context.command.params for flag in param.opts}
    return "--help-all" if "--help-all" in listed else "--help"


_LACKING = {
    "progress is shown on stderr: 2>/dev/null hides it": "quiet silent verbose q v progress",
    "models train and run on the CPU": "cuda device gpu gpus accelerator",
}
"""Options that many programs have and this one lacks, by what is to be done instead."""


def _no_such_option(error: click.NoSuchOption) -> str:
    name = error.option_name.lstrip("-")
    flags = {
        (param.name or "", flag.lstrip("-")): flag
        for param in (error.ctx.command.get_params(error.ctx) if error.ctx else ())
        for flag in param.opts
    }
    names = {each: flag for pair, flag in flags.items() for each in pair}
    if near := nearest_option(name, names):
        return f"There is no option {error.option_name}; did you mean {names[near]}?"
    for remedy, words in _LACKING.items():
        if name in words.split():
            return f"There is no option {error.option_name}; {remedy}."
    return f"There is no option {error.option_name}."


def _fail(message: str, code: int = MISTAKE) -> NoReturn:
    click.echo(f"recurra: {message}", err=True)
    sys.exit(code)
