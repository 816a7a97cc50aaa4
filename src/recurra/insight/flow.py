"""Gradient flow: the norm of dL/ds_t of every state of every layer, over time.

The horizon of a gradient is how far back it reaches; its decay is measured as well.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from recurra.errors import InsightError
from recurra.insight.recorded_model import (
    Loss,
    Recording,
    StepLosses,
    eager,
    record,
    step_losses,
)
from recurra.nn.observe.recording import LayerRun

__all__ = [
    "GradientFlow",
    "Horizon",
    "LayerFlow",
    "StateFlow",
    "find_horizon",
    "flow_of",
    "gradient_flow",
]

NEGLIGIBLE = 1e-5
"""A state with gradients so much smaller than another's carries none of the layer's memory."""


SHARE = 0.01
"""A gradient has reached its horizon where this share of its start is left."""


@dataclass(frozen=True)
class Horizon:
    """The course of a gradient's norm with the distance from its loss.

    Attributes:
        steps: the distance at which its norm first is 1 % of the norm at the start, or less; the
            largest distance where that is not reached.
        reached: whether it is reached.
        factor: the factor of the norm for each step back (a fit to its logarithm, up to the
            horizon); NaN for a single step.
        growth: the largest norm divided by that at the start.
    """

    steps: int
    reached: bool
    factor: float
    growth: float

    def __str__(self) -> str:
        return f"{self.steps} steps" if self.reached else f"at least {self.steps} steps"

    @property
    def pace(self) -> str:
        """The rate of change in words: `halves every 3.1 steps`."""
        if math.isnan(self.factor) or self.factor == 1:
            return "stays constant"
        if self.factor == 0:
            return "vanishes after one step"
        steps = math.log(2) / abs(math.log(self.factor))
        if steps > 1000:
            return "stays constant"
        word = "halves" if self.factor < 1 else "doubles"
        return f"{word} every {steps:.1f} steps" if steps >= 1.05 else f"{word} at every step"


def find_horizon(norms: Tensor, stride: int = 1) -> Horizon:
    """Find the horizon of a gradient from its norms (N,) by distance: 0 first, then 1, ...

    Where the loss doesn't depend on the nearest steps, the start is the first that it depends on.
    A dilated layer's norms are `stride` steps apart; the horizon counts steps of the sequence.

    Example:
        >>> find_horizon(0.5 ** torch.arange(20.0)).steps
        7
    """
    norms = norms.double()
    if not bool(norms.isfinite().all()):
        return Horizon((len(norms) - 1) * stride, False, math.inf, math.inf)
    nonzero = norms.nonzero().flatten()
    if not len(nonzero):
        return Horizon(0, True, 0.0, 0.0)
    first = int(nonzero[0])
    start = float(norms[first])
    small = (norms[first:] <= SHARE * start).nonzero().flatten()
    reached = len(small) > 0
    steps = first + int(small[0]) if reached else len(norms) - 1
    factor = _factor(norms[first : steps + 1]) ** (1 / stride)
    return Horizon(steps * stride, reached, factor, float(norms.max()) / start)


def _factor(norms: Tensor) -> float:
    """The factor for each step: a line fitted to the norm's logarithm by least squares."""
    if float(norms[-1]) == 0:
        norms = norms[:-1]
        if len(norms) < 2:
            return 0.0
    if len(norms) < 2:
        return math.nan
    distance = torch.arange(len(norms), dtype=torch.double)
    distance -= distance.mean()
    slope = (distance * norms.log()).sum() / distance.square().sum()
    return float(slope.exp())


@dataclass(frozen=True, eq=False)
class StateFlow:
    """The gradient of losses towards one state of one layer and direction.

    Attributes:
        name: the state.
        at: the step of each of K losses; None for a loss over the whole.
        over_time: (K, T), the norm of dL/ds_t over all rows and units.
        by_distance: for each loss the norms (N,) by the distance from it: 0 first, then 1 step, ...
            against the layer's direction. Each row counts from its own last step.
        stride: steps of the sequence between two steps of a dilated layer; horizons are counted in
            steps of the sequence.
    """

    name: str
    at: tuple[int | None, ...]
    over_time: Tensor = field(repr=False)
    by_distance: tuple[Tensor, ...] = field(repr=False)
    stride: int = 1

    @cached_property
    def horizons(self) -> tuple[Horizon, ...]:
        """The horizon of each loss."""
        return tuple(find_horizon(norms, self.stride) for norms in self.by_distance)

    @property
    def horizon(self) -> Horizon:
        """The median of the horizons of all losses."""
        return _median(self.horizons)

    @property
    def remains(self) -> float:
        """The share of the last loss's gradient that is left at the largest distance."""
        curve = self.by_distance[-1]
        return float(curve[-1] / curve[0]) if curve[0] > 0 else 0.0


