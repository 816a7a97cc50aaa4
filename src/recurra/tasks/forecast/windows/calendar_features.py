"""What the calendar says of each step of each series, looked up in a table of the common grid."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.data.series.calendar import calendar_features
from recurra.data.series.frequency import Frequency
from recurra.data.series.read import Panel

__all__ = ["CalendarTable", "calendar_table"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class CalendarTable:
    """Features (G, C) by step of the grid, and (N,) the step at which each series begins."""

    features: NDArray[np.float32]
    begins: Ints

    def of(self, stamps: NDArray[Any], frequency: Frequency) -> NDArray[np.float32]:
        """The features (..., C) of stamps, whether the table has them or not."""
        if not self.features.shape[1]:
            return np.zeros((*stamps.shape, 0), np.float32)
        found = calendar_features(stamps.ravel(), frequency)
        return found.reshape(*stamps.shape, -1)

    def at(self, series: Ints, rows: Ints) -> NDArray[np.float32]:
        """The features (..., C) of a step (row) of each series."""
        found: NDArray[np.float32] = self.features[self.begins[series] + rows]
        return found


def calendar_table(panel: Panel, horizon: int, *, wanted: bool) -> CalendarTable:
    """The table of a panel's series up to `horizon` steps after their ends.

    Series that stand between the steps of one another (at half past, say) have a part each.
    """
    begins = np.zeros(len(panel), np.int64)
    if not wanted or panel.frequency.whole or not len(panel):
        most = int(panel.lengths.max(initial=0)) + horizon
        return CalendarTable(np.zeros((most, 0), np.float32), begins)
    parts, size, waiting = [], 0, np.arange(len(panel))
    while len(waiting):
        first = panel.starts[waiting].min()
        steps = panel.frequency.positions(
            panel.starts[waiting], np.full(len(waiting), first, panel.starts.dtype)
        )
        together = waiting[steps >= 0]
        begins[together] = size + steps[steps >= 0]
        length = int((steps[steps >= 0] + panel.lengths[together]).max()) + horizon
        stamps = np.concatenate(
            [np.array([first]), panel.frequency.after(np.array([first]), length - 1)[0]]
        )
        parts.append(calendar_features(stamps, panel.frequency))
        size, waiting = size + length, waiting[steps < 0]
    return CalendarTable(np.concatenate(parts), begins)
