"""Series of arrays in memory: lists of them, three axes at once, and either order of axes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from recurra.data.sequences.number_cells import Doubles
from recurra.data.sequences.series import Series, label_text
from recurra.data.sequences.step_labels import LabelScope, are_of_steps, step_texts
from recurra.data.transcripts.item import Item, UnusableItem
from recurra.errors import ConfigError, DataError

__all__ = ["LAYOUTS", "AxisOrder", "Layout", "array_items", "recognise_layout"]

Layout = Literal["steps,channels", "channels,steps"]
"""The order of the axes of an array of one sequence."""

LAYOUTS: tuple[Layout, ...] = ("steps,channels", "channels,steps")


@dataclass(frozen=True)
class AxisOrder:
    """The order of axes, and the sentence that says how it was recognised, "" where it was given.

    layout: None where all sequences have one axis.
    """

    layout: Layout | None
    note: str = ""


def recognise_layout(
    shapes: Sequence[tuple[int, int]], labels: Sequence[int] | None = None
) -> AxisOrder:
    """Which axis of sequences of these shapes is time: the one that differs, else the longer one.

    labels: how many labels of steps each has: the axis that is as long is time.

    A few sequences with another number of channels change nothing. DataError where both axes
    differ, or both are as long.

    >>> recognise_layout([(12, 20), (12, 26)]).layout
    'channels,steps'
    >>> print(recognise_layout([(50, 3), (50, 3)]).note)
    50 x 3 is taken as 50 steps of 3 channels (the longer axis is time).
    """
    sizes = [Counter(shape[axis] for shape in shapes) for axis in (0, 1)]
    if labels is not None:
        pairs = list(zip(shapes, labels, strict=True))
        fits = [sum(shape[axis] == count for shape, count in pairs) for axis in (0, 1)]
        if fits[0] != fits[1]:
            time = int(fits[1] > fits[0])
            return AxisOrder(LAYOUTS[time], _sentence(sizes, time, "it has a label for each step"))
    (rows, row_count), (columns, column_count) = (size.most_common(1)[0] for size in sizes)
    if row_count == column_count == len(shapes):
        if rows == columns:
            raise DataError(
                f"the sequences are {rows} x {columns}, so which axis is time can't be told; say "
                f"it: layout = {LAYOUTS[0]!r} or {LAYOUTS[1]!r}."
            )
        time, reason = int(columns > rows), "the longer axis is time"
    else:
        if max(row_count, column_count) * 2 <= len(shapes) or row_count == column_count:
            first, other = shapes[0], next(s for s in shapes if s != shapes[0])
            raise DataError(
                f"the sequences differ along both axes, as {first[0]} x {first[1]} and "
                f"{other[0]} x {other[1]} do; all need as many channels: transpose some of them."
            )
        time, reason = int(row_count > column_count), "the axis that differs is time"
    return AxisOrder(LAYOUTS[time], _sentence(sizes, time, reason))


def _sentence(sizes: Sequence[Counter[int]], time: int, reason: str) -> str:
    def span(size: Counter[int]) -> str:
        low, high = min(size), max(size)
        return f"{low:,}" if low == high else f"{low:,} to {high:,}"

    steps, channels = span(sizes[time]), f"{sizes[1 - time].most_common(1)[0][0]:,}"
    shape = f"{steps} x {channels}" if time == 0 else f"{channels} x {steps}"
    plural = "" if channels == "1" else "s"
    return f"{shape} is taken as {steps} steps of {channels} channel{plural} ({reason})."


def array_items(
    data: Any,
    labels: Sequence[Any] | None,
    layout: Layout | None = None,
    *,
    scope: LabelScope = "sequence",
) -> tuple[list[Item | UnusableItem], AxisOrder]:
    """An item for each sequence of `data`, and the order of its axes.

    data: a list or array of objects that are (T, C), (C, T) or (T,), data frames (T, C), Series,
        or nested lists; or an array (N, T, C), (N, C, T) or (N, T).
    labels: one for each sequence, or for each step of it, as `scope` has it; None: none.
    layout: the order of axes; None: recognised.

    Raises DataError where labels and sequences differ in number, or axes can't be told apart.
    """
    if layout is not None and layout not in LAYOUTS:
        raise ConfigError(f"layout = {layout!r}; it is {' or '.join(map(repr, LAYOUTS))}.")
    sequences = _listed(data)
    if labels is not None and len(labels) != len(sequences):
        raise DataError(
            f"{len(sequences):,} sequences have {len(labels):,} labels; give one for each."
        )
    found = [_array(sequence) for sequence in sequences]
    given = [None] * len(sequences) if labels is None else list(labels)
    steps_labelled = scope == "step" or (scope == "auto" and _are_of_steps(found, given))
    order = AxisOrder(layout)
    if layout is None:
        order = _recognised(found, sequences, given if steps_labelled else None)
    if isinstance(data, np.ndarray) and data.ndim == 2 and data.dtype != object:
        rows, columns = (f"{size:,}" for size in data.shape)
        note = f"{rows} x {columns} is taken as {rows} sequences of {columns} steps of 1 channel"
        order = AxisOrder(layout, f"{note}; one sequence of several channels is [array].")
    items = [
        _item(number, *each, order.layout, steps_labelled)
        for number, each in enumerate(zip(sequences, found, given, strict=True))
    ]
    return items, order


def _are_of_steps(found: Sequence[Doubles | DataError], labels: Sequence[Any]) -> bool:
    pairs = [(a, b) for a, b in zip(found, labels, strict=True) if not isinstance(a, DataError)]
    return are_of_steps([array.shape for array, _ in pairs], [label for _, label in pairs])


def _recognised(
    found: Sequence[Doubles | DataError], sequences: Sequence[Any], labels: Sequence[Any] | None
) -> AxisOrder:
    """The order of axes of those arrays that don't say it; `labels` are those of their steps."""
    shapes = [_shape(array, sequence) for array, sequence in zip(found, sequences, strict=True)]
    known = [shape for shape in shapes if shape]
    if not known:
        return AxisOrder(None)
    counts = None
    if labels is not None and all(hasattr(label, "__len__") for label in labels):
        counts = [len(label) for label, shape in zip(labels, shapes, strict=True) if shape]
    return recognise_layout(known, counts)


