"""Labelled sequences of numbers from files, tables, and arrays in memory, as items."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data import check_exists
from recurra.data.sequences.arff_file import read_arff
from recurra.data.sequences.array_sequences import AxisOrder, Layout, array_items
from recurra.data.sequences.long_table import read_long
from recurra.data.sequences.step_labels import LabelScope, is_one_recording
from recurra.data.sequences.table_roles import TableRoles
from recurra.data.sequences.ts_file import read_ts
from recurra.data.sequences.ucr_rows import holds_ucr_rows, read_ucr_rows
from recurra.data.tables.table import DELIMITERS
from recurra.data.transcripts.bad_items import BadItems, usable
from recurra.data.transcripts.chosen_rows import choose_items
from recurra.data.transcripts.item import Item, UnusableItem
from recurra.errors import ConfigError, DataError

__all__ = ["SERIES_SUFFIXES", "SequenceReading", "SequenceSource", "read_sequences"]

SequenceSource = Any
"""A path or several, a data frame, arrays or a list of them, or of pairs (array, label)."""

SERIES_SUFFIXES = (".ts", ".arff", ".tsv", ".txt", ".csv", ".parquet", ".pq")
"""Endings of files; all but the last two may be followed by .gz."""


@dataclass(frozen=True, eq=False)
class SequenceReading:
    """Items, each with a Series as its data; sentences for the user; the layout of arrays.

    layout: the order of axes that was recognised or given, for further arrays; None for others.
    """

    items: list[Item]
    notes: tuple[str, ...] = ()
    layout: Layout | None = None


def read_sequences(
    source: SequenceSource,
    labels: Sequence[Any] | None = None,
    *,
    texts: bool = True,
    label: LabelScope = "sequence",
    where: str | Mapping[str, object] | None = None,
    id_column: str | None = None,
    time_column: str | None = None,
    label_column: str | None = None,
    channels: Sequence[str] = (),
    layout: Layout | None = None,
    bad: BadItems | None = None,
) -> SequenceReading:
    """The sequences of a source, in order, with their labels.

    source: a file (.ts, .arff; .tsv, .txt, .csv with a row for each sequence, its label first, or
        with a row for each step; .parquet), a data frame with a row for each step, a list of such
        paths, or arrays: a list of (T, C), (C, T) or (T,), an array (N, T, C) or (N, C, T), or
        pairs (array, label).
    labels: of arrays, one for each, or with label = "step" one for each step of each.
    texts: every sequence needs a label; else it may be None.
    label: "step" where each step has a label of its own, in `Series.labels`, "" where it is
        missing, of tables and arrays; "auto": as the data show. A table without a column of ids,
        and an array (T, C) or (T,) with as many labels, are one sequence then.
    where: the items to keep by their columns, as `choose_items` has it.
    id_column, time_column, label_column, channels: columns of a table whose names aren't usual
        ones; label_column also names the attribute of an .arff file.
    layout: "steps,channels" or "channels,steps", the order of an array's axes; None: recognised.
    bad: collects single sequences that can't be used.

    Raises:
        DataError: a whole source can't be read; without `bad`, for the first sequence that can't
            be used; with it, for more of them than its share; or nothing is left.
        ConfigError: `label` or `layout` is none of its words.

    >>> reading = read_sequences([[1.0, 2.0, 3.0], [4.0, 5.0]], labels=["up", "down"])
    >>> [(item.name, item.text, item.data.steps) for item in reading.items]
    [('sequence 0', 'up', 3), ('sequence 1', 'down', 2)]
    """
    if label not in ("sequence", "step", "auto"):
        raise ConfigError(f"label = {label!r}; it is 'sequence', 'step' or 'auto'.")
    roles = TableRoles(
        id=id_column,
        time=time_column,
        label=label_column,
        channels=tuple(channels),
        scope=label,
    )
    notes: list[str] = []
    found, order = _read(source, labels, roles, layout, texts, notes)
    checked = _same_channels([_labelled(each, texts) for each in _of_one_scope(found)])
    items = _with_own_names(usable(checked, bad))
    if where is not None:
        items = choose_items(items, where)
    said = [order.note] if order.note else []
    return SequenceReading(items, (*notes, *said), order.layout)


def _read(
    source: SequenceSource,
    labels: Sequence[Any] | None,
    roles: TableRoles,
    layout: Layout | None,
    texts: bool,
    notes: list[str],
) -> tuple[list[Item | UnusableItem], AxisOrder]:
    paths = _paths(source)
    if labels is not None and (paths or _is_frame(source)):
        raise DataError(
            f"labels are given apart from {_called(source)}, which has its own; name their column "
            "(label_column = NAME), or give arrays."
        )
    if paths:
        read = [item for path in paths for item in _of_file(path, roles, notes, texts)]
        return read, AxisOrder(None)
    if _is_frame(source):
        return list(read_long(source, roles, notes, labelled=texts)), AxisOrder(None)
    if isinstance(source, str | bytes | Mapping) or not isinstance(source, Iterable):
        raise DataError(
            f"{_called(source)} is not a source of sequences; give a path, a data frame, or a list "
            "of arrays with labels."
        )
    if labels is None and _are_pairs(source, roles.scope):
        source, labels = ([pair[part] for pair in source] for part in (0, 1))
    if labels is not None and is_one_recording(source, labels, roles.scope):
        source, labels = [source], [labels]
    return array_items(source, labels, layout, scope=roles.scope)


def _paths(source: SequenceSource) -> list[Path]:
    if isinstance(source, str | os.PathLike):
        return [Path(source)]
    several = isinstance(source, list | tuple)
    if several and all(isinstance(each, str | os.PathLike) for each in source):
        return [Path(each) for each in source]
    return []


def _is_frame(source: SequenceSource) -> bool:
    """Data frames of pandas and polars, lazy ones as well, and tables of pyarrow."""
    return hasattr(source, "columns") and not isinstance(source, np.ndarray | list | tuple)


def _are_pairs(source: SequenceSource, scope: LabelScope) -> bool:
    """Whether all are (array, label), the label a text or a number, or one for each step."""
    return isinstance(source, list | tuple) and all(
        isinstance(each, tuple)
        and len(each) == 2
        and hasattr(each[0], "__len__")
        and not isinstance(each[0], str)
        and (each[1] is None or scope != "sequence" or np.ndim(each[1]) == 0)
        for each in source
    )


def _called(source: SequenceSource) -> str:
    if isinstance(source, str | os.PathLike):
        return str(source)
    return f"an object of type {type(source).__name__}"


def _of_file(
    path: Path, roles: TableRoles, notes: list[str], texts: bool
) -> Iterator[Item | UnusableItem]:
    if path.is_dir():
        raise DataError(f"{path}: is a folder; name the files in it.")
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    if suffix not in SERIES_SUFFIXES:
        raise DataError(
            f"{path}: {suffix or 'no ending'} is none of {', '.join(SERIES_SUFFIXES)}; give a file "
            "of one of these formats."
        )
    check_exists(path)
    if suffix in (".ts", ".arff"):
        if roles.scope == "step":
            raise DataError(f"{path}: a {suffix} file has no labels of steps; give a table.")
        read = read_ts(path, notes) if suffix == ".ts" else read_arff(path, notes, roles.label)
        yield from read
        return
    plain = roles.scope != "step" and replace(roles, scope="sequence") == TableRoles()
    if suffix in DELIMITERS and plain and holds_ucr_rows(path):
        notes.append(f"{path}: each row is taken as a sequence, its label first, then its values.")
        yield from read_ucr_rows(path)
        return
    yield from read_long(path, roles, notes, labelled=texts)


def _of_one_scope(found: list[Item | UnusableItem]) -> list[Item | UnusableItem]:
    """Refuse sequences with a label as a whole where most have labels of steps, and vice versa."""
    steps = [isinstance(each, Item) and each.data.labels is not None for each in found]
    whole = [isinstance(each, Item) and each.text is not None for each in found]
    if not any(steps) or not any(whole):
        return found
    odd, what = (whole, "steps") if sum(steps) >= sum(whole) else (steps, "whole sequences")
    return [
        UnusableItem(each.origin, f"{each.origin}: has other labels than those of {what}.")
        if is_odd
        else each
        for each, is_odd in zip(found, odd, strict=True)
    ]


def _labelled(each: Item | UnusableItem, texts: bool) -> Item | UnusableItem:
    """The item, unless it lacks labels that it needs: one of a step at least."""
    if isinstance(each, UnusableItem) or not texts:
        return each
    labels = each.data.labels
    if each.text or (labels is not None and any(labels)):
        return each
    which = "has no label" if labels is None else "none of its steps has a label"
    return UnusableItem(each.origin, f"{each.origin}: {which}.", "has no label")


def _same_channels(found: list[Item | UnusableItem]) -> list[Item | UnusableItem]:
    """Refuse sequences with another number of channels than most have."""
    counts = Counter(len(each.data.channels) for each in found if isinstance(each, Item))
    if len(counts) < 2:
        return found
    usual = counts.most_common(1)[0][0]
    return [_refused(each, usual) for each in found]


def _refused(each: Item | UnusableItem, usual: int) -> Item | UnusableItem:
    if isinstance(each, UnusableItem) or len(each.data.channels) == usual:
        return each
    message = (
        f"{each.origin}: has {len(each.data.channels)} channels, and most sequences have {usual}; "
        "give all the same."
    )
    return UnusableItem(each.origin, message, "has another number of channels")


def _with_own_names(items: Sequence[Item]) -> list[Item]:
    """Items of several files of one name are called by their origin."""
    counts = Counter(item.name for item in items)
    return [replace(item, name=item.origin) if counts[item.name] > 1 else item for item in items]
