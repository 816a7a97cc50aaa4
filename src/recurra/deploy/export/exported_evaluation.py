"""An exported model, scored by its task's own evaluation."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from recurra.deploy.export.c_source import NumberFormat
from recurra.deploy.export.run_export import named_target, network_names
from recurra.tasks.estimator import Estimator
from recurra.tasks.exportable import Exportable, ProgramRun
from recurra.tasks.task import Evaluation

__all__ = ["ExportedEvaluation", "evaluate_exported"]

_LISTED = 10
"""Answers that are listed one by one."""


@dataclass
class Differences:
    """What the outputs of exported networks differ by from those of the run's own."""

    outputs: int = 0
    largest: float = 0.0
    changed: int = 0
    margins: list[tuple[float, str]] | None = None

    def count(self, own: Tensor, other: Tensor, inside: Tensor, place: str) -> None:
        """Take in outputs (..., K), of which those `inside` (...) count."""
        if not inside.any():
            return
        wanted, found = own[inside], other[inside]
        self.outputs += len(wanted)
        self.largest = max(self.largest, float((wanted - found).abs().max()))
        if wanted.shape[-1] < 2:
            return
        differs = wanted.argmax(-1) != found.argmax(-1)
        self.changed += int(differs.sum())
        top = wanted.topk(2, -1).values
        margins = self.margins = self.margins or []
        places = inside.nonzero()
        for number in differs.nonzero()[:, 0].tolist():
            where = ", ".join(map(str, places[number].tolist()))
            margins.append((float(top[number, 0] - top[number, 1]), f"{place}, output ({where})"))

    def remarks(self, target: str) -> list[str]:
        """Sentences for whoever reads the figures."""
        found = [
            f"Exported to {target}: {self.outputs:,} outputs of the networks, the largest "
            f"difference {self.largest:.1e}; "
            + (
                f"the highest of {self.changed:,} is another."
                if self.changed
                else "the highest of each is the same."
            )
        ]
        for margin, where in sorted(self.margins or [], reverse=True)[:_LISTED]:
            found.append(f"Another is highest in {where}: it led by {margin:.2e}.")
        return found


@dataclass(frozen=True)
class ExportedEvaluation:
    """The evaluation of the exported model, and the figures of the run itself.

    The remarks of the evaluation say what differs.
    """

    evaluation: Evaluation
    own: Evaluation


def evaluate_exported(
    model: Estimator[Any, Any],
    to: str,
    data: Any = None,
    *,
    weights: NumberFormat = "float32",
    **options: Any,
) -> ExportedEvaluation:
    """Evaluate a trained model as it is exported, and itself beside it.

    to, weights: as for `export`. data, options: as for the model's `evaluate`.
    """
    own = model.evaluate(data, **options)
    differences = Differences()
    with (
        tempfile.TemporaryDirectory() as folder,
        exported(model, to, Path(folder), weights=weights) as on,
    ):
        on(differences)
        found = model.evaluate(data, **options)
    remarks = [*found.remarks, *differences.remarks(to), _compared(found, own)]
    return ExportedEvaluation(Evaluation(found.numbers, found.sections, remarks), own)


def _compared(found: Evaluation, own: Evaluation) -> str:
    """A sentence on the figures that differ from the run's, as they are shown."""
    others = [
        f"{name} {_shown(found[name])} for {_shown(value)}"
        for name, value in own.numbers.items()
        if _shown(found[name]) != _shown(value)
    ]
    if not others:
        return "Every figure is that of the run itself."
    return f"Figures that differ from the run's: {', '.join(others)}."


def _shown(value: float) -> str:
    """A number to the digits that tables have."""
    return f"{value:.5g}"


@contextmanager
def exported(
    model: Estimator[Any, Any], to: str, folder: Path, *, weights: NumberFormat
) -> Iterator[Any]:
    """The model's networks run from exported files, while the context lasts.

    Gives a function that begins to count differences.
    """
    target, networks = named_target(to, weights=weights), model.exportables()
    names, metadata = network_names(len(networks)), target.metadata(model)
    begun: list[tuple[Exportable, ProgramRun]] = []
    for name, exportable in zip(names, networks, strict=True):
        own = folder / name
        own.mkdir()
        files = target.files(exportable, name, metadata)
        begun.append((exportable, target.run(exportable, files, own)))

    def begin(differences: Differences) -> None:
        for exportable, run in begun:
            watched = _watched(exportable, run, differences)
            exportable.net.forward = exportable.stand_in(watched)

    try:
        yield begin
    finally:
        for exportable, _ in begun:
            exportable.net.__dict__.pop("forward", None)


def _watched(exportable: Exportable, run: ProgramRun, differences: Differences) -> ProgramRun:
    """The run, whose outputs are held against the network's own."""
    forward = type(exportable.net).forward
    calls = 0

    def watched(x: Tensor, lengths: Tensor | None, states: Any) -> tuple[Tensor, Any]:
        nonlocal calls
        calls += 1
        mine, theirs = states or (None, None)
        found, after = run(x, lengths, theirs)
        with torch.inference_mode():
            if exportable.form == "stream":
                own, mine = forward(exportable.net, x.squeeze(-1), mine)
            elif exportable.form == "whole":
                own = forward(exportable.net, x)
            else:
                own = forward(exportable.net, x, lengths)
                own = own[0] if exportable.form == "frames" else own
        inside = torch.ones(found.shape[:-1], dtype=torch.bool)
        if lengths is not None and found.dim() == 3:
            ends = lengths
            for steps in exportable.program.output.pooled:
                ends = -(-ends // steps)
            inside = torch.arange(len(found)).unsqueeze(1) < ends
        differences.count(own, found, inside, f"batch {calls}")
        return found, (mine, after)

    return watched