def _listed(data: Any) -> list[Any]:
    if isinstance(data, np.ndarray) and data.dtype != object and data.ndim not in (2, 3):
        raise DataError(
            f"an array of shape {data.shape} is not a list of sequences; give (sequences, steps, "
            "channels), (sequences, steps), or a list of arrays."
        )
    sequences = list(data)
    if not sequences:
        raise DataError("there is no sequence; give at least one.")
    return sequences


def _array(sequence: Any) -> Doubles | DataError:
    """The numbers of a sequence, or why there are none."""
    if isinstance(sequence, Series):
        return sequence.values.astype(np.float64)
    try:
        given = np.asarray(sequence)
        if given.dtype.kind == "c":
            return DataError("Complex data not supported: give the parts as channels of their own.")
        array = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        why = str(error).partition("\n")[0]
        return DataError(f"isn't an array of numbers ({why}); give (steps, channels) or (steps,).")
    if array.ndim not in (1, 2):
        return DataError(f"has the shape {array.shape}; give (steps, channels) or (steps,).")
    return array


def _shape(array: Doubles | DataError, sequence: Any) -> tuple[int, int] | None:
    """The lengths of two axes whose order isn't known; None for any other."""
    if isinstance(array, DataError) or array.ndim != 2 or _is_ordered(sequence):
        return None
    return array.shape[0], array.shape[1]


def _is_ordered(sequence: Any) -> bool:
    """A Series and a data frame say themselves what their rows are."""
    return isinstance(sequence, Series) or hasattr(sequence, "columns")


def _item(
    number: int,
    sequence: Any,
    array: Doubles | DataError,
    label: Any,
    layout: Layout | None,
    steps_labelled: bool,
) -> Item | UnusableItem:
    origin = f"sequence {number}"
    try:
        if isinstance(array, DataError):
            raise array
        series = _series(sequence, array, layout, label if steps_labelled else None)
    except DataError as error:
        return UnusableItem(origin, f"{origin} (from 0): {error}")
    text = None if steps_labelled else label_text(label)
    return Item(origin, "series", text, format="memory", data=series, origin=origin)


def _series(sequence: Any, array: Doubles, layout: Layout | None, steps: Any) -> Series:
    if isinstance(sequence, Series):
        if steps is None:
            return sequence
        return replace(sequence, labels=tuple(step_texts(steps)))
    ordered = _is_ordered(sequence)
    if array.ndim == 2 and not ordered and layout == "channels,steps":
        array = array.T
    names = tuple(map(str, sequence.columns)) if ordered else ()
    labels = None if steps is None else step_texts(steps)
    return Series.of(array, labels=labels, channels=names)
