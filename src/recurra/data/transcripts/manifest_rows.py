"""Rows of a manifest: CSV, TSV or JSON lines, columns recognised by their names."""

import csv
import gzip
import io
import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recurra.data.text import read_bytes
from recurra.errors import DataError

__all__ = [
    "JSON_SUFFIXES",
    "MANIFEST_SUFFIXES",
    "PATH_COLUMNS",
    "TEXT_COLUMNS",
    "BadRow",
    "ManifestRow",
    "find_column",
    "has_strokes",
    "manifest_suffix",
    "plain_name",
    "read_rows",
    "read_unpacked",
    "read_utf8",
    "tab_records",
    "table_records",
    "table_rows",
]

JSON_SUFFIXES = (".jsonl", ".ndjson")
MANIFEST_SUFFIXES = (".csv", ".tsv", *JSON_SUFFIXES)
"""Endings of manifests; each may be followed by .gz."""

PATH_COLUMNS = (
    *("path", "file", "filename", "file_name", "file_path", "filepath"),
    *("audio", "audio_path", "audio_file", "audio_filepath", "wav", "sound"),
    *("image", "image_path", "image_file", "img", "ink", "ink_path"),
)
TEXT_COLUMNS = ("text", "transcript", "transcription", "sentence", "label", "words")


@dataclass(frozen=True, eq=False)
class ManifestRow:
    """A row: the line it begins at, from 1 on, its cells as texts, and strokes if it has them."""

    line: int
    cells: Mapping[str, str]
    strokes: bool = False


@dataclass(frozen=True)
class BadRow:
    """A row that can't be read, and why."""

    line: int
    message: str


def manifest_suffix(path: Path) -> str:
    """The ending that says how a manifest is read, "" for any other file.

    >>> manifest_suffix(Path("list.TSV.gz")), manifest_suffix(Path("a.wav"))
    ('.tsv', '')
    """
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    return suffix if suffix in MANIFEST_SUFFIXES else ""


def read_rows(path: Path) -> list[ManifestRow | BadRow]:
    """The rows of a manifest, in order; single rows that can't be read are among them.

    Raises DataError where the whole can't be read: missing, not UTF-8 (with the line), without a
    header, with two columns of one name, or without rows.
    """
    suffix, text = manifest_suffix(path), read_utf8(path)
    if suffix in JSON_SUFFIXES:
        rows = list(_json_rows(text))
    else:
        rows = list(table_rows(path, table_records(path, suffix, text)))
    if not rows:
        raise DataError(f"{path}: has no rows; give one line for each item.")
    return rows


def has_strokes(path: Path) -> bool:
    """Whether the first line of a JSON lines file holds strokes; False where it can't be read."""
    try:
        opener = gzip.open if path.suffix.lower() == ".gz" else open
        with opener(path, "rb") as file:
            return "strokes" in json.loads(file.readline())
    except (OSError, EOFError, ValueError, TypeError, RecursionError, zlib.error):
        return False


def find_column(
    path: Path, columns: Iterable[str], known: Sequence[str], role: str, given: str | None
) -> str | None:
    """The column for a role: the one given, or the only one with a known name; None without.

    Capitals, spaces and hyphens of names don't matter. Raises DataError where the column given is
    missing, or several have known names.
    """
    columns = list(columns)
    if given is not None:
        if given not in columns:
            raise DataError(f"{path}: no column {given!r} ({role}); it has {_names(columns)}.")
        return given
    found = [column for column in columns if plain_name(column) in known]
    if len(found) > 1:
        raise DataError(
            f"{path}: columns {_names(found)} may each be the {role}; say which "
            f"({role}_column = {found[0]}, say)."
        )
    return found[0] if found else None


def read_utf8(path: Path) -> str:
    r"""The text of a file, uncompressed if it ends in .gz; a byte order mark is dropped.

    DataError where it is missing, empty, damaged, or not UTF-8, with the line.
    """
    data = read_unpacked(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        found = f"byte 0x{data[error.start]:02x} in line {line}"
        likely = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin1"
        raise DataError(
            f"{path}: is not UTF-8 ({found}); convert it, for example with: iconv -f {likely} "
            "-t utf-8"
        ) from error


def read_unpacked(path: Path) -> bytes:
    """The bytes of a file, uncompressed if it ends in .gz.

    DataError where it is missing, damaged, or has nothing but white space.
    """
    data = read_bytes(path)
    if path.suffix.lower() == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path}: cannot be unpacked ({error}); copy it again.") from error
    if not data.strip():
        raise DataError(f"{path}: is empty.")
    return data


