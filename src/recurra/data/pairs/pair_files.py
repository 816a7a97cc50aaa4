"""Files of pairs by their layouts: parallel, tables, JSON lines, dictionaries."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recurra.data.pairs.dictionary_file import dictionary_rows
from recurra.data.pairs.pair_tables import PairReading, frame_pairs, json_pairs, table_pairs
from recurra.data.pairs.parallel_files import file_encodings, parallel_rows
from recurra.data.pairs.text_pair import PairRow
from recurra.data.texts.text_file import read_text_file
from recurra.data.transcripts.manifest_rows import JSON_SUFFIXES
from recurra.errors import ConfigError, DataError

__all__ = ["FileReading", "PairLayout", "pair_layout", "rows_of_file", "rows_of_files"]

PairLayout = Literal["auto", "parallel", "table", "jsonl", "dictionary"]

_TABLES = (".csv", ".tsv", ".tab")
_PARQUET = (".parquet", ".pq")
_DICTIONARY = ".dict"


@dataclass(frozen=True)
class FileReading:
    """How files are read: see `read_pairs`, whose arguments these are."""

    layout: PairLayout
    table: PairReading
    encoding: str


def pair_layout(path: Path) -> str:
    """The layout that a file's ending shows: "frame" for Parquet, "lines" for any other.

    >>> pair_layout(Path("a.TSV.gz")), pair_layout(Path("train.de"))
    ('table', 'lines')
    """
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    kinds = dict.fromkeys(_TABLES, "table") | dict.fromkeys((*JSON_SUFFIXES, ".json"), "jsonl")
    kinds |= dict.fromkeys(_PARQUET, "frame") | {_DICTIONARY: "dictionary"}
    return kinds.get(suffix, "lines")


def rows_of_files(files: Sequence[Path], how: FileReading, notes: list[str]) -> Iterator[PairRow]:
    """The rows of parallel files, or of tables one after the other."""
    kinds = {pair_layout(file) for file in files} if how.layout == "auto" else {how.layout}
    if kinds <= {"lines", "parallel"} and (len(files) > 1 or how.layout == "parallel"):
        yield from _parallel(files, how, notes)
        return
    if len(files) > 1 and "lines" in kinds:
        raise DataError(
            f"{', '.join(map(str, files))}: some are tables by their endings, and some are not; "
            "give two parallel files, or tables alone (or say which with layout = table)."
        )
    for file in files:
        yield from rows_of_file(file, how, notes)


def _parallel(files: Sequence[Path], how: FileReading, notes: list[str]) -> Iterator[PairRow]:
    if len(files) < 2:
        raise DataError(
            f"{files[0]}: is one file, and layout = parallel takes two, the source's and the "
            "target's."
        )
    if how.table.where or how.table.source or how.table.target:
        raise ConfigError(
            f"{', '.join(map(str, files))}: are parallel files, which have no columns; leave out "
            "where, source and target."
        )
    encodings = file_encodings(how.encoding, len(files))
    yield from parallel_rows(files, encodings, notes)


def rows_of_file(file: Path, how: FileReading, notes: list[str]) -> Iterator[PairRow]:
    """The rows of a table, of JSON lines or of a dictionary."""
    kind = pair_layout(file)
    layout = kind if how.layout == "auto" else how.layout
    if layout == "frame" or (layout == "table" and kind == "frame"):
        yield from frame_pairs(file, how.table, notes)
        return
    opened = read_text_file(file, file_encodings(how.encoding, 1)[0])
    if layout == "jsonl":
        yield from json_pairs(opened, how.table, notes)
    elif layout == "dictionary":
        yield from dictionary_rows(opened)
    else:
        first = opened.content.lstrip("\n").partition("\n")[0]
        if layout == "lines" and "\t" not in first:
            raise DataError(
                f"{file}: is one file without tabs; give two parallel files, the source's and the "
                "target's, a table (.tsv, .csv, .jsonl), or layout = dictionary for lines of a "
                "word and its phones."
            )
        suffix = ".csv" if file.name.lower().removesuffix(".gz").endswith(".csv") else ".tsv"
        yield from table_pairs(opened, suffix, how.table, notes)
