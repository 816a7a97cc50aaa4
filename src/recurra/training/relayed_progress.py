"""The progress of a training, passed on to whoever shows that of many."""

import time
from collections.abc import Callable
from typing import Any

from recurra.training.protocols import Silent

__all__ = ["RelayedProgress"]

_BETWEEN_LINES = 0.25
"""Seconds between two lines that are passed on."""


class RelayedProgress(Silent):
    """Passes the progress of a training to `report`, a few times a second; messages it ignores.

    `step` is the last step.
    """

    def __init__(self, report: Callable[..., None]) -> None:
        self._report, self._last = report, 0.0
        self.step: int = 0

    def start(self, total_steps: int | None, step: int) -> None:
        """Pass on the step that training begins at, and how many there will be."""
        self.step = step
        self._report(step=step, total=total_steps)

    def update(
        self,
        step: int,
        epoch: int,
        loss: float,
        tokens_per_second: float,
        *,
        validation: float | None = None,
        **more: Any,
    ) -> None:
        """Pass on the step and the losses, unless that was done just now."""
        self.step = step
        now = time.monotonic()
        if now - self._last >= _BETWEEN_LINES:
            self._last = now
            self._report(step=step, loss=loss, validation=validation)
