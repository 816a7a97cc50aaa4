"""Text files whose lines may each be damaged: the others are read all the same."""

import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from recurra.data.text import universal_lines
from recurra.data.transcripts.manifest_rows import read_unpacked
from recurra.errors import ConfigError, DataError

__all__ = ["TextFile", "TextRow", "read_text_file"]

_ESCAPED = re.compile("[\udc80-\udcff]")
"""Bytes that are not UTF-8, as Python's `surrogateescape` decodes them."""


@dataclass(frozen=True, eq=False)
class TextRow:
    """A labelled text as its source has it, at a place such as "line 3"; or its problem.

    label: None where the source has none. `columns` are other cells of its row.
    """

    name: str
    origin: str
    text: object = None
    label: object = None
    columns: Mapping[str, str] | None = None
    problem: str = ""
    reason: str = ""


@dataclass(frozen=True)
class TextFile:
    """The characters of a file with LF line ends, and a message for each line that isn't UTF-8."""

    path: Path
    content: str
    damaged: Mapping[int, str]

    def lines(self) -> Iterator[tuple[int, str]]:
        """The lines that aren't blank, with their numbers from 1 on."""
        for number, line in enumerate(self.content.split("\n"), start=1):
            if line.strip():
                yield number, line

    def damage(self, line: int, *cells: object) -> str:
        """The problem of a row that begins in a line and has these cells; "" for none."""
        if not any(isinstance(cell, str) and _ESCAPED.search(cell) for cell in cells):
            return ""
        return self.damaged[min(number for number in self.damaged if number >= line)]

    def row(
        self,
        line: int,
        text: object = None,
        label: object = None,
        columns: Mapping[str, str] | None = None,
        problem: str = "",
    ) -> TextRow:
        """The row that begins in a line."""
        name, origin = f"{self.path.name}:{line}", f"{self.path}, line {line}"
        if damage := self.damage(line, text, label, problem, *(columns or {}).values()):
            return TextRow(name, origin, problem=damage, reason="is not UTF-8")
        return TextRow(name, origin, text, label, columns, problem)


def read_text_file(path: Path, encoding: str = "utf-8", *, lone_cr: bool = True) -> TextFile:
    """A file, also .gz. Where it should be UTF-8, lines that aren't are marked as damaged.

    lone_cr: a CR without LF ends a line; else it only does in a file without LF, and is a space in
    others, so that the lines of two files stay side by side.

    Raises DataError where it is missing, empty, binary, or not of another encoding; ConfigError for
    an encoding that Python doesn't have.
    """
    data = read_unpacked(path)
    try:
        codec = codecs.lookup(encoding).name
        is_utf8 = codec in ("utf-8", "utf-8-sig")
        if is_utf8:
            data = data.removeprefix(codecs.BOM_UTF8)
        content = data.decode(codec, "surrogateescape" if is_utf8 else "strict")
        _check_other(path, data, encoding, codec)
    except LookupError as error:
        raise ConfigError(
            f"encoding = {encoding!r}; it is a name that Python knows, such as utf-8 or latin-1."
        ) from error
    except UnicodeError as error:
        raise DataError(
            f"{path}: is not of encoding {encoding} ({error}); give another."
        ) from error
    if "\0" in content:
        wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        what = "is UTF-16; give encoding = utf-16" if wide else "is binary, not text; convert it"
        raise DataError(f"{path}: {what}, or save it as UTF-8.")
    if not lone_cr and "\n" in content:
        content = content.replace("\r\n", "\n").replace("\r", " ")
    content = universal_lines(content)
    return TextFile(path, content, _damaged(content) if is_utf8 else {})


def _check_other(path: Path, data: bytes, encoding: str, codec: str) -> None:
    """Refuse a file of UTF-8 that is to be read by an encoding that takes any bytes.

    Letters beyond ASCII that are none of UTF-8 hardly ever have its bytes.
    """
    if codec in ("utf-8", "utf-8-sig") or codec.startswith("utf") or data.isascii():
        return
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return
    raise DataError(
        f"{path}: is UTF-8, and encoding = {encoding!r} would garble it; leave encoding out, or of "
        "parallel files give one for each: utf-8,latin-1."
    )


def _damaged(content: str) -> dict[int, str]:
    found: dict[int, str] = {}
    if _ESCAPED.search(content) is None:
        return found
    for number, line in enumerate(content.split("\n"), start=1):
        if (bad := _ESCAPED.search(line)) is not None:
            byte = ord(bad[0]) - 0xDC00
            place = len(line[: bad.start()].encode("utf-8", "surrogateescape")) + 1
            found[number] = (
                f"is not UTF-8 (byte 0x{byte:02x}, the {place:,}. of line {number}); convert it, "
                "or give the encoding that it has, such as latin-1."
            )
    return found
