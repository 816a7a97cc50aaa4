"""The directory of a comparison: its plan, the runs, their outcomes, the table and the pictures.

comparison.json    what is compared
runs/              a run for each training
outcomes/          a JSON file for each training that has ended
table.json, table.md, curves.png, curves.svg, flow.png, flow_at_start.png, table.png, report.html
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recurra.compare.config import FILE
from recurra.compare.plan import Entry, Trial
from recurra.compare.processes import Order
from recurra.compare.results import Outcome, outcome_from
from recurra.errors import RunError
from recurra.files import write_atomic

__all__ = ["PICTURES", "Folder"]

_FORMAT = "recurra comparison 1"
PICTURES = ("curves.png", "curves.svg", "flow.png", "flow_at_start.png", "table.png")
_FILES = ("table.json", "table.md", "report.html", *PICTURES, FILE)


class Folder:
    """Where a comparison lies; every file in it is replaced atomically."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, description: dict[str, Any], *, resume: bool, overwrite: bool) -> None:
        """Make room: `RunError` where another comparison is there, or what is none.

        What isn't a comparison's is never deleted.
        """
        if self.path.exists() and any(self.path.iterdir()):
            self._check_known()
            if overwrite:
                self._clear()
            elif not resume:
                raise RunError(
                    f"{self.path} holds a comparison; go on with it by --resume, replace it by "
                    "--overwrite, or choose another --out."
                )
        for name in ("runs", "outcomes"):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        self.write_json(FILE, {"format": _FORMAT, **description})

    def order(self, trial: Trial) -> Order:
        """The order of a training."""
        name = trial.name
        return Order(trial, self.path / "runs" / name, self.path / "outcomes" / f"{name}.json")

    def outcomes(self, entries: Sequence[Entry]) -> dict[str, Outcome]:
        """The outcomes that are there, by the training's name.

        Raises RunError where one is damaged, or is of another training than is planned.
        """
        found = {}
        for trial in (trial for entry in entries for trial in entry.trials):
            path = self.order(trial).result
            if path.exists():
                found[trial.name] = _read(path, trial)
        return found

    def write(self, name: str, data: bytes) -> None:
        """Replace a file."""
        write_atomic(self.path / name, data)

    def write_json(self, name: str, value: object) -> None:
        """Replace a file by a value as JSON."""
        self.write(name, (json.dumps(value, indent=2) + "\n").encode())

    def _check_known(self) -> None:
        try:
            known = json.loads((self.path / FILE).read_bytes())
        except (OSError, ValueError):
            known = {}
        if known.get("format") != _FORMAT:
            raise RunError(
                f"{self.path} holds files that are not a comparison, and those are never deleted; "
                "choose another --out."
            )

    def _clear(self) -> None:
        """Delete what a comparison made; what tells that it is one, last."""
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
