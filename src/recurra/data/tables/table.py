"""Tables from files and data frames, as columns: the one file that imports narwhals and pyarrow."""

import difflib
import importlib
import importlib.util
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.tables.csv_records import DELIMITERS, line_of
from recurra.errors import DataError, MissingExtra

__all__ = ["Codes", "Numbers", "Source", "Table", "open_table"]

Source = Any
"""A path (str or Path), or a data frame of pandas, polars or pyarrow."""
Numbers = np.ndarray[Any, np.dtype[np.float64]]
Codes = np.ndarray[Any, np.dtype[np.int64]]

_PARQUET = (".parquet", ".pq")


def _heavy(package: str) -> Any:
    if importlib.util.find_spec(package) is None:
        raise MissingExtra(package, "forecast", "reading tables")
    return importlib.import_module(package)


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of one length, and how to name a row of them to the user."""

    name: str
    kind: str
    frame: Any
    first_row: int
    """2 for a file with a header, as editors count; 0 for a frame, as `iloc` does."""
    text: Path | None = None
    """The file, where it is of text: its blank lines are no rows, and editors count them."""

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def from_file(self) -> bool:
        """Whether its types were guessed from text, or may have been."""
        return self.first_row > 0

    @property
    def columns(self) -> list[Any]:
        return list(self.frame.columns)

    def row(self, index: int) -> str:
        """How a user finds that row."""
        if self.text is not None:
            return f"row {line_of(self.text, 1 + int(index))}"
        number = self.first_row + int(index)
        return f"row {number}" if self.first_row else f"row {number} (from 0)"

    def require(self, named: dict[str, str], remedy: str = "") -> None:
        """DataError, with near names, unless each column is there: {column: what it is for}.

        remedy: what to say where an id, a time or a target is not there and no name is near.
        """
        for column, role in named.items():
            if column not in self.columns:
                own = role in ("id", "time", "target")
                raise DataError(_no_column(self, column, role, remedy if own else ""))

    def column(self, name: Any) -> Any:
        """A column as an array of pyarrow."""
        try:
            column = self.frame.get_column(name).to_arrow()
        except (TypeError, ValueError) as error:  # pyarrow's errors are among them
            raise DataError(self._mixed(name)) from error
        return column.combine_chunks() if hasattr(column, "combine_chunks") else column

    def _mixed(self, name: Any) -> str:
        values = self.frame.get_column(name).to_list()
        kinds = [None if value is None or value != value else type(value) for value in values]
        usual = max((kind for kind in kinds if kind), key=kinds.count)
        row = next((n for n, kind in enumerate(kinds) if kind not in (None, usual)), 0)
        return (
            f"{self.name}: {self.row(row)}: column {name!r} has {values[row]!r}, which is of the "
            f"kind {type(values[row]).__name__}, and other rows are {usual.__name__}; give a "
            "column values of one kind."
        )

    def codes(self, name: Any) -> tuple[list[Any], Codes]:
        """The different values, by first appearance, and which each row has; -1: missing."""
        encoded = _plain(self.column(name)).dictionary_encode()
        codes: Codes = encoded.indices.fill_null(-1).to_numpy().astype(np.int64)
        return encoded.dictionary.to_pylist(), codes

    def refuse_missing(self, missing: Any, name: Any) -> None:
        """DataError, naming the first row, where `missing` (rows,) says that it has no value."""
        rows = np.flatnonzero(missing)
        if len(rows):
            raise DataError(
                f"{self.name}: {self.row(rows[0])} has no {name!r}; every row needs one, so fill "
                "it or drop the row."
            )

    def numbers(self, name: Any) -> Numbers:
        """A column as float64, NaN where it is missing; DataError names the row of any other."""
        arrow = _heavy("pyarrow")
        column = _plain(self.column(name))
        if arrow.types.is_temporal(column.type):
            raise DataError(
                f"{self.name}: column {name!r} holds dates or times, where numbers are needed."
            )
        try:
            cast = column.cast(arrow.float64(), safe=False)
        except arrow.ArrowInvalid as error:
            raise DataError(self._no_number(column, name)) from error
        except arrow.ArrowNotImplementedError as error:
            raise DataError(
                f"{self.name}: column {name!r} holds {column.type}, where numbers are needed."
            ) from error
        values: Numbers = cast.to_numpy(zero_copy_only=False).astype(np.float64)
        return values

    def _no_number(self, column: Any, name: Any) -> str:
        """The message for the first value that is no number: halves are tried until it is found."""
        arrow = _heavy("pyarrow")
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
            "a number is needed; write numbers with a point, and leave missing ones empty."
        )

    def is_text(self, name: Any) -> bool:
        """Whether a column holds texts or categories rather than numbers."""
        types = _heavy("pyarrow").types
        kind = self.column(name).type
        kinds = (types.is_string, types.is_large_string, types.is_dictionary)
        return any(check(kind) for check in kinds) or str(kind) == "string_view"


def _plain(column: Any) -> Any:
    """A column of categories as the values they stand for, in large texts of pyarrow's own."""
    arrow = _heavy("pyarrow")
    if arrow.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if str(column.type) == "string_view":
        column = column.cast(arrow.large_string())
    return column


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


