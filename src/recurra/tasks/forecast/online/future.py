"""Future covariates of a stream: those of the steps after its present, from tables."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.data.series.covariates import future_after, refuse_missing_steps
from recurra.data.series.grid import Stamps
from recurra.data.series.panel import Panel

__all__ = ["FutureCovariates"]

Features = NDArray[np.float32]


class FutureCovariates:
    """Future covariates of the steps after a panel's ends, from tables, as far as these reach.

    `last` (N,) are the stamps of the present; `advance` moves on by one step.
    """

    _NAMES = ("last", "present", "values", "covered")

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self.last: Stamps = panel.last
        self._present = panel.future[panel.offsets[1:] - 1]
        self._values = np.zeros((len(panel), 0, panel.future.shape[1]), np.float32)
        self._covered = np.zeros((len(panel), 0), bool)

    def state(self) -> dict[str, Tensor]:
        """Everything but the panel, as tensors by name."""
        arrays = (self.last.view(np.int64), self._present, self._values, self._covered)
        tensors = (torch.from_numpy(np.array(array)) for array in arrays)
        return dict(zip(self._NAMES, tensors, strict=True))

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore the tensors that `state` gave."""
        last, *others = (tensors[name].numpy().copy() for name in self._NAMES)
        self.last = last.view(self.last.dtype)
        self._present, self._values, self._covered = others

    def add(self, table: Any) -> None:
        """Add a table, or correct earlier ones; steps in the past are ignored."""
        values, covered = future_after(self._panel, table, self.last)
        steps = max(covered.shape[1], self._covered.shape[1])
        covered = _sized(covered, steps)
        before = _sized(self._values, steps)
        self._values = np.where(covered[..., None], _sized(values, steps), before)
        self._covered = covered | _sized(self._covered, steps)

    def require(self, steps: int) -> None:
        """DataError where a series lacks one of the next steps."""
        if self._values.shape[2]:
            stamps = self._panel.frequency.after(self.last, steps)
            missing = ~_sized(self._covered, steps)
            refuse_missing_steps(self._panel, "future", missing, stamps)

    def of_next(self, steps: int) -> Features:
        """The covariates (N, steps, F) of the next steps; missing ones stay as they were last."""
        covered, values = _sized(self._covered, steps), _sized(self._values, steps)
        latest = np.maximum.accumulate(np.where(covered, np.arange(1, steps + 1), 0), 1)
        from_present = np.concatenate([self._present[:, None], values], 1)
        return np.take_along_axis(from_present, latest[..., None], 1)

    def advance(self) -> None:
        """Make the next step the present."""
        self._present = self.of_next(1)[:, 0]
        self._values, self._covered = self._values[:, 1:], self._covered[:, 1:]
        self.last = self._panel.frequency.shift(self.last, 1)


def _sized(part: NDArray[Any], steps: int) -> NDArray[Any]:
    """The first steps (N, steps, ...) of an array, those beyond it empty."""
    more = max(steps - part.shape[1], 0)
    return np.pad(part[:, :steps], [(0, 0), (0, more), *[(0, 0)] * (part.ndim - 2)])
