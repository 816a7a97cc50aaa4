"""Where a panel's covariates stand: along time, or once a series."""

import numpy as np

from recurra.data.series.align import Arranged
from recurra.data.series.covariates import Encoding, Floats, Schema, encode_all, fit_encodings
from recurra.data.tables.columns import Columns
from recurra.data.tables.observations import Observations, series_of
from recurra.data.tables.table import Codes, Table
from recurra.data.tables.timestamps import show
from recurra.errors import DataError

__all__ = ["along_time", "fit_schema", "static_of"]


def fit_schema(
    columns: Columns,
    found: Observations,
    placed: Arranged,
    table: Table | None,
    side: Table | None,
    ends: Codes | None = None,
) -> Schema:
    """The encodings of all covariates, learnt from the tables that hold them: from the first
    ends[n] rows of each series n, or from all.
    """
    source, rows = _static_source(columns, found, placed, table, side)
    along = None
    if ends is not None:
        along = np.unique(found.rows[placed.order][_before(found, placed, ends)])
        rows = rows[ends > 0]
    return Schema(
        columns=columns,
        frequency=placed.frequency.name,
        past=() if table is None else fit_encodings(table, columns.past, along),
        future=() if table is None else fit_encodings(table, columns.future, along),
        static=() if source is None else fit_encodings(source, columns.static, rows),
    )


def along_time(
    table: Table | None,
    found: Observations,
    placed: Arranged,
    encodings: tuple[Encoding, ...],
    ends: Codes | None = None,
) -> Floats:
    """The columns (M, width) of covariates on the panel's grid; in its gaps they are missing, and
    after the first ends[n] rows of each series n.
    """
    absent = np.concatenate([np.zeros(0, dtype=np.float32), *(e.absent for e in encodings)])
    columns = np.empty((placed.offsets[-1], len(absent)), dtype=np.float32)
    if table is None or not encodings:
        return columns
    columns[:] = absent
    rows = found.rows[placed.order]
    if ends is None:
        columns[placed.slots] = encode_all(table, encodings)[rows]
    else:
        before = _before(found, placed, ends)
        columns[placed.slots[before]] = encode_all(table, encodings, rows[before])
    return columns


def _before(found: Observations, placed: Arranged, ends: Codes) -> Codes:
    """Which of the sorted observations are in the first ends[n] rows of their series n."""
    codes = found.codes[placed.order]
    return np.flatnonzero(placed.slots - placed.offsets[codes] < ends[codes])


def static_of(
    table: Table | None,
    found: Observations,
    placed: Arranged,
    side: Table | None,
    schema: Schema,
    ends: Codes | None = None,
) -> Floats:
    """The columns (N, width) of static covariates; missing where ends (N,) are 0."""
    source, rows = _static_source(schema.columns, found, placed, table, side)
    if source is None or not schema.static:
        return np.zeros((len(found.ids), 0), dtype=np.float32)
    wanted = np.ones(len(rows), bool) if ends is None else ends > 0
    if side is None:
        _refuse_changing(source, found, schema, rows, np.flatnonzero(wanted[found.codes]))
    columns = np.tile(np.concatenate([e.absent for e in schema.static]), (len(rows), 1))
    columns[wanted] = encode_all(source, schema.static, rows[wanted])
    return columns


def _static_source(
    columns: Columns,
    found: Observations,
    placed: Arranged,
    table: Table | None,
    side: Table | None,
) -> tuple[Table | None, Codes]:
    """The table that holds the static covariates, and its row for each series."""
    if side is not None:
        return side, _rows_of_ids(side, columns.id, found)
    return table, found.rows[placed.order[placed.heads]]


def _rows_of_ids(side: Table, name: str, found: Observations) -> Codes:
    ids, codes = series_of(side, name)
    if len(ids) < len(codes):
        twice = int(np.flatnonzero(np.bincount(codes) > 1)[0])
        first, second = np.flatnonzero(codes == twice)[:2]
        raise DataError(
            f"{side.name}: {side.row(first)} and {side.row(second)} are both series "
            f"{ids[twice]!r}; a table of static covariates has one row a series."
        )
    place = {series: row for row, series in enumerate(ids)}
    lacking = [series for series in found.ids if series not in place]
    if lacking:
        more = f" (one of {len(lacking):,})" if len(lacking) > 1 else ""
        raise DataError(
            f"{side.name}: series {lacking[0]!r} of {found.name} is not in it{more}; it has "
            f"{ids[0]!r}, ...; give a row for every series."
        )
    return np.array([place[series] for series in found.ids])


def _refuse_changing(
    table: Table, found: Observations, schema: Schema, heads: Codes, chosen: Codes
) -> None:
    """DataError where one of the chosen observations has another value than its series' head."""
    rows, heads = found.rows[chosen], heads[found.codes[chosen]]
    for encoding in schema.static:
        values = np.empty((len(table), encoding.width), np.float32)
        values[rows] = encode_all(table, (encoding,), rows)
        changed = np.flatnonzero((values[rows] != values[heads]).any(axis=1))
        if len(changed):
            index = int(chosen[changed[0]])
            raise DataError(
                f"{found.where(index)}: static covariate {encoding.name!r} changes within the "
                f"series at {show(found.stamps[index])}; correct it, or name it in past or future."
            )