def _no_column(table: Table, column: str, role: str, remedy: str) -> str:
    names = [str(name) for name in table.columns]
    lower = {name.lower(): name for name in names}
    near = [lower[n] for n in difflib.get_close_matches(column.lower(), lower, 1, cutoff=0.7)]
    shown = ", ".join(names[:10]) + (f", ... ({len(names)} in all)" if len(names) > 10 else "")
    hint = f"Did you mean {near[0]!r}?" if near else remedy
    if column in (getattr(getattr(table.frame.to_native(), "index", None), "names", None) or ()):
        hint = "It is in the index: reset_index() makes it a column."
    if len(names) == 1 and any(mark in names[0] for mark in ";\t|"):
        hint = "Its header is one cell: separate cells by commas (.csv) or tabs (.tsv)."
    if table.from_file and all(_is_number(name) for name in names):
        hint = "Its first row looks like data: add a header that names the columns."
    return f"{table.name}: no column {column!r} ({role}); it has {shown}. {hint}".rstrip()


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).replace("-", "", 1).isdigit()


def open_table(
    source: Source, *, text: tuple[str, ...] = (), called: str = "the DataFrame"
) -> Table:
    """The table of a .csv, .tsv, .csv.gz or .parquet file, or of a data frame.

    text: columns of a file to be read as texts, whatever they look like; called: what messages
    call a frame. Raises DataError where there is nothing to read, or a column's name stands twice.
    """
    path = Path(source) if isinstance(source, str | Path) else None
    if path is not None:
        frame, name, kind, first = _read(path, text), str(source), "pandas", 2
    else:
        frame, name, kind, first = source, called, _kind(source), 0
    lines = path if path is not None and _suffix(path) in DELIMITERS else None
    narwhals = _heavy("narwhals")
    try:
        table = Table(name, kind, narwhals.from_native(frame, eager_only=True), first, lines)
    except TypeError as error:
        raise DataError(
            f"{type(source).__name__} is no table; give a path, or a DataFrame of pandas or polars "
            "(collect() a lazy one)."
        ) from error
    except narwhals.exceptions.DuplicateError as error:
        raise DataError(_same_names(frame, name)) from error
    if not len(table):
        raise DataError(f"{name}: has no rows; give it at least one observation.")
    return table


def _same_names(frame: Any, name: str) -> str:
    counts = Counter(getattr(frame, "column_names", None) or list(frame.columns))
    column, count = counts.most_common(1)[0]
    return f"{name}: {count} columns are called {column!r}; give each its own name."


def _kind(frame: Any) -> str:
    return "polars" if type(frame).__module__.partition(".")[0] == "polars" else "pandas"


def _suffix(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def _read(path: Path, text: tuple[str, ...]) -> Any:
    arrow = _heavy("pyarrow")
    suffix = _suffix(path)
    if path.is_dir():
        raise DataError(f"{path}: is a folder; give the path of a table in it.")
    if suffix not in DELIMITERS and suffix not in _PARQUET:
        raise DataError(
            f"{path}: {suffix or 'no ending'} is none of {', '.join(DELIMITERS)} (also .gz) and "
            f"{', '.join(_PARQUET)}; save the table as one of these."
        )
    if not path.is_file():
        raise DataError(f"{path}: no such file; give the path of a table.")
    if not path.stat().st_size:
        raise DataError(f"{path}: is empty; give a table with a header and rows.")
    try:
        if suffix in _PARQUET:
            return importlib.import_module("pyarrow.parquet").read_table(path)
        return _read_csv(path, DELIMITERS[suffix], text)
    except (OSError, arrow.ArrowException) as error:
        remedy = "is it a whole Parquet file?" if suffix in _PARQUET else _TEXT_REMEDY
        reason = _first_line(error)
        if suffix in DELIMITERS:
            reason = _with_lines(reason, path)
        raise DataError(f"{path}: cannot be read ({reason}); {remedy}") from error


def _with_lines(reason: str, path: Path) -> str:
    """Rows in a message of pyarrow, which counts no blank lines, as lines of the file."""
    return re.sub(r"Row #(\d+)", lambda row: f"row {line_of(path, int(row[1]) - 1)}", reason)


_TEXT_REMEDY = "save it as UTF-8, with one header and as many cells in each row."


def _read_csv(path: Path, delimiter: str, text: tuple[str, ...]) -> Any:
    """The table; one with time zones is read anew with texts for them, lest offsets be lost."""
    csv, arrow = importlib.import_module("pyarrow.csv"), importlib.import_module("pyarrow")

    def read(text: tuple[str, ...], threads: bool = True) -> Any:
        return csv.read_csv(
            path,
            read_options=csv.ReadOptions(use_threads=threads),
            parse_options=csv.ParseOptions(delimiter=delimiter),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(text, arrow.string()), strings_can_be_null=True
            ),
        )

    try:
        table = read(text)
    except arrow.ArrowInvalid:
        table = read(text, threads=False)  # raises once more, with the number of the row
    zoned = tuple(field.name for field in table.schema if getattr(field.type, "tz", None))
    return read((*text, *zoned)) if zoned else table
