"""From a table to a panel: series on a grid of time, and covariates as numbers."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from recurra.data.series.align import Arranged, arrange
from recurra.data.series.covariates import Schema
from recurra.data.series.features import along_time, fit_schema, static_of
from recurra.data.series.frequency import Frequency, parse_frequency
from recurra.data.series.future import future_of
from recurra.data.series.grid import Stamps
from recurra.data.series.panel import Frame, Objects, Panel
from recurra.data.tables.columns import Columns
from recurra.data.tables.observations import Observations, observe
from recurra.data.tables.row_layout import observe_rows
from recurra.data.tables.table import Codes, Source, Table, open_table
from recurra.errors import DataError

__all__ = ["Columns", "Panel", "Reading", "Schema", "future_of", "open_panel", "read_panel"]


def read_panel(
    source: Source,
    columns: Columns,
    *,
    schema: Schema | None = None,
    static: Source | None = None,
) -> Panel:
    """The series of a table: a path (.csv, .tsv, .csv.gz, .parquet), or a pandas or polars frame.

    Args:
        columns: what the table's columns are.
        schema: that of an earlier panel, whose frequency and encodings the table must fit.
        static: a second table, of the series' ids and static covariates: those that `columns`
            names, or all.

    Rows may be in any order; gaps between stamps are filled with missing values. Raises DataError,
    naming the file, the row, the column and the series, for what can't be read or doesn't fit, and
    MissingExtra where a package that reads tables is absent.

    >>> import pandas
    >>> table = pandas.DataFrame({"ds": ["2024-01-01", "2024-01-02", "2024-01-04"], "a": [1, 2, 4]})
    >>> read_panel(table, Columns(layout="wide")).values(0)
    array([ 1.,  2., nan,  4.])
    """
    reading = open_panel(source, columns, schema=schema, static=static)
    return reading.panel(schema or reading.schema())


@dataclass(frozen=True, eq=False, kw_only=True)
class Reading:
    """A table whose series have their places in time, and whose covariates are not yet numbers."""

    columns: Columns
    found: Observations
    placed: Arranged
    table: Table | None
    side: Table | None
    kind: Frame

    @property
    def lengths(self) -> Codes:
        """(N,) the rows of each series, filled gaps included."""
        return np.diff(self.placed.offsets)

    def last_of(self, series: Codes, known: Codes) -> Stamps:
        """The last stamps of the first `known` rows of some series."""
        return self.placed.frequency.shift(self.placed.starts[series], known - 1)

    def known_at(self, stamp: Stamps) -> Codes:
        """(N,) how many rows of each series are not later than a stamp."""
        series = np.repeat(np.arange(len(self.lengths)), self.lengths)
        rows = np.arange(len(series)) - self.placed.offsets[series]
        stamps = self.placed.frequency.shift(self.placed.starts[series], rows)
        return np.bincount(series[stamps <= stamp], minlength=len(self.lengths))

    def schema(self, ends: Codes | None = None) -> Schema:
        """How covariates become numbers, learnt from the first ends[n] rows of each series n, or
        from all.
        """
        return fit_schema(self.columns, self.found, self.placed, self.table, self.side, ends)

    def panel(self, schema: Schema, ends: Codes | None = None, ahead: int = 0) -> Panel:
        """The series, with covariates as the schema encodes them.

        Where `ends` (N,) are given, past covariates are those of the first ends[n] rows of each
        series, future ones of `ahead` more, and static ones of series that have any such row: the
        rest is as if missing, whatever it is.
        """
        schema = dataclasses.replace(schema, columns=self.columns)
        found, placed = self.found, self.placed
        later = None if ends is None else ends + ahead
        y = np.full(placed.offsets[-1], np.nan)
        y[placed.slots] = found.y[placed.order]
        return Panel(
            ids=_objects(found.ids),
            offsets=placed.offsets,
            starts=placed.starts,
            y=y,
            past=along_time(self.table, found, placed, schema.past, ends),
            future=along_time(self.table, found, placed, schema.future, later),
            static=static_of(self.table, found, placed, self.side, schema, ends),
            frequency=placed.frequency,
            schema=schema,
            times_given=self.kind,
        )


def open_panel(
    source: Source,
    columns: Columns,
    *,
    schema: Schema | None = None,
    static: Source | None = None,
) -> Reading:
    """A table as `read_panel` takes it, before its covariates become numbers."""
    side = None if static is None else _side_table(static, columns)
    columns = _with_static(columns, side, schema)
    table = None
    if columns.layout == "rows":
        found, kind = observe_rows(source, columns)
    else:
        table = _open(source, columns, side)
        found, kind = observe(table, columns), table.kind
    return Reading(
        columns=columns,
        found=found,
        placed=arrange(found, _frequency(found.name, columns, schema)),
        table=table,
        side=side,
        kind="polars" if kind == "polars" else "pandas",
    )


def _objects(values: list[object]) -> Objects:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


_HINTS = {
    "long": "Name the columns (id, time and target), or take layout = 'wide' where each column is "
    "a series, a single one too.",
    "wide": "Name the column of stamps (time), or give time = '' where there is none.",
}


def _open(source: Source, columns: Columns, side: Table | None) -> Table:
    text = (columns.id,) if columns.layout == "long" else ()
    table = open_table(source, text=text)
    named = {c: role for c, role in columns.named.items() if role != "static" or side is None}
    table.require(named, _HINTS[columns.layout])
    return table


def _side_table(static: Source, columns: Columns) -> Table:
    side = open_table(static, text=(columns.id,), called="the table of static covariates")
    side.require({columns.id: "id"} | dict.fromkeys(columns.static, "static"))
    return side


def _with_static(columns: Columns, side: Table | None, schema: Schema | None) -> Columns:
    """The columns with the static ones that the schema or the second table adds."""
    names = columns.static
    if schema is not None:
        names = names or schema.columns.static
        _refuse_other(dataclasses.replace(columns, static=names), schema)
    elif side is not None:
        names = names or tuple(name for name in side.columns if name != columns.id)
    if names and side is None and columns.layout != "long":
        raise DataError(
            f"layout {columns.layout!r} has no place for static covariates ({', '.join(names)}); "
            "give them in a second table: static=."
        )
    return dataclasses.replace(columns, static=names)


def _refuse_other(columns: Columns, schema: Schema) -> None:
    """DataError where covariates are not those of the schema."""
    for kind in ("past", "future", "static"):
        new, old = getattr(columns, kind), getattr(schema.columns, kind)
        if set(new) != set(old):
            raise DataError(
                f"{kind} covariates are {', '.join(new) or 'none'}, and were "
                f"{', '.join(old) or 'none'} in training; give the same."
            )


def _frequency(name: str, columns: Columns, schema: Schema | None) -> Frequency | None:
    given = parse_frequency(columns.freq) if columns.freq else None
    if schema is None:
        return given
    trained = parse_frequency(schema.frequency)
    if given is not None and given != trained:
        raise DataError(
            f"{name}: freq={given.name!r} is given, and training had {trained.name!r}; leave freq "
            "out, or train anew."
        )
    return trained