def _json_rows(text: str) -> Iterator[ManifestRow | BadRow]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield BadRow(number, f"is not valid JSON ({_why(error)}); write one object a line.")
            continue
        if not isinstance(found, dict):
            yield BadRow(
                number, f"is {_called(found)}, not a JSON object; write one object a line."
            )
            continue
        cells = {name: _cell(value) for name, value in found.items() if name != "strokes"}
        yield ManifestRow(number, cells, strokes="strokes" in found)


def _why(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}, column {error.colno}"
    return str(error)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _called(value: Any) -> str:
    kinds = {list: "a list", str: "a text", bool: "a truth value", type(None): "null"}
    return kinds.get(type(value), "a number")


def _csv_records(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            yield line, cells
            line = reader.line_num + 1  # a cell in quotes may have lines of its own
    except csv.Error as error:
        raise DataError(
            f"{path}: the row that begins in line {line} can't be read ({error}); look for a "
            'quotation mark that isn\'t closed, and double those inside of a cell: "".'
        ) from error


def table_records(path: Path, suffix: str, text: str) -> Iterator[tuple[int, list[str]]]:
    """Each record of CSV or TSV with its line.

    In TSV quotation marks are text, unless the header is in them.
    """
    if suffix == ".csv":
        return _csv_records(path, text, ",")
    return _csv_records(path, text, "\t") if text.startswith('"') else tab_records(text)


def tab_records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Records of tabs; a cell quoted for the marks inside it, as pandas does, is unquoted."""
    for number, line in enumerate(re.split("\r\n|\r|\n", text), start=1):
        yield number, [_unquoted(cell) for cell in line.split("\t")]


def _unquoted(cell: str) -> str:
    inside = cell[1:-1]
    quoted = len(cell) > 2 and cell[0] == cell[-1] == '"' and '""' in inside
    if quoted and '"' not in inside.replace('""', ""):
        return inside.replace('""', '"')
    return cell


def table_rows(
    path: Path, records: Iterable[tuple[int, list[str]]]
) -> Iterator[ManifestRow | BadRow]:
    """The rows of a table below its header; DataError for a header that can't be used."""
    filled = ((line, cells) for line, cells in records if any(cell.strip() for cell in cells))
    _, header = next(filled, (1, []))
    header = [cell.strip() for cell in header]
    while header and not header[-1]:  # spreadsheets leave empty cells at the end
        header.pop()
    _check_header(path, header)
    for line, cells in filled:
        if len(cells) > len(header) and not any(cells[len(header) :]):
            cells = cells[: len(header)]
        if len(cells) == len(header):
            yield ManifestRow(line, dict(zip(header, cells, strict=True)))
            continue
        yield BadRow(
            line,
            f"has {len(cells)} cells, and the header {len(header)}; put a text that has the "
            "separator in quotation marks.",
        )


def _check_header(path: Path, header: Sequence[str]) -> None:
    twice = [name for name in dict.fromkeys(header) if header.count(name) > 1]
    if twice:
        raise DataError(f"{path}: several columns are called {twice[0]!r}; give each its own name.")
    if len(header) == 1 and (marks := [mark for mark in ";\t|" if mark in header[0]]):
        raise DataError(
            f"{path}: its header is one cell with {marks[0]!r} in it: {_names(header)}; separate "
            "cells by commas (.csv) or tabs (.tsv)."
        )

    if any(name and os.path.isfile(path.parent / name) for name in header):
        raise DataError(
            f"{path}: its first row looks like data ({_names(header)}); add a header, such as "
            "path,text."
        )


def plain_name(column: str) -> str:
    """A column's name as it is compared with usual ones: `File Name` is file_name."""
    return re.sub(r"[\s-]+", "_", column.strip().lower())


def _names(columns: Sequence[str]) -> str:
    shown = ", ".join(map(repr, columns[:10]))
    return f"{shown}, … ({len(columns)} in all)" if len(columns) > 10 else shown
