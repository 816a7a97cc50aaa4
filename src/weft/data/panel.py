"""From a table to a panel: series on a grid of time, and covariates as numbers."""

import dataclasses

import numpy as np

from weft.data.arrange import arrange
from weft.data.columns import Columns
from weft.data.covariates import Floats, Schema, encode_all
from weft.data.features import along_time, fit_schema, static_of
from weft.data.frequency import Frequency, parse_frequency
from weft.data.grids import Stamps
from weft.data.observations import observe, series_of
from weft.data.rows import observe_rows
from weft.data.series import Objects, Panel
from weft.data.stamps import read_stamps, show
from weft.data.table import Codes, Source, Table, open_table
from weft.errors import DataError

__all__ = ["Columns", "Panel", "Schema", "future_of", "read_panel"]


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
    side = None if static is None else _side_table(static, columns)
    columns = _with_static(columns, side, schema)
    table = None
    if columns.layout == "rows":
        found, kind = observe_rows(source, columns)
    else:
        table = _open(source, columns, side)
        found, kind = observe(table, columns), table.kind
    placed = arrange(found, _frequency(found.name, columns, schema))
    if schema is None:
        schema = fit_schema(columns, found, placed, table, side)
    schema = dataclasses.replace(schema, columns=columns)
    y = np.full(placed.offsets[-1], np.nan)
    y[placed.slots] = found.y[placed.order]
    return Panel(
        ids=_objects(found.ids),
        offsets=placed.offsets,
        starts=placed.starts,
        y=y,
        past=along_time(table, found, placed, schema.past),
        future=along_time(table, found, placed, schema.future),
        static=static_of(table, found, placed, side, schema),
        frequency=placed.frequency,
        schema=schema,
        times_given="polars" if kind == "polars" else "pandas",
    )


def _objects(values: list[object]) -> Objects:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


_HINTS = {
    "long": "Name the columns (id=, time=, target=), or take layout='wide' where each column is a "
    "series, a single one too.",
    "wide": "Name the column of stamps (time=), or give time='' where there is none.",
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


def future_of(panel: Panel, source: Source, horizon: int) -> Floats:
    """The covariates known in advance: (N, horizon, F), encoded, of the steps after each series.

    source: a table as `read_panel` takes it, with these columns; it needs no target, and may have
    more rows. Raises DataError, naming series and stamps, where a step has no row.
    """
    columns, encodings = panel.schema.columns, panel.schema.future
    if not encodings:
        return np.zeros((len(panel), horizon, 0), dtype=np.float32)
    long = columns.layout == "long"
    called = "the table of future covariates"
    table = open_table(source, text=(columns.id,) if long else (), called=called)
    own = {columns.id: "id", columns.time: "time"} if long else {columns.time: "time"}
    own = {name: role for name, role in own.items() if name}
    table.require(own | {encoding.name: "future" for encoding in encodings})
    rows = _rows_ahead(panel, table, horizon, columns)
    return encode_all(table, encodings, rows.ravel()).reshape(len(panel), horizon, -1)


def _rows_ahead(panel: Panel, table: Table, horizon: int, columns: Columns) -> Codes:
    """The row (N, horizon) of the table for each step after each series."""
    wanted = panel.frequency.after(panel.last, horizon)
    # without a column of stamps, rows continue where the panel ends
    counted = wanted.max(initial=0) - horizon + np.arange(1, len(table) + 1)
    stamps = read_stamps(table, columns.time) if columns.time else counted
    if wanted.dtype.kind != stamps.dtype.kind:
        kinds = (
            ("dates", "whole numbers") if stamps.dtype.kind != "M" else ("whole numbers", "dates")
        )
        raise DataError(f"{table.name}: the panel's stamps are {kinds[0]}, and these {kinds[1]}.")
    if columns.layout == "long":
        rows = _rows_of_series(panel, table, stamps, wanted)
    else:
        rows = _rows_of_stamps(table, stamps, wanted)
    _refuse_lacking(panel, table, rows, wanted)
    return rows


def _rows_of_series(panel: Panel, table: Table, stamps: Stamps, wanted: Stamps) -> Codes:
    ids, codes = series_of(table, panel.schema.columns.id)
    place = {series: n for n, series in enumerate(panel.ids)}
    series = np.array([place.get(i, -1) for i in ids])[codes]
    known = np.flatnonzero(series >= 0)
    steps = panel.frequency.positions(stamps[known], wanted[series[known], 0])
    ahead = (steps >= 0) & (steps < wanted.shape[1])
    known, steps = known[ahead], steps[ahead]
    slots = series[known] * wanted.shape[1] + steps
    _refuse_twice(table, slots, known, stamps)
    rows = np.full(wanted.size, -1)
    rows[slots] = known
    return rows.reshape(wanted.shape)


def _rows_of_stamps(table: Table, stamps: Stamps, wanted: Stamps) -> Codes:
    _refuse_twice(table, stamps.view(np.int64), np.arange(len(stamps)), stamps)
    order = np.argsort(stamps)
    place = order[np.minimum(np.searchsorted(stamps[order], wanted), len(stamps) - 1)]
    return np.where(stamps[place] == wanted, place, -1)


def _refuse_twice(table: Table, keys: Codes, rows: Codes, stamps: Stamps) -> None:
    order = np.argsort(keys, kind="stable")
    twice = np.flatnonzero(np.diff(keys[order]) == 0)
    if len(twice):
        first, second = rows[order[twice[0]]], rows[order[twice[0] + 1]]
        raise DataError(
            f"{table.name}: {table.row(first)} and {table.row(second)} are of one series and the "
            f"stamp {show(stamps[first])}; keep one."
        )


def _refuse_lacking(panel: Panel, table: Table, rows: Codes, wanted: Stamps) -> None:
    lacking = rows < 0
    if lacking.any():
        n, step = (int(i) for i in np.argwhere(lacking)[0])
        count, series = int(lacking.sum()), int(lacking.any(axis=1).sum())
        more = f" ({count:,} steps of {series:,} series in all)" if count > 1 else ""
        names = ", ".join(encoding.name for encoding in panel.schema.future)
        if lacking.all() and series == len(panel):
            more += ", nor has any other"
        raise DataError(
            f"{table.name}: series {panel.ids[n]!r} has no row for {show(wanted[n, step])}{more}; "
            f"{names} must be given for each step from {show(wanted[n, 0])} to "
            f"{show(wanted[n, -1])}."
        )
