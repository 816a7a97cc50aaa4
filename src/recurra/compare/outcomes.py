"""Outcomes of trainings, in the directory of a comparison, and the results of cells over seeds.

comparison.json    what is compared
runs/              a run for each training
outcomes/          a JSON file for each training that has ended
table.json, table.md, curves.png, curves.svg, flow.png, flow_at_start.png, table.png, report.html
"""

import json
import math
import shutil
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from recurra.compare.comparison import FILE
from recurra.compare.trials import Entry, Figures, Trial
from recurra.errors import RunError, TrainingError
from recurra.files import write_atomic
from recurra.processes import Job

__all__ = [
    "CellResult",
    "Folder",
    "Outcome",
    "Reach",
    "mean",
    "outcome_from",
    "results_of",
    "spread",
]

_FORMAT = "recurra comparison 1"
_PICTURES = ("curves.png", "curves.svg", "flow.png", "flow_at_start.png", "table.png")
_FILES = ("table.json", "table.md", "report.html", *_PICTURES)
_LEFTOVER = f".{FILE}.tmp"
"""A comparison that was killed before its first write leaves no more than this."""


class Reach(NamedTuple):
    """The horizon of a gradient in steps; more than so many, where it is not `reached`.

    `norms` are the gradient's norms by distance, `stride` steps apart.
    """

    steps: int
    reached: bool
    norms: tuple[float, ...] = ()
    stride: int = 1

    def __str__(self) -> str:
        return f"{self.steps}" if self.reached else f"≥ {self.steps}"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of a training; one that diverged has no test, and `diverged` says how it did.

    `curve` holds (step, loss) of the validations; `bytes` is the highest memory of its process,
    above its memory with libraries loaded and kernels compiled.
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

    @property
    def best_validation(self) -> float:
        """The lowest validation loss; infinite where training diverged."""
        losses = [loss for _, loss in self.curve] if self.diverged is None else []
        return min(losses, default=math.inf)


@dataclass(frozen=True)
class CellResult:
    """A cell's outcomes, one for each seed whose training has ended."""

    entry: Entry
    outcomes: Sequence[Outcome]

    @property
    def learning_rate(self) -> float | None:
        """The learning rate of all seeds; None where it is the task's default."""
        return self.entry.trials[0].settings.get("learning_rate")

    @property
    def finished(self) -> list[Outcome]:
        """The outcomes that did not diverge."""
        return [outcome for outcome in self.outcomes if outcome.diverged is None]

    @property
    def diverged(self) -> int:
        """The number of outcomes that diverged."""
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
        """The maximum over seeds."""
        return max((outcome.bytes for outcome in self.outcomes), default=None)

    @property
    def minutes(self) -> float | None:
        """The median over seeds."""
        return _median([outcome.seconds / 60 for outcome in self.outcomes])

    @property
    def horizon(self) -> Reach | None:
        """The median over seeds, of the trained models."""
        return _middle([outcome.horizon for outcome in self.outcomes])

    @property
    def horizon_at_start(self) -> Reach | None:
        """The median over seeds, before training."""
        return _middle([outcome.horizon_at_start for outcome in self.outcomes])

    def as_json(self, facts: Figures) -> dict[str, Any]:
        """The result with its seeds' figures, as JSON holds it."""
        values = self.quality(facts.measure)
        return {
            "label": self.entry.label,
            "cell": self.entry.trials[0].settings["cell"],
            "hidden": self.entry.hidden,
            "parameters": self.entry.parameters,
            "learning_rate": self.learning_rate,
            "trainings": len(self.outcomes),
            "diverged": self.diverged,
            facts.quality: {"mean": mean(values), "spread": spread(values), "seeds": values},
            "steps_per_second": self.steps_per_second,
            "minutes": self.minutes,
            "bytes": self.bytes,
            "horizon": _as_json(self.horizon),
            "horizon_at_start": _as_json(self.horizon_at_start),
        }


def outcome_from(saved: dict[str, Any]) -> Outcome:
    """The outcome that was saved as JSON; KeyError or TypeError where it is not valid."""
    reaches = {
        name: None if saved[name] is None else _reach(*saved[name])
        for name in ("horizon", "horizon_at_start")
    }
    curve = [(step, loss) for step, loss in saved["curve"]]
    return Outcome(**{**saved, **reaches, "curve": curve})


def _reach(steps: int, reached: bool, norms: Sequence[float], stride: int) -> Reach:
    return Reach(steps, reached, tuple(norms), stride)


