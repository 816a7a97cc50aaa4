"""Vectors of words from text files, as word2vec, GloVe and fastText write them."""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from recurra.data import check_exists
from recurra.errors import DataError

__all__ = ["WordVectors", "read_vectors", "vector_size"]


class WordVectors(NamedTuple):
    """A matrix (V, D), and for which words (V,) the file has a vector; other rows are zeros."""

    matrix: np.ndarray[Any, np.dtype[np.float32]]
    found: np.ndarray[Any, np.dtype[np.bool_]]


def read_vectors(path: str | Path, words: Sequence[str]) -> WordVectors:
    """The vectors of some words, spelt as they are given; the first where a word comes twice.

    path: a text file, also .gz, with a word and its D numbers in each line. A first line of two
    whole numbers, those of words and of D, may stand before them. Only the lines of `words` are
    turned into numbers, so a file of millions takes a minute and little memory.

    Raises DataError, with the line, where the file is missing, cut short, or not of this form.
    """
    path, wanted = Path(path), dict[bytes, list[int]]()
    for place, each in enumerate(words):
        wanted.setdefault(each.encode("utf-8", "surrogatepass"), []).append(place)
    lines = _lines(path)
    first = _first(path, lines)
    header, width = _header(first[1]), _width(first[1])
    matrix = np.zeros((len(words), width), dtype=np.float32)
    found = np.zeros(len(words), dtype=bool)
    count = 0
    for number, line in _chained(None if header else first, lines):
        word, row = _split(path, number, line, width)
        count += 1
        places = wanted.pop(word, None)
        if places:
            matrix[places], found[places] = _numbers(path, number, row), True
    if header and count != header[0]:
        raise DataError(
            f"{path}: has {count:,} vectors, and its first line says {header[0]:,}; it is cut "
            "short or was put together from others: copy it again, or leave out that line."
        )
    return WordVectors(matrix, found)


def vector_size(path: str | Path) -> int:
    """The numbers of each vector of a file, by its first line; DataError where it has none."""
    return _width(_first(Path(path), _lines(Path(path)))[1])


def _first(path: Path, lines: Iterator[tuple[int, bytes]]) -> tuple[int, bytes]:
    first = next(lines, None)
    if first is None:
        raise DataError(f"{path}: is empty; give a file with a word and its numbers in each line.")
    if _width(first[1]) < 1:
        _split(path, *first, 1)  # raises
    return first


def _width(line: bytes) -> int:
    header = _header(line)
    return header[1] if header else len(line.split()) - 1


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that aren't blank, with their numbers."""
    check_exists(path)
    try:
        with (gzip.open if path.suffix.lower() == ".gz" else open)(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                read = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if read.strip():
                    yield number, read
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); copy it again.") from error


def _chained(
    first: tuple[int, bytes] | None, rest: Iterator[tuple[int, bytes]]
) -> Iterator[tuple[int, bytes]]:
    if first is not None:
        yield first
    yield from rest


def _header(line: bytes) -> tuple[int, int] | None:
    """The numbers of words and of their dimensions, where the line has these alone."""
    parts = line.split()
    if len(parts) != 2 or not all(part.isdigit() for part in parts) or int(parts[1]) < 1:
        return None
    return int(parts[0]), int(parts[1])


def _split(path: Path, number: int, line: bytes, width: int) -> tuple[bytes, list[bytes]]:
    """The word, which may have spaces as some of GloVe's, and the texts of its numbers."""
    parts = line.split()
    more = len(parts) - 1 - width
    if width < 1 or more < 0 or (more and all(map(_is_number, parts[1 : more + 1]))):
        raise DataError(
            f"{path}, line {number}: has {len(parts) - 1} numbers after the word, where "
            f"{max(width, 1)} are needed; each line is a word and its numbers, separated by spaces "
            "(convert a binary file to text)."
        )
    return b" ".join(parts[: more + 1]), parts[more + 1 :]


def _is_number(part: bytes) -> bool:
    try:
        float(part)
    except ValueError:
        return False
    return True


def _numbers(path: Path, number: int, row: list[bytes]) -> np.ndarray[Any, np.dtype[np.float32]]:
    try:
        with np.errstate(over="ignore"):
            values = np.array([float(part) for part in row], dtype=np.float32)
    except ValueError as error:
        raise DataError(
            f"{path}, line {number}: {error}; each line is a word and its numbers."
        ) from error
    if not np.isfinite(values).all():
        raise DataError(f"{path}, line {number}: has a number that is not finite; leave it out.")
    return values
