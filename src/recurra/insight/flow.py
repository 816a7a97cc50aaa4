"""Gradient flow: the norm of dL/ds_t of every state of every layer, over time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from recurra.errors import InsightError
from recurra.insight.reach import Horizon, LayerReach, reach_of
from recurra.insight.recorded_model import (
    Loss,
    Recording,
    StepLosses,
    eager,
    gradients_of,
    record,
    step_losses,
)
from recurra.nn.observe.recording import LayerRun

__all__ = [
    "GradientFlow",
    "LayerFlow",
    "StateFlow",
    "flow_of",
    "gradient_flow",
]


@dataclass(frozen=True, eq=False)
class StateFlow:
    """The gradient of losses towards one state of one layer and direction.

    Attributes:
        name: the state.
        at: the step of each of K losses; None for a loss over the whole.
        over_time: (K, T), the norm of dL/ds_t over all rows and units.
    """

    name: str
    at: tuple[int | None, ...]
    over_time: Tensor = field(repr=False)


@dataclass(frozen=True, eq=False)
class LayerFlow:
    """Gradient flow through one layer and direction.

    `states` have the gradients of the loss; `reach` says how far back a gradient that starts at the
    layer's output reaches, whatever the loss.
    """

    name: str
    cell: str
    reverse: bool
    states: tuple[StateFlow, ...]
    reach: LayerReach

    @property
    def longest(self) -> StateFlow:
        """The state that carries the gradient farthest: the layer's memory."""
        return max(self.states, key=lambda state: self.reach.carried(state.name))

    @property
    def horizon(self) -> Horizon:
        """How far back a gradient reaches through all states together."""
        return self.reach.horizon


@dataclass(frozen=True)
class GradientFlow(Mapping[str, LayerFlow]):
    """Gradient flow through every layer and direction of a model, a mapping by the layer's name."""

    layers: tuple[LayerFlow, ...]

    def __getitem__(self, name: str) -> LayerFlow:
        """The layer of that name; KeyError with the names there are where it is missing."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(f"no layer {name!r}; there are {', '.join(f.name for f in self.layers)}")

    def __iter__(self) -> Iterator[str]:
        """The names of the layers, in the order they run in."""
        return iter([layer.name for layer in self.layers])

    def __len__(self) -> int:
        return len(self.layers)

    def __str__(self) -> str:
        return "\n".join(
            f"{layer.name} ({layer.cell}): horizon {layer.horizon}; through {layer.longest.name} "
            f"the gradient {layer.horizon.pace}"
            for layer in self.layers
        )


@eager()
def gradient_flow(
    model: nn.Module,
    batch: Any,
    *,
    loss: Loss | None = None,
    at: int | Sequence[int] | None = None,
    states: Sequence[str] | None = None,
) -> GradientFlow:
    """Follow the gradient of a loss back in time through each recurrent layer of a model.

    Args:
        model: any module with recurrent layers of recurra.nn or torch.nn inside. It is left as it
            was.
        batch: its input: a tensor, a packed sequence, a tuple of arguments, or a mapping.
        loss: a function from the model's output to one number or to one for each step, (T,). By
            default half the sum of squares of the output, for each step where it has steps.
        at: the step, or steps, whose loss is followed; by default the last, and for a reverse
            layer the first.
        states: the states to follow; by default all of each cell.

    The gradients are those of the loss itself, never clipped.

    Raises:
        InsightError: no recurrent layer runs, the loss is not finite or doesn't depend on a layer
            or a state, or `at` is outside the sequence.

    Example:
        >>> from recurra.nn import RNN
        >>> flow = gradient_flow(RNN(3, 8), torch.randn(40, 2, 3))
        >>> flow.layers[0].horizon.reached
        True
    """
    recorded = record(model, batch)
    steps = [at] if isinstance(at, int) else at
    return flow_of(recorded, step_losses(recorded, loss, steps), states)


def flow_of(
    recorded: Recording, losses: StepLosses, states: Sequence[str] | None = None
) -> GradientFlow:
    """The gradient flow of a recorded run."""
    wanted = {at for run in recorded.runs for at in losses.at(reverse=run.reverse)}
    by_loss = {at: _gradients(recorded, losses.value(at), states) for at in wanted}
    layers = []
    for index, (run, stride) in enumerate(recorded.layers()):
        at = losses.at(reverse=run.reverse)
        layers.append(_layer(run, at, [by_loss[a][index] for a in at], stride))
    return GradientFlow(tuple(layers))


Squares = dict[str, Tensor]
"""For each state the squared norm of its gradient at each time, in each row, (T, B)."""


def _gradients(recorded: Recording, loss: Tensor, states: Sequence[str] | None) -> list[Squares]:
    """The squared norms of the gradient of one loss, for each run."""
    nodes = [s for run in recorded.runs for after in run.after for s in after]
    gradients = gradients_of(loss, nodes)
    return [_squares(run, gradients, states) for run in recorded.runs]


def _squares(
    run: LayerRun, gradients: Mapping[int, Tensor | None], states: Sequence[str] | None
) -> Squares:
    by_state = {
        name: [gradients.get(id(after[k])) for after in run.after]
        for k, name in enumerate(run.graph.states)
    }
    if all(g is None for of_state in by_state.values() for g in of_state):
        raise InsightError(
            f"The loss doesn't depend on the layer {run.name}; take it from what the layer feeds, "
            "without detach() or no_grad() in between, or leave the layer out of the model."
        )
    followed = [name for name in run.graph.states if states is None or name in states]
    if not followed:
        raise InsightError(
            f"The cell {run.graph.cell} of the layer {run.name} has none of the states "
            f"{list(states or ())}; its states are {', '.join(run.graph.states)}."
        )
    return {name: _state_squares(run, name, by_state[name]) for name in followed}


def _state_squares(run: LayerRun, name: str, gradients: Sequence[Tensor | None]) -> Tensor:
    if all(g is None for g in gradients):
        others = tuple(s for s in run.graph.states if s != name)
        raise InsightError(
            f"The state {name} of the cell {run.graph.cell} (layer {run.name}) can't be "
            f"differentiated: no path leads from it to the loss; follow the others: "
            f"states={others}."
        )
    zero = run.active.new_zeros(run.active.shape[1], dtype=torch.double)
    rows = [zero if g is None else g.double().square().sum(-1) for g in gradients]
    return torch.stack(rows)


def _layer(run: LayerRun, at: list[int | None], parts: list[Squares], stride: int) -> LayerFlow:
    states = []
    for name in parts[0]:
        norms = torch.stack([part[name].sum(1).sqrt() for part in parts])
        states.append(StateFlow(name, tuple(at), norms))
    return LayerFlow(run.name, run.graph.cell, run.reverse, tuple(states), reach_of(run, stride))
