"""Covariates of a panel: along time, once a series, and of the steps after its end."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recurra.data.series.align import Alignment
from recurra.data.series.encoding import Encoding, Features, encode_all, fit_encodings
from recurra.data.series.grid import Stamps
from recurra.data.series.panel import Panel, Schema
from recurra.data.tables.columns import TableColumns, read_stamps, show_stamp
from recurra.data.tables.observations import Observations, series_of
from recurra.data.tables.table import DataTable, Ints, TableSource, open_table
from recurra.errors import DataError

__all__ = ["CovariateTables", "future_after", "future_of", "refuse_missing_steps"]

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False, kw_only=True)
class CovariateTables:
    """The tables with a panel's covariates, and the places of their rows in the panel.

    `table` has those along time, and static ones unless there is a `static_table`.
    """

    columns: TableColumns
    observations: Observations
    alignment: Alignment
    table: DataTable | None
    static_table: DataTable | None

    def fit_schema(self, ends: Ints | None = None) -> Schema:
        """The encodings of all covariates, from the first ends[n] rows of each series n, or all."""
        columns, table = self.columns, self.table
        static_table, static_rows = self._static_rows()
        rows = None
        if ends is not None:
            sorted_rows = self.observations.rows[self.alignment.order]
            rows = np.unique(sorted_rows[self._before(ends)])
            static_rows = static_rows[ends > 0]
        return Schema(
            columns=columns,
            frequency=self.alignment.frequency.name,
            past=() if table is None else fit_encodings(table, columns.past, rows),
            future=() if table is None else fit_encodings(table, columns.future, rows),
            static=()
            if static_table is None
            else fit_encodings(static_table, columns.static, static_rows),
        )

    def along_time(self, encodings: tuple[Encoding, ...], ends: Ints | None = None) -> Features:
        """The columns (M, width) of covariates on the panel's grid, missing in its gaps.

        With `ends` they are missing after the first ends[n] rows of each series n as well.
        """
        absent = np.concatenate([np.zeros(0, dtype=np.float32), *(e.absent for e in encodings)])
        columns = np.empty((self.alignment.offsets[-1], len(absent)), dtype=np.float32)
        if self.table is None or not encodings:
            return columns
        columns[:] = absent
        rows, slots = self.observations.rows[self.alignment.order], self.alignment.slots
        if ends is None:
            columns[slots] = encode_all(self.table, encodings)[rows]
        else:
            before = self._before(ends)
            columns[slots[before]] = encode_all(self.table, encodings, rows[before])
        return columns

    def static(self, schema: Schema, ends: Ints | None = None) -> Features:
        """The columns (N, width) of static covariates; missing where ends (N,) are 0."""
        table, rows = self._static_rows()
        if table is None or not schema.static:
            return np.zeros((len(self.observations.ids), 0), dtype=np.float32)
        chosen = np.ones(len(rows), bool) if ends is None else ends > 0
        if self.static_table is None:
            indices = np.flatnonzero(chosen[self.observations.codes])
            _refuse_changing(table, self.observations, schema, rows, indices)
        columns = np.tile(np.concatenate([e.absent for e in schema.static]), (len(rows), 1))
        columns[chosen] = encode_all(table, schema.static, rows[chosen])
        return columns

    def _before(self, ends: Ints) -> Ints:
        """Indices of the sorted observations in the first ends[n] rows of their series n."""
        codes = self.observations.codes[self.alignment.order]
        return np.flatnonzero(self.alignment.slots - self.alignment.offsets[codes] < ends[codes])

    def _static_rows(self) -> tuple[DataTable | None, Ints]:
        """The table that holds the static covariates, and its row for each series."""
        if self.static_table is not None:
            return self.static_table, self._rows_of_ids(self.static_table)
        heads = self.alignment.order[self.alignment.heads]
        return self.table, self.observations.rows[heads]

    def _rows_of_ids(self, table: DataTable) -> Ints:
        ids, codes = series_of(table, self.columns.id)
        if len(ids) < len(codes):
            double = int(np.flatnonzero(np.bincount(codes) > 1)[0])
            first, second = np.flatnonzero(codes == double)[:2]
            raise DataError(
                f"{table.name}: {table.row(first)} and {table.row(second)} are both series "
                f"{ids[double]!r}; a table of static covariates has one row a series."
            )
        rows, wanted = {series: row for row, series in enumerate(ids)}, self.observations.ids
        lacking = [series for series in wanted if series not in rows]
        if lacking:
            more = f" (one of {len(lacking):,})" if len(lacking) > 1 else ""
            raise DataError(
                f"{table.name}: series {lacking[0]!r} of {self.observations.name} is not in it"
                f"{more}; it has {ids[0]!r}, ...; give a row for every series."
            )
        return np.array([rows[series] for series in wanted])


def _refuse_changing(
    table: DataTable, observations: Observations, schema: Schema, heads: Ints, chosen: Ints
) -> None:
    """DataError where one of the chosen observations has another value than its series' head."""
    rows, heads = observations.rows[chosen], heads[observations.codes[chosen]]
    for encoding in schema.static:
        values = np.empty((len(table), encoding.width), np.float32)
        values[rows] = encode_all(table, (encoding,), rows)
        changed = np.flatnonzero((values[rows] != values[heads]).any(axis=1))
        if len(changed):
            index = int(chosen[changed[0]])
            raise DataError(
                f"{observations.where(index)}: static covariate {encoding.name!r} changes within "
                f"the series at {show_stamp(observations.stamps[index])}; correct it, or name it "
                "in past or future."
            )


