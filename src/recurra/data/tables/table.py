"""Tables from files and data frames, as columns. Imports narwhals, pandas and pyarrow, lazily."""

import csv
import dataclasses
import difflib
import gzip
import importlib
import importlib.util
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data import check_exists
from recurra.data.tables.number_texts import parse_numbers
from recurra.errors import DataError, MissingExtra

__all__ = [
    "DELIMITERS",
    "DataTable",
    "Floats",
    "Ints",
    "TableSource",
    "csv_records",
    "load_pandas",
    "open_table",
]

TableSource = Any
"""A path (str or Path), or a data frame of pandas, polars or pyarrow."""
Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

DELIMITERS = {".csv": ",", ".txt": ",", ".tsv": "\t"}
_PARQUET = (".parquet", ".pq")


def _optional(package: str, purpose: str = "Reading tables") -> Any:
    distribution = package.partition(".")[0]
    if importlib.util.find_spec(distribution) is None:
        raise MissingExtra(distribution, "forecast", purpose)
    return importlib.import_module(package)


def load_pandas(purpose: str) -> Any:
    """pandas; MissingExtra, naming the purpose, where it is not installed."""
    return _optional("pandas", purpose)


@dataclass(frozen=True, eq=False)
class DataTable:
    """Columns of equal length, and the way to name a row in a message."""

    name: str
    kind: str
    frame: Any
    first_row: int
    """2 for a file with a header, as editors count; 0 for a frame, as `iloc` does."""
    text_file: Path | None = None
    """The file, where it is text: its blank lines are not rows, but editors count them."""

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def from_file(self) -> bool:
        """True where its types may have been guessed from text."""
        return self.first_row > 0

    @property
    def columns(self) -> list[Any]:
        return list(self.frame.columns)

    def row(self, index: int) -> str:
        """The row as a message names it."""
        if self.text_file is not None:
            return f"row {_line_of(self.text_file, 1 + int(index))}"
        number = self.first_row + int(index)
        return f"row {number}" if self.first_row else f"row {number} (from 0)"

    def require(self, roles: dict[str, str], remedy: str = "") -> None:
        """DataError, with near names, unless every column is there; `roles` is {column: role}.

        remedy: advice where the column of an id, a time or a target is missing and no name is near.
        """
        for column, role in roles.items():
            if column not in self.columns:
                own = role in ("id", "time", "target")
                raise DataError(_missing_column(self, column, role, remedy if own else ""))

    def column(self, name: Any) -> Any:
        """A column as an array of pyarrow."""
        try:
            column = self.frame.get_column(name).to_arrow()
        except (TypeError, ValueError) as error:  # pyarrow's errors are among them
            raise DataError(self._mixed_kinds(name)) from error
        return column.combine_chunks() if hasattr(column, "combine_chunks") else column

    def with_constant(self, name: str, value: str) -> "DataTable":
        """The table with a further column, of one text."""
        column = _optional("narwhals").lit(value).alias(name)
        return dataclasses.replace(self, frame=self.frame.with_columns(column))

    def _mixed_kinds(self, name: Any) -> str:
        values = self.frame.get_column(name).to_list()
        kinds = [None if value is None or value != value else type(value) for value in values]
        usual = max((kind for kind in kinds if kind), key=kinds.count)
        row = next((n for n, kind in enumerate(kinds) if kind not in (None, usual)), 0)
        return (
            f"{self.name}: {self.row(row)}: column {name!r} has {values[row]!r}, which is of the "
            f"kind {type(values[row]).__name__}, and other rows are {usual.__name__}; give a "
            "column values of one kind."
        )

    def codes(self, name: Any) -> tuple[list[Any], Ints]:
        """The distinct values by first appearance, and the index of each row's; -1: missing."""
        encoded = _plain(self.column(name)).dictionary_encode()
        codes: Ints = encoded.indices.fill_null(-1).to_numpy().astype(np.int64)
        return encoded.dictionary.to_pylist(), codes

    def refuse_missing(self, missing: Any, name: Any) -> None:
        """DataError, naming the first row, where the mask `missing` (rows,) is true."""
        rows = np.flatnonzero(missing)
        if len(rows):
            raise DataError(
                f"{self.name}: {self.row(rows[0])} has no {name!r}; every row needs one, so fill "
                "it or drop the row."
            )

    def numbers(self, name: Any) -> Floats:
        """A column as float64, NaN where it is missing; DataError names the row of any other."""
        arrow = _optional("pyarrow")
        column = _plain(self.column(name))
        if arrow.types.is_temporal(column.type):
            raise DataError(
                f"{self.name}: column {name!r} holds dates or times, where numbers are needed."
            )
        try:
            cast = column.cast(arrow.float64(), safe=False)
        except arrow.ArrowInvalid as error:
            raise DataError(self._not_a_number(column, name)) from error
        except arrow.ArrowNotImplementedError as error:
            raise DataError(
                f"{self.name}: column {name!r} holds {column.type}, where numbers are needed."
            ) from error
        values: Floats = cast.to_numpy(zero_copy_only=False).astype(np.float64)
        return values

    def _not_a_number(self, column: Any, name: Any) -> str:
        """The message for the first value that is not a number, found by bisection."""
        arrow = _optional("pyarrow")
        first, end = 0, len(column)
        while end - first > 1:
            middle = (first + end) // 2
            try:
                column.slice(first, middle - first).cast(arrow.float64(), safe=False)
                first = middle
            except arrow.ArrowInvalid:
                end = middle
        return (
            f"{self.name}: {self.row(first)}: column {name!r} has {column[first].as_py()!r}, where "
            "a number is needed; write numbers with a point and without separators of thousands, "
            "and leave missing ones empty."
        )

    def is_text(self, name: Any) -> bool:
        """True for a column of texts or categories rather than numbers."""
        types, kind = _optional("pyarrow").types, self.column(name).type
        checks = (types.is_string, types.is_large_string, types.is_dictionary)
        return any(check(kind) for check in checks) or str(kind) == "string_view"