@dataclass(frozen=True, eq=False)
class LayerFlow:
    """Gradient flow through one layer and direction."""

    name: str
    cell: str
    reverse: bool
    states: tuple[StateFlow, ...]

    @property
    def longest(self) -> StateFlow:
        """The state through which the gradient reaches farthest: the layer's memory."""
        largest = max(float(s.over_time.max()) for s in self.states)
        relevant = [s for s in self.states if float(s.over_time.max()) >= NEGLIGIBLE * largest]
        return max(relevant, key=lambda s: (*_reach(s.horizon), s.remains))

    @property
    def horizon(self) -> Horizon:
        """The horizon of the state through which the gradient reaches farthest."""
        return self.longest.horizon


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
        model: any module with recurrent layers of Recurra inside. It is left as it was.
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
    for index, run in enumerate(recorded.runs):
        at = losses.at(reverse=run.reverse)
        parts = [by_loss[a][index] for a in at]
        layers.append(_layer(run, at, parts, losses.steps, recorded.strides[index]))
    return GradientFlow(tuple(layers))


Squares = dict[str, Tensor]
"""For each state the squared norm of its gradient at each time, in each row, (T, B)."""


def _gradients(recorded: Recording, loss: Tensor, states: Sequence[str] | None) -> list[Squares]:
    """The squared norms of the gradient of one loss, for each run."""
    nodes = [s for run in recorded.runs for after in run.after for s in after]
    leaves = [node for node in nodes if node.requires_grad]
    gradients = dict(zip(map(id, leaves), _grad(loss, leaves), strict=True))
    return [_squares(run, gradients, states) for run in recorded.runs]


def _grad(loss: Tensor, nodes: list[Tensor]) -> tuple[Tensor | None, ...]:
    if not nodes:
        return ()
    return torch.autograd.grad(loss, nodes, retain_graph=True, allow_unused=True)


def _squares(
    run: LayerRun, gradients: dict[int, Tensor | None], states: Sequence[str] | None
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


def _layer(
    run: LayerRun,
    at: list[int | None],
    parts: list[Squares],
    steps: int | None,
    stride: int,
) -> LayerFlow:
    states = []
    for name in parts[0]:
        squares = [part[name] for part in parts]
        curves = [_by_distance(run, s, a, steps) for s, a in zip(squares, at, strict=True)]
        norms = torch.stack([s.sum(1).sqrt() for s in squares])
        states.append(StateFlow(name, tuple(at), norms, tuple(curves), stride))
    return LayerFlow(run.name, run.graph.cell, run.reverse, tuple(states))


def _by_distance(run: LayerRun, squares: Tensor, at: int | None, steps: int | None) -> Tensor:
    """Norms by distance, counted in each row from the loss or, if it ends before, from its end.

    The mean at a distance is over the rows that have a step there.
    """
    total = len(squares)
    origin = total - 1 if at is None or steps != total else total - 1 - at if run.reverse else at
    if run.reverse:
        squares = squares.flip(0)
    active = run.active.flip(0) if run.reverse else run.active
    place = torch.arange(total, device=squares.device).unsqueeze(1)
    reached = (squares > 0) if steps not in (None, total) else active
    last = torch.where(reached & (place <= origin), place, -1).amax(0)
    index = last - place
    known = (index >= 0) & active.gather(0, index.clamp(min=0))
    sums = torch.where(known, squares.gather(0, index.clamp(min=0)), 0).sum(1)
    counts = known.sum(1)
    reach = max(1, int(counts.count_nonzero()))
    return (sums[:reach] / counts[:reach].clamp(min=1) * counts[0]).sqrt()


def _median(horizons: Sequence[Horizon]) -> Horizon:
    return sorted(horizons, key=_reach)[(len(horizons) - 1) // 2]


def _reach(horizon: Horizon) -> tuple[int, bool]:
    return horizon.steps, not horizon.reached
