"""Covariates that are known of steps after a panel's ends."""

import numpy as np
from numpy.typing import NDArray

from recurra.data.series.covariates import Floats, encode_all
from recurra.data.series.grid import Stamps
from recurra.data.series.panel import Panel
from recurra.data.tables.observations import series_of
from recurra.data.tables.table import Codes, Source, Table, open_table
from recurra.data.tables.timestamps import read_stamps, show
from recurra.errors import DataError

__all__ = ["future_of", "known_after", "refuse_lacking"]

Mask = NDArray[np.bool_]


def future_of(panel: Panel, source: Source, horizon: int) -> Floats:
    """The covariates known in advance: (N, horizon, F), encoded, of the steps after each series.

    source: a table as `read_panel` takes it, with these columns; it needs no target, and may have
    more rows. Raises DataError, naming series and stamps, where a step has no row.
    """
    encodings = panel.schema.future
    if not encodings:
        return np.zeros((len(panel), horizon, 0), dtype=np.float32)
    table = _opened(panel, source)
    rows = _rows_ahead(panel, table, panel.last, horizon)
    refuse_lacking(panel, table.name, rows < 0, panel.frequency.after(panel.last, horizon))
    return encode_all(table, encodings, rows.ravel()).reshape(len(panel), horizon, -1)


def known_after(panel: Panel, source: Source, last: Stamps) -> tuple[Floats, Mask]:
    """The covariates (N, M, F) of the steps after some stamps (N,), as far as a table reaches, and
    which of them (N, M) it has.

    source: as for `future_of`.
    """
    table = _opened(panel, source)
    rows = _rows_ahead(panel, table, last, None)
    there = rows >= 0
    encodings = panel.schema.future
    found = np.zeros((*rows.shape, sum(e.width for e in encodings)), np.float32)
    found[there] = encode_all(table, encodings, rows[there])
    return found, there


def _opened(panel: Panel, source: Source) -> Table:
    columns = panel.schema.columns
    long = columns.layout == "long"
    called = "the table of future covariates"
    table = open_table(source, text=(columns.id,) if long else (), called=called)
    own = {columns.id: "id", columns.time: "time"} if long else {columns.time: "time"}
    own = {name: role for name, role in own.items() if name}
    table.require(own | dict.fromkeys(columns.future, "future"))
    return table


def _rows_ahead(panel: Panel, table: Table, last: Stamps, steps: int | None) -> Codes:
    """The row (N, steps) of the table for each step after `last` (N,), -1 where it has none; as
    many steps as it has, left out.
    """
    time = panel.schema.columns.time
    # without a column of stamps, rows continue where the panel ends
    counted = last.max(initial=0) + np.arange(1, len(table) + 1) if not time else None
    stamps = read_stamps(table, time) if counted is None else counted
    if last.dtype.kind != stamps.dtype.kind:
        kinds = (
            ("dates", "whole numbers") if stamps.dtype.kind != "M" else ("whole numbers", "dates")
        )
        raise DataError(f"{table.name}: the panel's stamps are {kinds[0]}, and these {kinds[1]}.")
    if panel.schema.columns.layout == "long":
        return _rows_of_series(panel, table, stamps, last, steps)
    if steps is None:
        first = np.full(len(stamps), panel.frequency.shift(last, 1).min(), last.dtype)
        steps = int(panel.frequency.positions(stamps, first).max()) + 1
    return _rows_of_stamps(table, stamps, panel.frequency.after(last, steps))


def _rows_of_series(
    panel: Panel, table: Table, stamps: Stamps, last: Stamps, steps: int | None
) -> Codes:
    ids, codes = series_of(table, panel.schema.columns.id)
    place = {series: n for n, series in enumerate(panel.ids)}
    series = np.array([place.get(i, -1) for i in ids])[codes]
    known = np.flatnonzero(series >= 0)
    after = panel.frequency.positions(stamps[known], panel.frequency.shift(last, 1)[series[known]])
    steps = int(after.max(initial=-1)) + 1 if steps is None else steps
    ahead = (after >= 0) & (after < steps)
    known, after = known[ahead], after[ahead]
    slots = series[known] * steps + after
    _refuse_twice(table, slots, known, stamps)
    rows = np.full(len(panel) * steps, -1)
    rows[slots] = known
    return rows.reshape(len(panel), steps)


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


def refuse_lacking(panel: Panel, name: str, lacking: Mask, wanted: Stamps) -> None:
    """DataError where steps (N, H) lack covariates known ahead, naming series and stamps (N, H)."""
    if lacking.any():
        n, step = (int(i) for i in np.argwhere(lacking)[0])
        count, series = int(lacking.sum()), int(lacking.any(axis=1).sum())
        more = f" ({count:,} steps of {series:,} series in all)" if count > 1 else ""
        names = ", ".join(encoding.name for encoding in panel.schema.future)
        if lacking.all() and series == len(panel):
            more += ", nor has any other"
        first, last = show(wanted[n, 0]), show(wanted[n, -1])
        steps = f"each step from {first} to {last}" if wanted.shape[1] > 1 else "this step"
        raise DataError(
            f"{name}: series {panel.ids[n]!r} has no row for {show(wanted[n, step])}{more}; "
            f"{names} must be given for {steps}."
        )
