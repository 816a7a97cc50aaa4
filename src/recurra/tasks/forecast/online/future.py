"""Covariates of a stream that are known ahead: told in tables, as far as these reach."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.data.series.covariates import future_after, refuse_missing_steps
from recurra.data.series.panel import Panel

__all__ = ["KnownAhead"]

Floats = NDArray[np.float32]


class KnownAhead:
    """What was told of the steps after a panel's ends; `advance` makes the next one the present."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self.last = panel.last
        self._present = panel.future[panel.offsets[1:] - 1]
        self._values = np.zeros((len(panel), 0, panel.future.shape[1]), np.float32)
        self._told = np.zeros((len(panel), 0), bool)

    def tell(self, table: Any) -> None:
        """Add a table, or correct what was told before; steps that are past are left aside."""
        values, told = future_after(self._panel, table, self.last)
        steps = max(told.shape[1], self._told.shape[1])
        told = _sized(told, steps)
        before = _sized(self._values, steps)
        self._values = np.where(told[..., None], _sized(values, steps), before)
        self._told = told | _sized(self._told, steps)

    def require(self, steps: int) -> None:
        """DataError where a series lacks one of the next steps."""
        if self._values.shape[2]:
            stamps = self._panel.frequency.after(self.last, steps)
            lacking = ~_sized(self._told, steps)
            refuse_missing_steps(self._panel, "future", lacking, stamps)

    def ahead(self, steps: int) -> Floats:
        """The covariates (N, steps, F) of the next steps; what was not told stays as it was."""
        told, values = _sized(self._told, steps), _sized(self._values, steps)
        latest = np.maximum.accumulate(np.where(told, np.arange(1, steps + 1), 0), 1)
        known = np.concatenate([self._present[:, None], values], 1)
        return np.take_along_axis(known, latest[..., None], 1)

    def advance(self) -> None:
        """One step later."""
        self._present = self.ahead(1)[:, 0]
        self._values, self._told = self._values[:, 1:], self._told[:, 1:]
        self.last = self._panel.frequency.shift(self.last, 1)


def _sized(part: NDArray[Any], steps: int) -> NDArray[Any]:
    """The first steps (N, steps, ...) of what there is, those beyond it empty."""
    more = max(steps - part.shape[1], 0)
    return np.pad(part[:, :steps], [(0, 0), (0, more), *[(0, 0)] * (part.ndim - 2)])
