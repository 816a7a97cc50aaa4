"""Covariates that are known of steps after a panel's ends."""

import numpy as np

from weft.data.columns import Columns
from weft.data.covariates import Floats, encode_all
from weft.data.grids import Stamps
from weft.data.observations import series_of
from weft.data.series import Panel
from weft.data.stamps import read_stamps, show
from weft.data.table import Codes, Source, Table, open_table
from weft.errors import DataError

__all__ = ["future_of"]


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
