"""Windows of long series with a target for each step, the first of which don't count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from recurra.data.sequences.series import Series
from recurra.errors import DataError
from recurra.tasks.inputs.input import Generator, Input
from recurra.tasks.inputs.item_batches import StepBatches

__all__ = ["WindowBatches"]

Rows = np.ndarray[Any, Any]


class WindowBatches(StepBatches):
    """Windows of `window` steps, cut elsewhere in each epoch; shorter series stay whole.

    In a window that doesn't begin where its series does, the first `washout` steps have no target:
    they bring states near those that the whole series would have led to. `windows`, of `places`,
    are about as many as have a target for each step; further arguments are as for `StepBatches`.
    """

    def __init__(
        self,
        how: Input,
        contents: Sequence[Series],
        targets: Callable[[Any], Rows],
        *,
        windows: Sequence[tuple[int, int]],
        window: int,
        washout: int,
        **options: Any,
    ) -> None:
        lengths = [min(window, contents[number].steps) for number, _ in windows]
        super().__init__(how, windows, targets, lengths, **options)
        self._series, self._window, self._washout = contents, window, washout

    @staticmethod
    def places(steps: Sequence[int], window: int, washout: int) -> list[tuple[int, int]]:
        """The windows of series of so many steps: the number of the series, and its place there.

        >>> WindowBatches.places([100, 300], 200, 50)
        [(0, 0), (1, 0), (1, 1)]
        """
        counts = [
            1 if each <= window else -(-(each - washout) // (window - washout)) for each in steps
        ]
        return [(number, place) for number, count in enumerate(counts) for place in range(count)]

    def content(self, number: int, generator: Generator) -> Series:
        """The window of this number, elsewhere each time."""
        series_number, place = self._contents[number]
        series: Series = self._series[series_number]
        if series.steps <= self._window:
            return series
        stride = self._window - self._washout
        moved = place * stride + int(generator.integers(stride)) - stride // 2
        first = min(max(0, moved), series.steps - self._window)
        try:
            return self._cut(series, first)
        except DataError:  # all its values are missing
            seen = np.flatnonzero(~np.isnan(series.values).all(1)) - self._window // 2
            near = int(seen[np.abs(seen - first).argmin()])
            return self._cut(series, min(max(0, near), series.steps - self._window))

    def _cut(self, series: Series, first: int) -> Series:
        counted = self._washout if first else 0
        return series.cut(first, first + self._window, counted=counted)