def _plain(column: Any) -> Any:
    """A column of categories as their values, in pyarrow's own large texts."""
    arrow = _optional("pyarrow")
    if arrow.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if str(column.type) == "string_view":
        column = column.cast(arrow.large_string())
    return column


def _missing_column(table: DataTable, column: str, role: str, remedy: str) -> str:
    names = [str(name) for name in table.columns]
    lower = {name.lower(): name for name in names}
    near = [lower[n] for n in difflib.get_close_matches(column.lower(), lower, 1, cutoff=0.7)]
    shown = ", ".join(names[:10]) + (f", ... ({len(names)} in all)" if len(names) > 10 else "")
    hint = f"Did you mean {near[0]!r}?" if near else remedy
    if column in (getattr(getattr(table.frame.to_native(), "index", None), "names", None) or ()):
        hint = "It is in the index: reset_index() makes it a column."
    if table.from_file and all(n.replace(".", "", 1).replace("-", "", 1).isdigit() for n in names):
        hint = "Its first row looks like data: add a header that names the columns."
    return f"{table.name}: no column {column!r} ({role}); it has {shown}. {hint}".rstrip()


def open_table(
    source: TableSource, *, text: tuple[str, ...] = (), called: str = "the DataFrame"
) -> DataTable:
    """The table of a .csv, .tsv, .csv.gz or .parquet file, or of a data frame.

    text: columns of a file to be read as texts, whatever they look like; called: the name of a
    frame in messages. Raises DataError for a table without rows, or with two columns of one name.
    """
    path = Path(source) if isinstance(source, str | Path) else None
    polars = type(source).__module__.partition(".")[0] == "polars"
    frame = source if path is None else _read(path, text)
    name, first_row = (called, 0) if path is None else (str(source), 2)
    text_file = path if path is not None and _suffix(path) in DELIMITERS else None
    narwhals = _optional("narwhals")
    try:
        columns = narwhals.from_native(frame, eager_only=True)
    except TypeError as error:
        raise DataError(
            f"{type(source).__name__} is not a table; give a path, or a DataFrame of pandas or "
            "polars (collect() a lazy one)."
        ) from error
    except narwhals.exceptions.DuplicateError as error:
        counts = Counter(getattr(frame, "column_names", None) or list(frame.columns))
        column, count = counts.most_common(1)[0]
        raise DataError(
            f"{name}: {count} columns are called {column!r}; give each its own name."
        ) from error
    table = DataTable(name, "polars" if polars else "pandas", columns, first_row, text_file)
    if not len(table):
        raise DataError(f"{name}: has no rows; give it at least one observation.")
    return table


