"""The runs of a comparison: each cell's size, each run's settings."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from recurra.compare.config import Comparison, folder_name
from recurra.compare.contests import Contest
from recurra.compare.sizes import nearest_size
from recurra.errors import ConfigError, RecurraError

__all__ = ["Entry", "Trial", "plan"]

_ENDLESS = 1_000_000
_CURVE_POINTS, _LEAST_STEPS_BETWEEN = 40, 50


@dataclass(frozen=True)
class Trial:
    """One training: a cell with a seed; everything that decides its result."""

    label: str
    seed: int
    task: str
    settings: Mapping[str, Any]
    equations: str

    @property
    def name(self) -> str:
        """Its folder's name."""
        return f"{folder_name(self.label)}-{self.seed}"

    def key(self) -> str:
        """A digest of everything that decides its result."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Entry:
    """A cell of the comparison at its size, with the trainings of all seeds."""

    label: str
    hidden: int
    parameters: int
    trials: tuple[Trial, ...]


def plan(comparison: Comparison) -> list[Entry]:
    """Every cell at its size; the first error of any, with the cell's label, before a run begins.

    Raises ConfigError for unknown cells, settings that can't be, or too few parameters.
    """
    return [_entry(comparison, label) for label in comparison.cells]


def _entry(comparison: Comparison, label: str) -> Entry:
    contest = Contest(comparison.task)
    settings = _with_budget(comparison, comparison.settings(label))
    try:
        hidden, parameters = _size(comparison, contest, settings)
        settings = {**settings, "hidden": hidden}
        equations = contest.check(settings)
    except RecurraError as error:
        raise type(error)(f"{label}: {error}") from error
    trials = (
        Trial(label, seed, comparison.task, {**settings, "seed": seed}, equations)
        for seed in range(comparison.seeds)
    )
    return Entry(label, hidden, parameters, tuple(trials))


def _size(comparison: Comparison, contest: Contest, settings: Mapping[str, Any]) -> tuple[int, int]:
    """Hidden size and parameters: a cell's own `hidden` goes before the budget for all."""

    def count(hidden: int) -> int | None:
        return contest.count({**settings, "hidden": hidden})

    hidden = settings.get("hidden", comparison.hidden)
    if hidden is None:
        assert comparison.parameters is not None  # one of the two is there
        return nearest_size(count, comparison.parameters)
    if (parameters := count(hidden)) is None:
        raise ConfigError(f"hidden = {hidden}; the cell can't have that size: give another.")
    return hidden, parameters


def _with_budget(comparison: Comparison, settings: dict[str, Any]) -> dict[str, Any]:
    """With the budget, and a validation every so often for the learning curve."""
    every = max(_LEAST_STEPS_BETWEEN, (comparison.steps or 0) // _CURVE_POINTS)
    steps = {"max_steps": comparison.steps or "none", "max_minutes": comparison.minutes or "none"}
    return {"validate_every": every, "epochs": _ENDLESS, **settings, **steps}
