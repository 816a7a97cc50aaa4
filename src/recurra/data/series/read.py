"""Reading of panels: from a table to series on a grid of time, with covariates as numbers."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.data.series.align import Alignment, align
from recurra.data.series.covariates import CovariateTables
from recurra.data.series.frequency import Frequency, parse_frequency
from recurra.data.series.grid import Stamps
from recurra.data.series.panel import FrameKind, Panel, Schema, SeriesIds
from recurra.data.tables.columns import TableColumns
from recurra.data.tables.found_columns import find_columns
from recurra.data.tables.observations import Observations, observe, observe_rows
from recurra.data.tables.table import DataTable, Ints, TableSource, load_pandas, open_table
from recurra.errors import DataError

__all__ = ["UnencodedPanel", "open_panel", "read_panel"]


def read_panel(
    source: TableSource,
    columns: TableColumns,
    *,
    schema: Schema | None = None,
    static: TableSource | None = None,
) -> Panel:
    """The series of a table: a path (.csv, .tsv, .csv.gz, .parquet), a pandas or polars frame, or
    arrays: one series (T,), several (N, T), or a list of series of any lengths, at steps 1, 2, ...

    Args:
        columns: the roles of the table's columns.
        schema: that of an earlier panel, whose frequency and encodings the table must fit.
        static: a second table, of the series' ids and static covariates: those that `columns`
            names, or all.

    Rows may be in any order; gaps between stamps are filled with missing values. Raises DataError,
    naming the file, the row, the column and the series, for a table that can't be read or doesn't
    fit, and MissingExtra where a package that reads tables is absent.

    >>> import pandas
    >>> table = pandas.DataFrame({"ds": ["2024-01-01", "2024-01-02", "2024-01-04"], "a": [1, 2, 4]})
    >>> read_panel(table, TableColumns(layout="wide")).values(0)
    array([ 1.,  2., nan,  4.])
    """
    opened = open_panel(source, columns, schema=schema, static=static)
    return opened.encode(schema or opened.fit_schema())


@dataclass(frozen=True, eq=False, kw_only=True)
class UnencodedPanel:
    """A table whose series have their places in time, and whose covariates are not yet numbers."""

    columns: TableColumns
    observations: Observations
    alignment: Alignment
    covariates: CovariateTables
    frame_kind: FrameKind

    @property
    def lengths(self) -> Ints:
        """(N,) the rows of each series, filled gaps included."""
        return np.diff(self.alignment.offsets)

    def last_stamps(self, series: Ints, counts: Ints) -> Stamps:
        """The last stamps of the first `counts` rows of some series."""
        return self.alignment.frequency.shift(self.alignment.starts[series], counts - 1)

    def counts_until(self, stamp: Stamps) -> Ints:
        """(N,) the number of rows of each series that are not later than a stamp."""
        series = np.repeat(np.arange(len(self.lengths)), self.lengths)
        rows = np.arange(len(series)) - self.alignment.offsets[series]
        stamps = self.alignment.frequency.shift(self.alignment.starts[series], rows)
        return np.bincount(series[stamps <= stamp], minlength=len(self.lengths))

    def fit_schema(self, ends: Ints | None = None) -> Schema:
        """The encodings of covariates, from the first ends[n] rows of each series n, or all."""
        return self.covariates.fit_schema(ends)

    def encode(self, schema: Schema, ends: Ints | None = None, ahead: int = 0) -> Panel:
        """The series, with covariates as the schema encodes them.

        With `ends` (N,), past covariates are those of the first ends[n] rows of each series, future
        ones of `ahead` more, and static ones of series that have any such row: all others are as if
        missing, whatever the table has.
        """
        schema = dataclasses.replace(schema, columns=self.columns)
        future_ends = None if ends is None else ends + ahead
        y = np.full(self.alignment.offsets[-1], np.nan)
        y[self.alignment.slots] = self.observations.y[self.alignment.order]
        return Panel(
            ids=_as_objects(self.observations.ids),
            offsets=self.alignment.offsets,
            starts=self.alignment.starts,
            y=y,
            past=self.covariates.along_time(schema.past, ends),
            future=self.covariates.along_time(schema.future, future_ends),
            static=self.covariates.static(schema, ends),
            frequency=self.alignment.frequency,
            schema=schema,
            frame_kind=self.frame_kind,
        )


def open_panel(
    source: TableSource,
    columns: TableColumns,
    *,
    schema: Schema | None = None,
    static: TableSource | None = None,
) -> UnencodedPanel:
    """A table as `read_panel` takes it, before its covariates become numbers."""
    if _is_arrays(source):
        source = _frame_of_arrays(source, columns)
    static_table = None if static is None else _open_static(static, columns)
    columns = _with_static(columns, static_table, schema)
    table = None
    if columns.layout == "rows":
        observations, kind = observe_rows(source, columns)
    else:
        table, columns = _open(source, columns, static_table, schema)
        observations, kind = observe(table, columns), table.kind
    alignment = align(observations, _frequency(observations.name, columns, schema))
    return UnencodedPanel(
        columns=columns,
        observations=observations,
        alignment=alignment,
        covariates=CovariateTables(
            columns=columns,
            observations=observations,
            alignment=alignment,
            table=table,
            static_table=static_table,
        ),
        frame_kind="polars" if kind == "polars" else "pandas",
    )


def _is_arrays(source: TableSource) -> bool:
    if isinstance(source, (list, tuple)):
        return bool(source) and all(np.ndim(one) == 1 or np.isscalar(one) for one in source)
    return isinstance(source, np.ndarray)


def _frame_of_arrays(source: TableSource, columns: TableColumns) -> TableSource:
    """A table in long form: series 0, 1, ... at stamps 1, 2, ..."""
    if columns.layout != "long":
        raise DataError(f"layout = {columns.layout!r}: arrays have no columns; leave layout out.")
    rows = [source] if np.ndim(source[0]) == 0 else list(source)
    try:
        series = [np.asarray(row, dtype=np.float64) for row in rows]
    except (TypeError, ValueError) as error:
        raise DataError(
            f"An array is not of numbers: {error}; give numbers, NaN for gaps."
        ) from error
    if any(one.ndim != 1 for one in series):
        raise DataError(
            f"An array has {series[0].ndim + 1} axes; give (T,) for one series, (N, T) for several."
        )
    frame: TableSource = load_pandas("Reading series from arrays").DataFrame(
        {
            columns.id: np.repeat(np.arange(len(series)), [len(one) for one in series]),
            columns.time: np.concatenate([np.arange(1, len(one) + 1) for one in series]),
            columns.target: np.concatenate(series),
        }
    )
    return frame


def _as_objects(values: list[object]) -> SeriesIds:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


_REMEDIES = {
    "long": "Name the columns (id, time and target), or take layout = 'wide' where each column is "
    "a series, a single one too.",
    "wide": "Name the column of stamps (time), or give time = '' where there is none.",
}


def _open(
    source: TableSource,
    columns: TableColumns,
    static_table: DataTable | None,
    schema: Schema | None,
) -> tuple[DataTable, TableColumns]:
    source, earlier = _with_index(source, columns), schema.columns if schema else None
    table = open_table(source, text=(columns.id,) if columns.layout == "long" else ())
    named, (table, columns) = columns.id, find_columns(table, columns, earlier)
    if table.from_file and columns.id != named:  # read again: "007" is a text
        table = open_table(source, text=(columns.id,))
    own = static_table is None
    roles = {column: role for column, role in columns.roles.items() if own or role != "static"}
    table.require(roles, _REMEDIES[columns.layout])
    return table, columns


def _with_index(source: TableSource, columns: TableColumns) -> TableSource:
    """A frame or Series of pandas whose index has dates, with these as the column of time."""
    if type(source).__module__.partition(".")[0] != "pandas":
        return source
    index: Any = source.index
    if type(source).__name__ == "Series":
        source = source.to_frame(source.name if source.name is not None else columns.target)
    elif columns.time in source.columns or index.name in source.columns:
        return source
    if type(index).__name__ not in ("DatetimeIndex", "PeriodIndex"):
        return source
    stamps = index.to_timestamp() if type(index).__name__ == "PeriodIndex" else index
    return source.set_axis(stamps.rename(index.name or columns.time or "ds")).reset_index()


def _open_static(static: TableSource, columns: TableColumns) -> DataTable:
    table = open_table(static, text=(columns.id,), called="the table of static covariates")
    table.require({columns.id: "id"} | dict.fromkeys(columns.static, "static"))
    return table


def _with_static(
    columns: TableColumns, static_table: DataTable | None, schema: Schema | None
) -> TableColumns:
    """The columns with the static ones that the schema or the second table adds."""
    names = columns.static
    if schema is not None:
        names = names or schema.columns.static
        _refuse_other_covariates(dataclasses.replace(columns, static=names), schema)
    elif static_table is not None:
        names = names or tuple(name for name in static_table.columns if name != columns.id)
    if names and static_table is None and columns.layout != "long":
        raise DataError(
            f"layout {columns.layout!r} has no place for static covariates ({', '.join(names)}); "
            "give them in a second table: static=."
        )
    return dataclasses.replace(columns, static=names)


def _refuse_other_covariates(columns: TableColumns, schema: Schema) -> None:
    for kind in ("past", "future", "static"):
        new, old = getattr(columns, kind), getattr(schema.columns, kind)
        if set(new) != set(old):
            raise DataError(
                f"{kind} covariates are {', '.join(new) or 'none'}, and were "
                f"{', '.join(old) or 'none'} in training; give the same."
            )


def _frequency(name: str, columns: TableColumns, schema: Schema | None) -> Frequency | None:
    requested = parse_frequency(columns.freq) if columns.freq else None
    if schema is None:
        return requested
    trained = parse_frequency(schema.frequency)
    if requested is not None and requested != trained:
        raise DataError(
            f"{name}: freq={requested.name!r} is given, and training had {trained.name!r}; leave "
            "freq out, or train again."
        )
    return trained
