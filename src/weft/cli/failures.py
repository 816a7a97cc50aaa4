"""What becomes of a failure: one line on stderr and an exit code, never a traceback."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import NoReturn

import click

from weft.errors import WeftError

__all__ = ["INTERRUPTED", "reported"]

MISTAKE, INTERRUPTED, PIPE_CLOSED = 2, 130, 141
"""Exit codes; the last two as a shell gives them for SIGINT and SIGPIPE."""


@contextlib.contextmanager
def reported() -> Iterator[None]:
    """Turn what a user can cause into `weft: ...` on stderr; a bug of ours keeps its traceback."""
    try:
        yield
    except click.ClickException as error:
        _usage(error)
    except WeftError as error:
        _fail(str(error))
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted.", INTERRUPTED)
    except BrokenPipeError:
        _close_pipe()
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        _fail(f"{name}{error.strerror or error}; check the path, its permissions and the disk.")


def _usage(error: click.ClickException) -> NoReturn:
    if error.message == "" or isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
        error.show()
        sys.exit(error.exit_code)
    context = getattr(error, "ctx", None)
    hint = f" See {context.command_path} --help." if context else ""
    _fail(error.format_message() + hint)


def _fail(message: str, code: int = MISTAKE) -> NoReturn:
    click.echo(f"weft: {message}", err=True)
    sys.exit(code)


def _close_pipe() -> NoReturn:
    # Python flushes stdout once more as it ends, which would fail again, and say so.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(PIPE_CLOSED)
