"""Long recordings as windows, each with the label of most of its steps; stretches held out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from statistics import median

from recurra.data.sequences.series import Series
from recurra.data.transcripts.chosen_rows import HeldOutItems, hold_out
from recurra.data.transcripts.item import Item
from recurra.errors import DataError

__all__ = [
    "RECORDING",
    "hold_out_stretches",
    "usual_window",
    "window_columns",
    "window_starts",
    "windowed",
]

RECORDING, _FIRST, _STEPS = "recording", "first step", "steps"
"""Columns of a window: what it was cut from, where, from 0 on, and how long it is."""

_LEAST, _MOST = 8, 512
_FEW = 4
"""Recordings of which none can be spared: stretches of each are held out."""
_STRETCHES = 20
"""Parts of a recording, as many as are held out or not."""


def usual_window(items: Sequence[Item]) -> int:
    """Half of the usual stretch of one label, from 8 to 512 steps.

    >>> series = Series.of(range(60), labels=["a"] * 40 + ["b"] * 20)
    >>> usual_window([Item("x", "series", None, data=series)])
    15
    """
    runs = [
        len(list(run)) for item in items for label, run in groupby(item.data.labels or ()) if label
    ]
    return int(min(_MOST, max(_LEAST, median(runs) // 2))) if runs else _MOST


def window_starts(steps: int, length: int, hop: int) -> list[int]:
    """Where windows begin: `hop` apart, the last at the end; of a shorter recording 0 alone.

    >>> window_starts(25, 10, 10), window_starts(7, 10, 5)
    ([0, 10, 15], [0])
    """
    last = max(0, steps - length)
    return sorted({*range(0, last + 1, hop), last})


def windowed(items: Sequence[Item], length: int, hop: int) -> list[Item]:
    """The windows of series, which have the label of most of their steps, or of the whole series.

    Windows without a label, or without any value, are left out. `RECORDING` is a column of each.
    """
    return [window for item in items for window in _windows(item, length, hop)]


def _windows(item: Item, length: int, hop: int) -> list[Item]:
    series: Series = item.data
    found = []
    for first in window_starts(series.steps, length, hop):
        try:
            part = series.cut(first, first + length)
        except DataError:  # all its values are missing
            continue
        text = item.text if part.labels is None else _usual(part.labels)
        if text is None and item.text is None and part.labels is not None:
            continue
        found.append(
            replace(
                item,
                name=f"{item.name}, from step {first + 1:,}",
                text=text,
                data=replace(part, labels=None),
                columns={**item.columns, **window_columns(item.name, first, part.steps)},
            )
        )
    return found


def window_columns(recording: str, first: int, steps: int) -> dict[str, str]:
    """The columns of a window, which `hold_out_stretches` goes by."""
    return {RECORDING: recording, _FIRST: str(first), _STEPS: str(steps)}


def _usual(labels: Sequence[str]) -> str | None:
    counts = Counter(label for label in labels if label)
    return counts.most_common(1)[0][0] if counts else None


def hold_out_stretches(
    items: Sequence[Item], share: float, seed: int, *, by: str | None = None
) -> HeldOutItems:
    """Hold out about `share` of the windows: of whole recordings, or of a few stretches of each.

    by: a column none of whose values is on both sides. No window for training has a step of one
    that is held out. Further errors as for `hold_out`.
    """
    names = {item.columns[RECORDING] for item in items}
    if by is not None or len(names) > _FEW:
        return hold_out(items, share, seed, by=by or RECORDING)
    ends = {name: max(_end(i) for i in items if i.columns[RECORDING] == name) for name in names}
    train, held = list[Item](), list[Item]()
    for item in items:
        inside = _is_inside(item, ends[item.columns[RECORDING]], share)
        if all(inside):
            held.append(item)
        elif not any(inside):
            train.append(item)
    if not train or not held:
        raise DataError(
            "Nothing can be held out: the recordings have too few windows; give shorter windows, "
            "or data to validate on."
        )
    return HeldOutItems(train, held, "stretches")


def _is_inside(item: Item, end: int, share: float) -> list[bool]:
    """Whether each stretch that a window is of is held out, in a recording of so many steps."""
    count = min(_STRETCHES, max(2, end // (2 * int(item.columns[_STEPS]))))
    every = min(count, max(2, round(1 / share)))
    first, last = (place * count // end for place in (int(item.columns[_FIRST]), _end(item) - 1))
    return [stretch % every == every // 2 for stretch in range(first, last + 1)]


def _end(item: Item) -> int:
    return int(item.columns[_FIRST]) + int(item.columns[_STEPS])
