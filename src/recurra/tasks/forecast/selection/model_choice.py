"""What a search tried and chose: a record for the run, and sentences about it."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["CandidateTrial", "ModelChoice"]


@dataclass(frozen=True)
class CandidateTrial:
    """Settings that were tried, for how many steps, and their errors on the held-out windows.

    `network` is the error of the network alone, `combined` that of its mean with the statistical
    forecasts, None where no window could be held out of its training; `best` marks the one that was
    chosen.
    """

    settings: dict[str, Any]
    steps: int
    seconds: float
    network: float | None
    combined: float | None
    best: bool = False

    @property
    def error(self) -> float:
        """The error of the mean; infinite where none is known."""
        return math.inf if self.combined is None else self.combined

    @property
    def name(self) -> str:
        """The settings in one line."""
        return ", ".join(f"{k} {v}" if k != "model" else str(v) for k, v in self.settings.items())


@dataclass(frozen=True)
class ModelChoice:
    """The trials of a search, the errors of each statistical method, and the settings chosen.

    `asked` are the settings, by name, that the chosen ones replaced; `windows` counts the held-out
    windows, `seconds` is the budget. Errors are mean absolute errors in units of the series' mean
    change over a season, as in MASE; of intermittent series the root of the mean square.
    """

    asked: dict[str, Any]
    settings: dict[str, Any]
    trials: tuple[CandidateTrial, ...]
    methods: dict[str, float]
    windows: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The record as values of JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "ModelChoice":
        """The choice that `to_json` described."""
        trials = tuple(CandidateTrial(**trial) for trial in record["trials"])
        return cls(**{**record, "trials": trials})

    @property
    def options(self) -> str:
        """The options of the command line that reproduce the training without the search."""
        words = (f"--{name.replace('_', '-')} {value}" for name, value in self.settings.items())
        return " ".join(words)

    def sentences(self) -> list[str]:
        """What was tried, what won, by how much, and how to train the same again."""
        best = next(trial for trial in self.trials if trial.best)
        again = f"The same without the search: {self.options}"
        if best.network is None or best.combined is None:
            held = "No series is long enough to hold windows out of a network's training"
            how = (
                f"weighed on {self.windows:,} windows of their own" if self.windows else "averaged"
            )
            return [f"{held}: {self.settings.get('members')}, {how}, are the forecast.", again]
        method = min(self.methods, key=lambda name: self.methods[name])
        return [
            f"Chosen on {self.windows:,} held-out windows among {_networks(self.trials)} and "
            f"{len(self.methods)} statistical methods: {best.name}, averaged with the methods: "
            f"error {best.combined:.3f} (the network alone {best.network:.3f}, the best method, "
            f"{method}, {self.methods[method]:.3f}).",
            again,
        ]


def _networks(trials: tuple[CandidateTrial, ...]) -> str:
    count = len({trial.name for trial in trials})
    return "1 network" if count == 1 else f"{count} networks"