def _as_json(reach: Reach | None) -> dict[str, Any] | None:
    return None if reach is None else {"steps": reach.steps, "reached": reach.reached}


def results_of(entries: Sequence[Entry], outcomes: dict[str, Outcome]) -> list[CellResult]:
    """The result of each cell, in order; `outcomes` are by the training's name."""
    return [
        CellResult(
            entry, [outcomes[trial.name] for trial in entry.trials if trial.name in outcomes]
        )
        for entry in entries
    ]


def mean(values: Sequence[float]) -> float | None:
    """The mean; None without values."""
    return statistics.fmean(values) if values else None


def spread(values: Sequence[float]) -> float | None:
    """The standard deviation over seeds; None of fewer than two values."""
    return statistics.stdev(values) if len(values) > 1 else None


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _middle(reaches: Sequence[Reach | None]) -> Reach | None:
    known = sorted((r for r in reaches if r is not None), key=lambda r: (r.steps, not r.reached))
    return known[(len(known) - 1) // 2] if known else None


class Folder:
    """The directory of a comparison; every file in it is replaced atomically."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, description: dict[str, Any], *, resume: bool, overwrite: bool) -> None:
        """Make the directory ready for a comparison, new, resumed, or in place of another one.

        Raises RunError where another comparison is there, or other files, which are never deleted.
        """
        if self.path.exists() and not self.path.is_dir():
            raise RunError(
                f"{self.path} is a file; a comparison is a directory: choose another --out."
            )
        begun = self._has_begun()
        if begun and not overwrite and not resume:
            raise RunError(
                f"{self.path} holds a comparison; resume it with --resume, replace it with "
                "--overwrite, or choose another --out."
            )
        if overwrite or not begun:
            # Killed from here to the last line, it leaves room for a comparison and no other file.
            self.path.mkdir(parents=True, exist_ok=True)
            self.write_json(FILE, {"format": _FORMAT})
            self._clear()
        for name in ("runs", "outcomes"):
            (self.path / name).mkdir(exist_ok=True)
        self.write_json(FILE, {"format": _FORMAT, **description})

    def job(self, trial: Trial) -> Job:
        """The job of a training, which writes its outcome."""
        run = self.path / "runs" / trial.name
        return Job(
            trial.name,
            "recurra.compare.trial_process:run_trial",
            {"trial": asdict(trial), "run": str(run), "outcome": str(self._outcome(trial))},
            failure=TrainingError,
            remedy=f"its checkpoints are in {run}: resume with --resume, with fewer --jobs where "
            "memory ran out",
        )

    def outcomes(self, trials: Sequence[Trial]) -> dict[str, Outcome]:
        """Read the outcomes that are there, by the training's name.

        Raises RunError where one is damaged, or is of a training with other settings.
        """
        there = [trial for trial in trials if self._outcome(trial).exists()]
        return {trial.name: _read(self._outcome(trial), trial) for trial in there}

    def _outcome(self, trial: Trial) -> Path:
        return self.path / "outcomes" / f"{trial.name}.json"

    def write(self, name: str, data: bytes) -> None:
        """Replace a file."""
        write_atomic(self.path / name, data)

    def write_json(self, name: str, value: object) -> None:
        """Replace a file by a value as JSON."""
        self.write(name, (json.dumps(value, indent=2) + "\n").encode())

    def _has_begun(self) -> bool:
        """Tell whether a comparison is there; RunError where other files are."""
        if not self.path.exists() or {path.name for path in self.path.iterdir()} <= {_LEFTOVER}:
            return False
        try:
            known = json.loads((self.path / FILE).read_bytes())
        except (OSError, ValueError):
            known = {}
        if not isinstance(known, dict) or known.get("format") != _FORMAT:
            raise RunError(
                f"{self.path} holds files that are not a comparison, and those are never deleted; "
                "choose another --out."
            )
        return len(known) > 1

    def _clear(self) -> None:
        """Delete the files of a comparison but the one that identifies it."""
        for name in ("runs", "outcomes"):
            shutil.rmtree(self.path / name, ignore_errors=True)
        for name in _FILES:
            (self.path / name).unlink(missing_ok=True)


def _read(path: Path, trial: Trial) -> Outcome:
    try:
        outcome = outcome_from(json.loads(path.read_bytes()))
    except (ValueError, TypeError, KeyError) as error:
        raise RunError(f"{path} is damaged; delete it to train {trial.name} again.") from error
    if outcome.key != trial.key():
        raise RunError(
            f"{path} is of a training with other settings or equations; give the same settings, "
            "another --out, or --overwrite."
        )
    return outcome
