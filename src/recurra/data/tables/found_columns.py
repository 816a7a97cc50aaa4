"""Columns of a long table that nobody named: found where there is no doubt."""

import dataclasses
import logging
import re
from typing import Any

import numpy as np

from recurra.data.tables.columns import TableColumns, read_stamps
from recurra.data.tables.table import DataTable

__all__ = ["find_columns"]

_LOG = logging.getLogger("recurra")
_DATE = re.compile(r"\s*(\d{4}-\d{1,2}(-\d{1,2})?|\d{1,2}[./-]\d{1,2}[./-]\d{2,4})\b")
_ID = re.compile(
    r".*(id|key|code|nr|no|number|series|store|shop|item|sku|sensor|product)", re.IGNORECASE
)
_LOOKED_AT = 20
_REMEDY = "Name the column to forecast (target), or take layout = 'wide' where each is a series."


def find_columns(
    table: DataTable, columns: TableColumns, earlier: TableColumns | None = None
) -> tuple[DataTable, TableColumns]:
    """The table and its roles, where names that were left at their defaults may be absent.

    The time is then the only column of dates, the id the only column that tells rows of one stamp
    apart, and the target the only other column of numbers. A table whose stamps are all different,
    without a column of ids, is one series, named after its target. `earlier` are the roles of the
    training table, whose names are taken first. Roles that stay in doubt are left as they are.
    """
    if columns.layout != "long":
        return table, columns
    if earlier is not None:
        columns = _names_of(table, columns, earlier)
    found = columns
    if _absent(table, columns, "time"):
        found = _take(found, "time", [n for n in _free(table, found) if _has_dates(table, n)])
    if found.time not in table.columns:
        if found.time != _default("time"):
            table.require({found.time: "time"})
        return table, columns
    one_series = False
    if _absent(table, columns, "id"):
        one_series = _stamps_differ(table, found)
        ids = [] if one_series else [n for n in _free(table, found) if _is_id(table, found, n)]
        found = _take(found, "id", ids)
        if not one_series and not ids:
            return table, columns
    if _absent(table, columns, "target"):
        free = _free(table, found)
        numeric = [name for name in free if _has_numbers(table, name)]
        found = _take(found, "target", numeric or free)
    if found.target in table.columns and (found != columns or one_series):
        series = "one series" if one_series else f"id = {found.id!r}"
        _LOG.info(
            "%s: %s, time = %r, target = %r, as found.",
            *(table.name, series, found.time, found.target),
        )
    if one_series:
        table.require({found.target: "target"}, _REMEDY)
    return (table.with_constant(found.id, found.target) if one_series else table), found


def _names_of(table: DataTable, columns: TableColumns, earlier: TableColumns) -> TableColumns:
    """The roles with the earlier table's names for those at their defaults."""
    changed = {
        role: getattr(earlier, role)
        for role in ("id", "time", "target")
        if _absent(table, columns, role) and getattr(earlier, role) in table.columns
    }
    return dataclasses.replace(columns, **changed)


def _absent(table: DataTable, columns: TableColumns, role: str) -> bool:
    """True for a role that was left at its default, and whose column is not there."""
    name = getattr(columns, role)
    return name not in table.columns and name == _default(role)


def _default(role: str) -> Any:
    return TableColumns.__dataclass_fields__[role].default


def _free(table: DataTable, columns: TableColumns) -> list[Any]:
    return [name for name in table.columns if isinstance(name, str) and name not in columns.roles]


def _take(columns: TableColumns, role: str, names: list[Any]) -> TableColumns:
    return dataclasses.replace(columns, **{role: names[0]}) if len(names) == 1 else columns


def _has_dates(table: DataTable, name: Any) -> bool:
    if str(table.column(name).type).startswith(("timestamp", "date")):
        return True
    if not table.is_text(name):
        return False
    texts = [text for text in table.codes(name)[0][:_LOOKED_AT] if text is not None]
    return bool(texts) and all(isinstance(t, str) and _DATE.match(t) for t in texts)


def _has_numbers(table: DataTable, name: Any) -> bool:
    return str(table.column(name).type).startswith(("int", "uint", "double", "float", "decimal"))


def _stamps_differ(table: DataTable, columns: TableColumns) -> bool:
    stamps = read_stamps(table, columns.time)
    return len(np.unique(stamps)) == len(stamps)


def _is_id(table: DataTable, columns: TableColumns, name: Any) -> bool:
    """True where no two rows share stamp and value: a text, or a whole number called an id."""
    whole = str(table.column(name).type).startswith(("int", "uint"))
    if not ((whole and _ID.fullmatch(name)) or table.is_text(name)):
        return False
    codes, stamps = table.codes(name)[1], read_stamps(table, columns.time)
    if (codes < 0).any() or len(np.unique(codes)) * 2 > len(codes):
        return False
    pairs = np.stack([codes, stamps.astype(np.int64)], axis=1)
    return len(np.unique(pairs, axis=0)) == len(pairs)
