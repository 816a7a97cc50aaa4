"""The trainings of a comparison: each cell's size, and the settings of each seed."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from recurra.compare.comparison import Comparison, folder_name
from recurra.compare.contests import Contest
from recurra.errors import ConfigError, RecurraError

__all__ = ["Entry", "Trial", "nearest_size", "plan"]

_ENDLESS = 1_000_000
_CURVE_POINTS, _LEAST_STEPS_BETWEEN = 40, 50

_TRIES = 64
"""The most sizes tried in a row: a cell with blocks of units can't have every size."""


@dataclass(frozen=True)
class Trial:
    """One training: a cell with a seed, and everything else that its result depends on."""

    label: str
    seed: int
    task: str
    settings: Mapping[str, Any]
    equations: str

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{folder_name(self.label)}-{self.seed}"

    def key(self) -> str:
        """A digest of everything that its result depends on."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Entry:
    """A cell of the comparison at its size, with the trainings of all seeds."""

    label: str
    hidden: int
    parameters: int
    trials: tuple[Trial, ...]


def plan(comparison: Comparison) -> list[Entry]:
    """Choose every cell's size and check all settings, before any training begins.

    Raises ConfigError, with the cell's label, for unknown cells, invalid settings, or too few
    parameters.
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
    """Hidden size and parameters: a cell's own `hidden` takes precedence over the budget."""

    def count(hidden: int) -> int | None:
        return contest.count({**settings, "hidden": hidden})

    hidden = settings.get("hidden", comparison.hidden)
    if hidden is None:
        assert comparison.parameters is not None  # one of the two is there
        return nearest_size(count, comparison.parameters)
    if (parameters := count(hidden)) is None:
        raise ConfigError(f"hidden = {hidden}; the cell can't have that size; give another.")
    return hidden, parameters


def _with_budget(comparison: Comparison, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings with the budget, and with regular validations for the learning curve."""
    every = max(_LEAST_STEPS_BETWEEN, (comparison.steps or 0) // _CURVE_POINTS)
    steps = {"max_steps": comparison.steps or "none", "max_minutes": comparison.minutes or "none"}
    return {"validate_every": every, "epochs": _ENDLESS, **settings, **steps}


def nearest_size(count: Callable[[int], int | None], wanted: int) -> tuple[int, int]:
    """Find the size whose count is nearest to `wanted`; return both.

    `count` grows with the size, and is None for an impossible size. Raises ConfigError where the
    smallest possible size has a count above `wanted`.

    >>> nearest_size(lambda size: 2 * size * size, 20)
    (3, 18)
    """
    low, fewest = _next_size(count, 1)
    if fewest > wanted:
        raise ConfigError(f"parameters = {wanted}; the smallest model has {fewest}: give as many.")
    high, most = _next_size(count, 2 * low)
    while most < wanted:
        low, fewest = high, most
        high, most = _next_size(count, 2 * high)
    while high - low > 1:
        middle, between = _next_size(count, (low + high) // 2)
        if middle == high:
            # No size from the middle up to `high` is possible: search below it.
            middle, between = _last_size(count, (low + high) // 2, low)
            if middle == low:
                break
        if between <= wanted:
            low, fewest = middle, between
        else:
            high, most = middle, between
    return (low, fewest) if wanted - fewest <= most - wanted else (high, most)


def _next_size(count: Callable[[int], int | None], size: int) -> tuple[int, int]:
    """The first possible size from `size` on, with its count."""
    for tried in range(size, size + _TRIES):
        if (found := count(tried)) is not None:
            return tried, found
    raise ConfigError(
        f"No hidden size from {size} to {size + _TRIES - 1} is possible; give hidden."
    )


def _last_size(count: Callable[[int], int | None], size: int, least: int) -> tuple[int, int]:
    """The last possible size below `size`, with its count; `least` is possible."""
    for tried in range(size - 1, least, -1):
        if (found := count(tried)) is not None:
            return tried, found
    found = count(least)
    assert found is not None
    return least, found
