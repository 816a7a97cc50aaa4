"""All analyses of a model on real data, from one run of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from recurra.insight.diagnosis import judge
from recurra.insight.dynamics import dynamics_of
from recurra.insight.flow import flow_of
from recurra.insight.long_drive import drive
from recurra.insight.network_facts import arrivals, input_facts
from recurra.insight.recorded_model import Loss, eager, record, step_losses
from recurra.insight.saturation import activity_of
from recurra.insight.state_geometry import state_space
from recurra.insight.task_memory import TaskMemory, task_memory
from recurra.insight.verdicts import Evidence, LayerInsight, Verdict
from recurra.nn.observe.recording import LayerRun

__all__ = ["Inspection", "clipped_share", "inspect_model"]

LARGE = 256
"""Layers with more state units have fewer exponents, and radius and norm at fewer steps."""


@dataclass(frozen=True, eq=False)
class Inspection:
    """The analyses of each recurrent layer of a model, with verdicts.

    Attributes:
        layers: the analyses, layer by layer.
        verdicts: the findings in words, with remedies.
        values: by layer and then by name, each named value of the equations, (T, B, size).
        inputs: by layer, its input, (T, B, I).
        lengths: (B,), the steps of each row in the first layer; later steps are padding.
        clipped: the share of training steps that were clipped, None where it is not known.
        task: what the network has learnt of its task, None where no loss was given.
    """

    layers: tuple[LayerInsight, ...]
    verdicts: tuple[Verdict, ...]
    values: Mapping[str, Mapping[str, Tensor]]
    inputs: Mapping[str, Tensor]
    lengths: Tensor
    clipped: float | None = None
    task: TaskMemory | None = None

    def __str__(self) -> str:
        return "\n".join(map(str, self.verdicts))


@eager()
def inspect_model(
    model: nn.Module,
    batch: Any,
    *,
    loss: Loss | None = None,
    judges: bool = True,
    at: int | Sequence[int] | None = None,
    states: Sequence[str] | None = None,
    rows: Sequence[int] = (0,),
    memory: int | None = None,
    window: int | None = None,
    metrics: Sequence[Mapping[str, Any]] = (),
    step: str | None = None,
) -> Inspection:
    """Analyse gradient flow, memory, dynamics, gates and units of every recurrent layer.

    Args:
        model: any module with recurrent layers of recurra.nn or torch.nn inside, or a loop of its
            own. It is left as it was.
        batch: as for `gradient_flow`, and so are `loss`, `at` and `states`.
        judges: whether `loss` is that of the model's task, so that it says how good the model is.
        rows: the rows of the batch whose Jacobians are computed.
        memory: the number of steps back that the task needs the gradient to reach.
        window: the steps of a window of truncated BPTT in the training, None for whole sequences.
        metrics: the lines of a run's metrics.jsonl, for the share of clipped steps.
        step: what computes a step of a loop that the model has of its own, as for `inspect`.

    Raises:
        InsightError: as `gradient_flow` and `jacobians` do.

    Example:
        >>> import torch
        >>> from recurra.nn import RNN
        >>> found = inspect_model(RNN(3, 8), torch.randn(60, 2, 3))
        >>> found.verdicts[0].name
        'vanishing'
    """
    recorded = record(model, batch, step)
    losses = step_losses(recorded, loss, [at] if isinstance(at, int) else at)
    flow = flow_of(recorded, losses, states)
    arrived = arrivals(recorded, losses.values.sum())
    layers = tuple(
        LayerInsight(
            layer,
            activity_of(run),
            dynamics_of(run, rows, **_effort(run)),
            drive(run),
            arrival,
            state_space(run),
        )
        for run, layer, arrival in zip(recorded.runs, flow.layers, arrived, strict=True)
    )
    task = None if loss is None or not judges else task_memory(model, batch, recorded, loss)
    share = clipped_share(metrics)
    facts = input_facts(recorded.runs[0])
    found = judge(Evidence(layers, facts, task, memory, window, share, unjudged=not judges))
    values = {run.name: _values(run, stride) for run, stride in recorded.layers()}
    inputs = {run.name: _by_step(run.inputs, stride) for run, stride in recorded.layers()}
    lengths = _by_step(recorded.runs[0].active, recorded.strides[0]).sum(0)
    return Inspection(layers, found, values, inputs, lengths, share, task)


def clipped_share(metrics: Sequence[Mapping[str, Any]]) -> float | None:
    """The share of a training's steps that were clipped; None where no step was logged."""
    clipped, before = 0.0, 0
    for line in metrics:
        if "clipped_share" in line:
            clipped += line["clipped_share"] * (line["step"] - before)
            before = line["step"]
    return clipped / before if before else None


def _effort(run: LayerRun) -> dict[str, int]:
    size = sum(s.shape[-1] for s in run.before[0])
    return {"samples": 8, "exponents": 64} if size > LARGE else {}


def _values(run: LayerRun, stride: int) -> dict[str, Tensor]:
    return {name: _by_step(value, stride) for name, (_, value) in run.values().items()}


def _by_step(values: Tensor, stride: int) -> Tensor:
    """Values (T, B, ...) of a dilated layer's chains, (T / stride, stride * B, ...)."""
    return torch.unflatten(values, 1, (stride, -1)).flatten(0, 1)
