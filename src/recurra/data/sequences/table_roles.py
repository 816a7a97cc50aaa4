"""The columns of a table of series by role, and the names by which they are recognised."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recurra.data.sequences.step_labels import LabelScope
from recurra.data.transcripts.manifest_rows import find_column

__all__ = [
    "ID_COLUMNS",
    "LABEL_COLUMNS",
    "TIME_COLUMNS",
    "TableRoles",
    "id_column",
    "label_columns",
]

ID_COLUMNS = (
    *("id", "unique_id", "case", "case_id", "series", "series_id", "sequence", "sequence_id"),
    *("sequence_name", "sample", "sample_id", "instance", "instance_id", "recording", "session"),
)
_LESSER_IDS = ("unit", "unit_id", "unit_number", "engine", "engine_id", "machine", "machine_id")
"""Names of ids where no column has one of the others."""

TIME_COLUMNS = (
    *("time", "timestamp", "ds", "date", "datetime", "t", "step", "time_step", "timestep"),
    *("cycle", "cycles"),
)
LABEL_COLUMNS = (
    *("label", "labels", "class", "class_label", "target", "y", "activity", "category"),
    *("outcome", "output", "rul"),
)
"""Names of columns that are recognised; capitals, spaces and hyphens don't matter."""

_ALONE = {"y", "output", "rul"}
"""Those that are channels beside another column of labels."""


@dataclass(frozen=True, kw_only=True)
class TableRoles:
    """The columns of a table by role where names don't tell; `channels` empty: all numeric ones.

    `label` may name several columns of numbers, separated by commas.
    """

    id: str | None = None
    time: str | None = None
    label: str | None = None
    channels: tuple[str, ...] = ()
    scope: LabelScope = "sequence"


def id_column(place: Path, names: Sequence[str], roles: TableRoles) -> str | None:
    """The column that names the sequence of a row: the one given, or of a known name; None without.

    DataError where the one given is missing, or several have known names.
    """
    found = find_column(place, names, ID_COLUMNS, "id", roles.id)
    return found or find_column(place, names, _LESSER_IDS, "id", None)


def label_columns(
    place: Path, names: Sequence[str], roles: TableRoles, *, needed: bool = False
) -> tuple[str, ...]:
    """The columns of labels: those given, or the one of a known name; none where there is none.

    y is one where it isn't a coordinate, and no other column is. A column given may be missing
    unless it is `needed`. DataError where it is, or several have known names.
    """
    if roles.label is not None:
        parts = [part.strip() for part in roles.label.split(",")]
        given = [roles.label] if roles.label in names else parts
        present = [name for name in given if needed or name in names]
        found = [find_column(place, names, (), "label", name) for name in present]
        return tuple(name for name in found if name is not None)
    plain = {name.strip().lower() for name in names}
    coordinate = plain & {"x", "z", *LABEL_COLUMNS} - _ALONE
    known = [name for name in LABEL_COLUMNS if name not in _ALONE or not coordinate]
    found_one = find_column(place, names, known, "label", None)
    return () if found_one is None else (found_one,)
