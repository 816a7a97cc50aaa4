"""What a kind of export is: files of a network, and a run of them."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch

from recurra import __version__
from recurra.deploy.export.c_source import NumberFormat
from recurra.errors import ConfigError, RunError
from recurra.tasks.estimator import Estimator
from recurra.tasks.exportable import Exportable, ProgramRun

__all__ = ["ExportTarget", "Files", "check_agrees"]

Files = Mapping[str, bytes]
"""The contents of files by their names."""

_SHAPES = ((1, 1), (7, 3), (50, 2))
"""Steps and rows of what a network is tried on before it is published."""

_TOLERANCE = 1e-4
"""The most that numbers of float32 may differ, as a share of the largest."""


class ExportTarget(ABC):
    """A kind of export."""

    name: ClassVar[str]
    weights: ClassVar[tuple[NumberFormat, ...]]
    """The formats that it writes weights in."""

    def __init__(self, form: NumberFormat = "float32") -> None:
        if form not in self.weights:
            raise ConfigError(
                f"weights = {form!r}; an export to {self.name} has {', '.join(self.weights)}."
            )
        self.form: NumberFormat = form

    def metadata(self, model: Estimator[Any, Any]) -> dict[str, str]:
        """What a user of the files must know of the run, as texts."""
        assert model.run is not None
        config = model.run.config
        return {
            "recurra_version": __version__,
            "task": config["task"],
            "context": json.dumps(config["context"]),
            "settings": json.dumps(config["settings"]),
        }

    @abstractmethod
    def files(self, exportable: Exportable, name: str, metadata: Mapping[str, str]) -> Files:
        """The files of a network, called after `name`.

        Raises ConfigError for a network that the target can't have, MissingExtra without a library.
        """

    @abstractmethod
    def run(self, exportable: Exportable, files: Files, folder: Path) -> ProgramRun:
        """Runs the program from its files, for which there is an empty folder."""


def check_agrees(target: str, exportable: Exportable, run: ProgramRun) -> None:
    """Run a program beside its network at three shapes; RunError where a number differs by more
    than 1e-4 of the largest.
    """
    generator = torch.Generator().manual_seed(1)
    worst = 0.0
    for steps, rows in _SHAPES:
        x = exportable.sample(steps, rows, generator)
        lengths = torch.randint(1, steps + 1, (rows,), generator=generator)
        lengths[0] = steps
        if not exportable.program.ragged:
            lengths = torch.full((rows,), steps)
        with torch.inference_mode():
            wanted, _ = exportable.called(x, lengths, None)
            found, _ = run(x, lengths if exportable.program.ragged else None, None)
        if found.shape != wanted.shape:
            raise _differs(target, f"gives {tuple(found.shape)} for {tuple(wanted.shape)}")
        for row, length in enumerate(lengths.tolist()):
            steps_there = exportable.program.output.steps_of(length)
            own, other = (v[row] if v.dim() == 2 else v[:steps_there, row] for v in (wanted, found))
            if not torch.isfinite(other).all():
                raise _differs(target, "gives numbers that are not finite")
            scale = max(1.0, float(own.abs().max()))
            worst = max(worst, float((own - other).abs().max()) / scale)
    if worst > _TOLERANCE:
        raise _differs(target, f"differs by {worst:.1e} of the largest number")


def _differs(target: str, how: str) -> RunError:
    return RunError(
        f"The exported network {how} from the run's own, so it is not published: this is a fault "
        f"of the export to {target}; please report it with the run's config.json."
    )
