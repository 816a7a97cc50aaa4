"""Sources without targets, to be predicted: line by line from a file or standard input."""

import codecs
import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from recurra.data import check_exists
from recurra.data.pairs.pair_files import FileReading, PairLayout, pair_layout, rows_of_file
from recurra.data.pairs.pair_sources import text_of
from recurra.data.pairs.pair_tables import PairReading
from recurra.errors import ConfigError, DataError

__all__ = ["STANDARD_INPUT", "SourceText", "read_sources"]

STANDARD_INPUT = "-"
"""The name of standard input."""


@dataclass(frozen=True)
class SourceText:
    """A text to be predicted, "" for an empty line; or the problem that it can't be read for."""

    text: str
    origin: str
    problem: str = ""


def read_sources(
    data: Any,
    *,
    layout: PairLayout = "auto",
    source: str | None = None,
    encoding: str = "utf-8",
) -> Iterator[SourceText]:
    """The texts of a source, each as soon as it is there; none is left out, so that lines match.

    data: "-" for standard input, an open file, a path, or a list of texts and of paths (as Path).
        A table or dictionary, by its ending or `layout`, gives its sources; each line of any other
        file is a text, which ends with LF or CR LF.
    source: the column of a table, by name or position, as in `read_pairs`.

    A line that isn't UTF-8 is a problem; DataError where a file can't be read.

    >>> [each.text for each in read_sources(["ein Hund", ""])]
    ['ein Hund', '']
    """
    if data == STANDARD_INPUT:
        yield from _lines(sys.stdin.buffer, "standard input", encoding)
    elif isinstance(data, str | os.PathLike):
        yield from _file(Path(data), FileReading(layout, PairReading(source), encoding))
    elif hasattr(data, "read"):
        yield from _lines(data, str(getattr(data, "name", "the stream")), encoding)
    elif isinstance(data, Iterable):
        for number, each in enumerate(data):
            if isinstance(each, os.PathLike):
                yield from read_sources(each, layout=layout, source=source, encoding=encoding)
            else:
                yield _checked(each, f"item {number}")
    else:
        raise DataError(
            f"An object of type {type(data).__name__} is not a source of texts; give a path, an "
            "open file or a list of texts."
        )


def _file(path: Path, how: FileReading) -> Iterator[SourceText]:
    check_exists(path)
    layout = pair_layout(path) if how.layout == "auto" else how.layout
    if layout not in ("lines", "parallel"):
        table = PairReading(how.table.source, targets=False)
        for row in rows_of_file(path, FileReading(how.layout, table, how.encoding), []):
            place, problem = row.origin, f"{row.origin}: {row.problem}"
            yield SourceText("", place, problem) if row.problem else _checked(row.source, place)
        return
    try:
        with (gzip.open if path.suffix.lower() == ".gz" else open)(path, "rb") as file:
            yield from _lines(cast("BinaryIO", file), str(path), how.encoding)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}).") from error


def _lines(stream: BinaryIO | TextIO, name: str, encoding: str) -> Iterator[SourceText]:
    for number, line in enumerate(_decoded(stream, name, encoding), start=1):
        place = f"{name}, line {number}"
        if isinstance(line, str):
            yield _checked(line.removeprefix("\ufeff") if number == 1 else line, place)
            continue
        byte = f"byte 0x{line.object[line.start]:02x}, the {line.start + 1:,}. of the line"
        problem = f"{place}: is not UTF-8 ({byte}); convert it, or give its encoding."
        yield SourceText("", place, problem)


def _decoded(
    stream: BinaryIO | TextIO, name: str, encoding: str
) -> Iterator[str | UnicodeDecodeError]:
    """The lines of a stream, or what is wrong with one; those of UTF-8 one by one."""
    try:
        is_utf8 = codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")
    except LookupError as error:
        raise ConfigError(
            f"encoding = {encoding!r}; it is a name that Python knows, such as utf-8 or latin-1."
        ) from error
    if not is_utf8 and not isinstance(stream, io.TextIOBase):
        stream = io.TextIOWrapper(cast("BinaryIO", stream), encoding, newline="\n")
    try:
        for line in stream:
            yield _utf8(line) if isinstance(line, bytes) else line
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name}: is not of encoding {encoding} ({error}); give another."
        ) from error


def _utf8(line: bytes) -> str | UnicodeDecodeError:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        return error


def _checked(value: Any, place: str) -> SourceText:
    try:
        return SourceText(text_of(value), place)
    except DataError as error:
        return SourceText("", place, f"{place}: {error}")
