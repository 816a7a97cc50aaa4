"""The records of a text file of cells, and the line that each begins at."""

import csv
import gzip
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

__all__ = ["DELIMITERS", "line_of", "records"]

DELIMITERS = {".csv": ",", ".txt": ",", ".tsv": "\t"}


def records(path: Path, errors: str = "strict") -> Iterator[tuple[int, list[str]]]:
    """Each record of a file with its line, from 1 on: blank lines are none, and are counted.

    `errors` is what happens to bytes that are no UTF-8, as `open` takes it. Raises OSError,
    EOFError, UnicodeDecodeError and csv.Error.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    delimiter = DELIMITERS[Path(path.name.removesuffix(".gz")).suffix.lower()]
    with opener(path, "rt", encoding="utf-8-sig", newline="", errors=errors) as text:
        reader, line = csv.reader(text, delimiter=delimiter), 1
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1  # a record in quotes may have lines of its own


def line_of(path: Path, record: int) -> int:
    """The line at which a record begins; the header is record 0."""
    try:
        return next(islice(records(path, errors="replace"), record, None))[0]
    except (csv.Error, StopIteration):  # not read as pyarrow did: a cell of a megabyte, say
        return record + 1
