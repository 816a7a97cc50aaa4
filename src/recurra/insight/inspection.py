"""Everything that can be said of a model on real data, from one run of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from recurra.insight.dynamics import dynamics_of
from recurra.insight.flow import flow_of
from recurra.insight.losses import step_losses
from recurra.insight.record import Loss, Recording, eager, record
from recurra.insight.saturation import activity_of
from recurra.insight.verdicts import LayerInsight, Verdict, clipping_verdicts, verdicts
from recurra.nn.observe.recording import LayerRun

__all__ = ["Inspection", "clipped_share", "inspect_model"]

LARGE = 256
"""Layers with more state units have radius, norm and exponents taken at fewer places."""


@dataclass(frozen=True, eq=False)
class Inspection:
    """What was found in each recurrent layer of a model, with verdicts.

    `values` gives, by layer and then by name, every named value of the equations over time for the
    batch's rows, (T, B, size); `clipped` is the share of training steps that were clipped.
    """

    layers: tuple[LayerInsight, ...]
    verdicts: tuple[Verdict, ...]
    values: Mapping[str, Mapping[str, Tensor]]
    inputs: Mapping[str, Tensor]
    clipped: float | None = None

    def __str__(self) -> str:
        return "\n".join(map(str, self.verdicts))


@eager()
def inspect_model(
    model: nn.Module,
    batch: Any,
    *,
    loss: Loss | None = None,
    at: int | Sequence[int] | None = None,
    states: Sequence[str] | None = None,
    rows: Sequence[int] = (0,),
    memory: int | None = None,
    metrics: Sequence[Mapping[str, Any]] = (),
) -> Inspection:
    """Gradient flow, dynamics, saturation, units and verdicts of every recurrent layer.

    Args:
        model: any module with recurrent layers of Recurra inside. It is left as it was.
        batch: as for `gradient_flow`, and so are `loss`, `at` and `states`.
        rows: the rows of the batch whose Jacobians are taken.
        memory: how many steps back the task needs the gradient to reach.
        metrics: the lines of a run's metrics.jsonl, for the share of clipped steps.

    Raises:
        InsightError: as `gradient_flow` and `jacobians` do.

    Example:
        >>> import torch
        >>> from recurra.nn import RNN
        >>> found = inspect_model(RNN(3, 8), torch.randn(60, 2, 3))
        >>> found.verdicts[0].name
        'vanishing'
    """
    recorded = record(model, batch)
    losses = step_losses(recorded, loss, [at] if isinstance(at, int) else at)
    flow = flow_of(recorded, losses, states)
    layers = tuple(
        LayerInsight(layer, activity_of(run), dynamics_of(run, rows, **_effort(run)))
        for run, layer in zip(recorded.runs, flow.layers, strict=True)
    )
    share = clipped_share(metrics)
    found = verdicts(layers, memory=memory) + clipping_verdicts(share or 0.0)
    return Inspection(layers, found, _values(recorded), _inputs(recorded), share)


def clipped_share(metrics: Sequence[Mapping[str, Any]]) -> float | None:
    """The share of a training's steps that were clipped, or None where no step was logged."""
    clipped, before = 0.0, 0
    for line in metrics:
        if "clipped_share" in line:
            clipped += line["clipped_share"] * (line["step"] - before)
            before = line["step"]
    return clipped / before if before else None


def _effort(run: LayerRun) -> dict[str, int]:
    size = sum(s.shape[-1] for s in run.before[0])
    return {"samples": 8, "exponents": 64} if size > LARGE else {}


def _values(recorded: Recording) -> dict[str, dict[str, Tensor]]:
    return {run.name: {n: v for n, (_, v) in run.values().items()} for run in recorded.runs}


def _inputs(recorded: Recording) -> dict[str, Tensor]:
    return {run.name: run.inputs for run in recorded.runs}