# --- Of the steps after a panel's end


def future_of(panel: Panel, source: TableSource, horizon: int) -> Features:
    """The future covariates (N, horizon, F), encoded, of the steps after each series.

    source: a table as `read_panel` takes it, with these columns; it needs no target, and may have
    more rows. Raises DataError, naming series and stamps, where a step has no row.
    """
    encodings = panel.schema.future
    if not encodings:
        return np.zeros((len(panel), horizon, 0), dtype=np.float32)
    table = _open_future(panel, source)
    rows = _rows_after(panel, table, panel.last, horizon)
    refuse_missing_steps(panel, table.name, rows < 0, panel.frequency.after(panel.last, horizon))
    return encode_all(table, encodings, rows.ravel()).reshape(len(panel), horizon, -1)


def future_after(panel: Panel, source: TableSource, last: Stamps) -> tuple[Features, Mask]:
    """The future covariates (N, M, F) of the steps after some stamps (N,), as far as the table
    reaches, and a mask (N, M) of the steps that it has.

    source: as for `future_of`.
    """
    table = _open_future(panel, source)
    rows = _rows_after(panel, table, last, None)
    present = rows >= 0
    encodings = panel.schema.future
    features = np.zeros((*rows.shape, sum(e.width for e in encodings)), np.float32)
    features[present] = encode_all(table, encodings, rows[present])
    return features, present


def _open_future(panel: Panel, source: TableSource) -> DataTable:
    columns = panel.schema.columns
    long = columns.layout == "long"
    called = "the table of future covariates"
    table = open_table(source, text=(columns.id,) if long else (), called=called)
    if long and len(panel) == 1 and columns.id not in table.columns:
        table = table.with_constant(columns.id, panel.ids[0])
    own = {columns.id: "id", columns.time: "time"} if long else {columns.time: "time"}
    own = {name: role for name, role in own.items() if name}
    table.require(own | dict.fromkeys(columns.future, "future"))
    return table


def _rows_after(panel: Panel, table: DataTable, last: Stamps, steps: int | None) -> Ints:
    """The row (N, steps) of the table for each step after `last` (N,), -1 where it has none.

    Without `steps` there are as many as the table has.
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
    panel: Panel, table: DataTable, stamps: Stamps, last: Stamps, steps: int | None
) -> Ints:
    ids, codes = series_of(table, panel.schema.columns.id)
    numbers = {series: n for n, series in enumerate(panel.ids)}
    series = np.array([numbers.get(i, -1) for i in ids])[codes]
    rows = np.flatnonzero(series >= 0)
    after = panel.frequency.positions(stamps[rows], panel.frequency.shift(last, 1)[series[rows]])
    steps = int(after.max(initial=-1)) + 1 if steps is None else steps
    inside = (after >= 0) & (after < steps)
    rows, after = rows[inside], after[inside]
    slots = series[rows] * steps + after
    _refuse_doubles(table, slots, rows, stamps)
    row_of_slot = np.full(len(panel) * steps, -1)
    row_of_slot[slots] = rows
    return row_of_slot.reshape(len(panel), steps)


def _rows_of_stamps(table: DataTable, stamps: Stamps, wanted: Stamps) -> Ints:
    _refuse_doubles(table, stamps.view(np.int64), np.arange(len(stamps)), stamps)
    order = np.argsort(stamps)
    rows = order[np.minimum(np.searchsorted(stamps[order], wanted), len(stamps) - 1)]
    return np.where(stamps[rows] == wanted, rows, -1)


def _refuse_doubles(table: DataTable, keys: Ints, rows: Ints, stamps: Stamps) -> None:
    order = np.argsort(keys, kind="stable")
    doubles = np.flatnonzero(np.diff(keys[order]) == 0)
    if len(doubles):
        first, second = rows[order[doubles[0]]], rows[order[doubles[0] + 1]]
        raise DataError(
            f"{table.name}: {table.row(first)} and {table.row(second)} are of one series and the "
            f"stamp {show_stamp(stamps[first])}; keep one."
        )


def refuse_missing_steps(panel: Panel, name: str, missing: Mask, wanted: Stamps) -> None:
    """DataError where steps (N, H) miss future covariates, naming series and stamps (N, H)."""
    if missing.any():
        n, step = (int(i) for i in np.argwhere(missing)[0])
        count, series = int(missing.sum()), int(missing.any(axis=1).sum())
        more = f" ({count:,} steps of {series:,} series in all)" if count > 1 else ""
        names = ", ".join(encoding.name for encoding in panel.schema.future)
        if missing.all() and series == len(panel):
            more += ", nor has any other"
        first, last = show_stamp(wanted[n, 0]), show_stamp(wanted[n, -1])
        steps = f"each step from {first} to {last}" if wanted.shape[1] > 1 else "this step"
        raise DataError(
            f"{name}: series {panel.ids[n]!r} has no row for {show_stamp(wanted[n, step])}{more}; "
            f"{names} must be given for {steps}."
        )
