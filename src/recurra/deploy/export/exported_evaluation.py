"""An exported model, scored by its task's own evaluation."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from recurra.deploy.export.c_source import NumberFormat
from recurra.deploy.export.run_export import named_target, network_names
from recurra.errors import ConfigError
from recurra.ragged import within
from recurra.tasks.estimator import Estimator
from recurra.tasks.exportable import Exportable, ProgramRun
from recurra.tasks.task import Evaluation

__all__ = ["ExportedEvaluation", "evaluate_exported"]

_LISTED = 10
"""Answers that are listed one by one."""


@dataclass
class Differences:
    """What the outputs of exported networks differ by from those of the run's own.

    `ranked` counts the outputs of several numbers, `margins` those of them whose highest number is
    another one, with the lead that it had.
    """

    outputs: int = 0
    ranked: int = 0
    largest: float = 0.0
    margins: list[tuple[float, str]] = field(default_factory=list)

    def count(self, own: Tensor, other: Tensor, inside: Tensor, place: str) -> None:
        """Take in outputs (..., K), of which those `inside` (...) count."""
        if not inside.any():
            return
        wanted, found = own[inside], other[inside]
        self.outputs += len(wanted)
        self.largest = max(self.largest, float((wanted - found).abs().max()))
        if wanted.shape[-1] < 2:
            return
        self.ranked += len(wanted)
        differs = wanted.argmax(-1) != found.argmax(-1)
        top = wanted.topk(2, -1).values
        places = inside.nonzero()
        for number in differs.nonzero()[:, 0].tolist():
            where = ", ".join(map(str, places[number].tolist()))
            lead = float(top[number, 0] - top[number, 1])
            self.margins.append((lead, f"{place}, output ({where})"))

    def remarks(self, target: str) -> list[str]:
        """Sentences for whoever reads the figures."""
        said = (
            f"Exported to {target}: {self.outputs:,} outputs of the networks, the largest "
            f"difference {self.largest:.1e}"
        )
        if self.margins:
            said += f"; the highest of {len(self.margins):,} is another"
        elif self.ranked:
            said += "; the highest of each is the same"
        worst = sorted(self.margins, reverse=True)[:_LISTED]
        return [f"{said}.", *(f"Another is highest in {w}: it led by {m:.2e}." for m, w in worst)]


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

    Raises, besides what these do, ConfigError where the evaluation doesn't call the networks that
    are exported: it steps their layers, as it does for series of many thousand steps.
    """
    own = model.evaluate(data, **options)
    with (
        tempfile.TemporaryDirectory() as folder,
        _exported(model, to, Path(folder), weights) as differences,
    ):
        found = model.evaluate(data, **options)
    if not differences.outputs:
        raise ConfigError(
            "The evaluation of these data steps the layers of the run one by one, and never calls "
            "the network that is exported, so nothing of it was measured; give shorter sequences."
        )
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
def _exported(
    model: Estimator[Any, Any], to: str, folder: Path, weights: NumberFormat
) -> Iterator[Differences]:
    """The model's networks run from exported files while the context lasts; what they differ by."""
    target, networks = named_target(to, weights=weights), model.exportables()
    names, metadata = network_names(len(networks)), target.metadata(model)
    differences, stand_ins = Differences(), []
    for name, exportable in zip(names, networks, strict=True):
        own = folder / name
        own.mkdir()
        files = target.files(exportable, name, metadata)
        run = target.run(exportable, files, own)
        stand_ins.append(exportable.stand_in(_watched(exportable, run, differences)))
    try:
        for exportable, stand_in in zip(networks, stand_ins, strict=True):
            exportable.net.forward = stand_in
        yield differences
    finally:
        for exportable in networks:
            exportable.net.__dict__.pop("forward", None)


def _watched(exportable: Exportable, run: ProgramRun, differences: Differences) -> ProgramRun:
    """The run, whose outputs are held against the network's own."""
    calls = 0

    def watched(x: Tensor, lengths: Tensor | None, states: Any) -> tuple[Tensor, Any]:
        nonlocal calls
        calls += 1
        mine, theirs = states or (None, None)
        found, after = run(x, lengths, theirs)
        with torch.inference_mode():
            own, mine = exportable.called(x, lengths, mine)
        inside = torch.ones(found.shape[:-1], dtype=torch.bool)
        if lengths is not None and found.dim() == 3:
            ends = exportable.program.output.steps_of(lengths)
            inside = within(ends, len(found))
        differences.count(own, found, inside, f"batch {calls}")
        return found, (mine, after)

    return watched
