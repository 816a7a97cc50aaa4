"""What came of a training, kept as JSON; and of a cell, over its seeds."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from recurra.compare.contests import Facts
from recurra.compare.plan import Entry

__all__ = ["Outcome", "Reach", "Row", "mean", "outcome_from", "rows_of", "spread"]


class Reach(NamedTuple):
    """How many steps back a gradient reaches; at least so many, where its end is not `reached`.

    `norms` are the gradient's by distance, `stride` steps apart.
    """

    steps: int
    reached: bool
    norms: tuple[float, ...] = ()
    stride: int = 1

    def __str__(self) -> str:
        return f"{self.steps}" if self.reached else f"≥ {self.steps}"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One training that has ended; `diverged` says how, and there is no test then.

    `curve` holds (step, loss) of the validations; `bytes` is the highest memory in use beyond what
    the process took with libraries loaded and kernels compiled.
    """

    name: str
    key: str
    steps: int
    seconds: float
    steps_per_second: float
    bytes: int
    clipped_share: float
    best_step: int | None
    test: dict[str, float]
    horizon: Reach | None
    horizon_at_start: Reach | None
    diverged: str | None
    curve: list[tuple[int, float]]


@dataclass(frozen=True)
class Row:
    """A cell's outcomes, as many as there are so far, one for each seed."""

    entry: Entry
    outcomes: Sequence[Outcome]

    @property
    def finished(self) -> list[Outcome]:
        """Those that did not diverge."""
        return [outcome for outcome in self.outcomes if outcome.diverged is None]

    @property
    def diverged(self) -> int:
        """How many did."""
        return len(self.outcomes) - len(self.finished)

    def quality(self, measure: str) -> list[float]:
        """The test figure of each seed that has one."""
        return [outcome.test[measure] for outcome in self.finished if measure in outcome.test]

    @property
    def steps_per_second(self) -> float | None:
        """The median over seeds."""
        return _median([outcome.steps_per_second for outcome in self.outcomes])

    @property
    def bytes(self) -> int | None:
        """The most that any seed took."""
        return max((outcome.bytes for outcome in self.outcomes), default=None)

    @property
    def minutes(self) -> float | None:
        """The median over seeds."""
        return _median([outcome.seconds / 60 for outcome in self.outcomes])

    @property
    def horizon(self) -> Reach | None:
        """Of the trained models, the one in the middle of those of all seeds."""
        return _middle([outcome.horizon for outcome in self.outcomes])

    @property
    def horizon_at_start(self) -> Reach | None:
        """The same before training."""
        return _middle([outcome.horizon_at_start for outcome in self.outcomes])

    def as_json(self, facts: Facts) -> dict[str, Any]:
        """The row with its seeds' figures."""
        values = self.quality(facts.measure)
        return {
            "label": self.entry.label,
            "cell": self.entry.trials[0].settings["cell"],
            "hidden": self.entry.hidden,
            "parameters": self.entry.parameters,
            "trainings": len(self.outcomes),
            "diverged": self.diverged,
            facts.quality: {"mean": mean(values), "spread": spread(values), "seeds": values},
            "steps_per_second": self.steps_per_second,
            "minutes": self.minutes,
            "bytes": self.bytes,
            "horizon": _as_json(self.horizon),
            "horizon_at_start": _as_json(self.horizon_at_start),
        }


def outcome_from(kept: dict[str, Any]) -> Outcome:
    """The outcome that was kept as JSON; KeyError or TypeError where it can't be one."""
    reaches = {
        name: None if kept[name] is None else _reach(*kept[name])
        for name in ("horizon", "horizon_at_start")
    }
    curve = [(step, loss) for step, loss in kept["curve"]]
    return Outcome(**{**kept, **reaches, "curve": curve})


def _reach(steps: int, reached: bool, norms: Sequence[float], stride: int) -> Reach:
    return Reach(steps, reached, tuple(norms), stride)


def _as_json(reach: Reach | None) -> dict[str, Any] | None:
    return None if reach is None else {"steps": reach.steps, "reached": reach.reached}


def rows_of(entries: Sequence[Entry], outcomes: dict[str, Outcome]) -> list[Row]:
    """A row for each cell, in order; `outcomes` are by the training's name."""
    return [
        Row(entry, [outcomes[trial.name] for trial in entry.trials if trial.name in outcomes])
        for entry in entries
    ]


def mean(values: Sequence[float]) -> float | None:
    """The mean, None of nothing."""
    return statistics.fmean(values) if values else None


def spread(values: Sequence[float]) -> float | None:
    """The standard deviation over seeds, None of fewer than two."""
    return statistics.stdev(values) if len(values) > 1 else None


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _middle(reaches: Sequence[Reach | None]) -> Reach | None:
    known = sorted((r for r in reaches if r is not None), key=lambda r: (r.steps, not r.reached))
    return known[(len(known) - 1) // 2] if known else None
