"""A trial of a search as its journal has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["State", "TrialRecord", "best_of"]

State = Literal["running", "complete", "pruned", "diverged", "failed"]


@dataclass(frozen=True)
class TrialRecord:
    """A trial: its settings, and the validation that it came to.

    `value` is None where it has none yet, or never; `spread` is its standard error and `loss` the
    loss of the same validation, where that gives them. `error` says how it failed or diverged;
    `curve` has the best validation so far after each twentieth of the budget that has passed.
    """

    number: int
    state: State
    settings: Mapping[str, Any]
    value: float | None
    spread: float | None
    loss: float | None
    steps: int
    minutes: float
    error: str
    curve: Mapping[int, float]


def best_of(records: Sequence[TrialRecord], *, higher: bool) -> TrialRecord | None:
    """The complete trial with the best value, of equals that with the lowest loss, then the first;
    None where there is none.
    """
    complete = [r for r in records if r.state == "complete" and r.value is not None]
    sign = -1 if higher else 1
    return min(complete, key=lambda r: (sign * (r.value or 0.0), r.loss or 0.0), default=None)