def _suffix(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def _read(path: Path, text: tuple[str, ...]) -> Any:
    arrow, suffix = _optional("pyarrow"), _suffix(path)
    if path.is_dir():
        raise DataError(f"{path}: is a folder; give the path of a table in it.")
    if suffix not in DELIMITERS and suffix not in _PARQUET:
        raise DataError(
            f"{path}: {suffix or 'no ending'} is none of {', '.join(DELIMITERS)} (also .gz) and "
            f"{', '.join(_PARQUET)}; save the table as one of these."
        )
    check_exists(path)
    if not path.stat().st_size:
        raise DataError(f"{path}: is empty; give a table with a header and rows.")
    try:
        if suffix in _PARQUET:
            return _optional("pyarrow.parquet").read_table(path)
        return _read_csv(path, delimiter_of(path), text)
    except (OSError, arrow.ArrowException) as error:
        reason, remedy = str(error).partition("\n")[0], "is it a whole Parquet file?"
        if suffix in DELIMITERS:
            # pyarrow doesn't count blank lines.
            reason = re.sub(r"Row #(\d+)", lambda r: f"row {_line_of(path, int(r[1]) - 1)}", reason)
            remedy = "save it as UTF-8, with one header and as many cells in each row."
        raise DataError(f"{path}: cannot be read ({reason}); {remedy}") from error


def _read_csv(path: Path, delimiter: str, text: tuple[str, ...]) -> Any:
    """The table; columns with time zones are read again as text, to keep the offsets."""
    csv_reader, arrow = _optional("pyarrow.csv"), _optional("pyarrow")

    def read(text: tuple[str, ...], threads: bool = True) -> Any:
        types = dict.fromkeys(text, arrow.string())
        return csv_reader.read_csv(
            path,
            read_options=csv_reader.ReadOptions(use_threads=threads),
            parse_options=csv_reader.ParseOptions(delimiter=delimiter),
            convert_options=csv_reader.ConvertOptions(column_types=types, strings_can_be_null=True),
        )

    try:
        table = read(text)
    except arrow.ArrowInvalid:
        table = read(text, threads=False)  # raises once more, with the number of the row
    zoned = tuple(field.name for field in table.schema if getattr(field.type, "tz", None))
    return _with_numbers(read((*text, *zoned)) if zoned else table, (*text, *zoned))


def _with_numbers(table: Any, text: tuple[str, ...]) -> Any:
    """The table with texts that are numbers with decimal commas or thousands as numbers."""
    arrow = _optional("pyarrow")
    for place, field in enumerate(table.schema):
        if field.type != arrow.string() or field.name in text:
            continue
        encoded = table.column(place).combine_chunks().dictionary_encode()
        distinct = encoded.dictionary.to_pylist()
        numbers = parse_numbers(distinct) if distinct else None
        if numbers is not None:
            column = arrow.array(numbers).take(encoded.indices)
            table = table.set_column(place, field.name, column)
    return table


def delimiter_of(path: Path) -> str:
    """The mark between cells: that of the suffix, or where the header has none, one it has."""
    usual = DELIMITERS[_suffix(path)]
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", errors="replace") as text:
            header = next((line for line in text if line.strip()), "")
    except (OSError, EOFError):
        return usual
    bare = re.sub(r'"[^"]*"', "", header)
    counts = {mark: bare.count(mark) for mark in (usual, ";", "\t", "|", ",")}
    return usual if counts[usual] else max(counts, key=lambda mark: counts[mark])


def csv_records(path: Path, errors: str = "strict") -> Iterator[tuple[int, list[str]]]:
    """Each record of a text file with its line, from 1 on; blank lines count but are not records.

    `errors` is the treatment of bytes that are not UTF-8, as `open` takes it. Raises OSError,
    EOFError, UnicodeDecodeError and csv.Error.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8-sig", newline="", errors=errors) as text:
        reader, line = csv.reader(text, delimiter=delimiter_of(path)), 1
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1  # a record in quotes may have lines of its own


def _line_of(path: Path, record: int) -> int:
    """The line at which a record begins; the header is record 0."""
    try:
        return next(islice(csv_records(path, errors="replace"), record, None))[0]
    except (csv.Error, StopIteration):  # not read as pyarrow did: a cell of a megabyte, say
        return record + 1
