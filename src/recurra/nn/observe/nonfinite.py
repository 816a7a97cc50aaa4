"""Finds the equation of a cell where numbers, or their gradients, stop being finite.

A recorded run has the states before each step, so every equation of every step can be computed
again at once, and its gradient from that of the step's new states.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.ir import Node
from recurra.nn.observe.recording import LayerRun
from recurra.nn.states import States

__all__ = ["Origin", "backward_origin", "forward_origin"]

_Values = Mapping[Node, Tensor]


@dataclass(frozen=True)
class Origin:
    """The equation where a run stopped being finite.

    Args:
        layer: the run's name.
        equation: its place and text in the cell's source.
        step: the time of the step, from 0.
        largest: the largest magnitude among the equation's operands there.
        is_gradient: True if its derivative isn't finite, False if its value isn't.
    """

    layer: str
    equation: str
    step: int
    largest: float
    is_gradient: bool

    def __str__(self) -> str:
        what = "the derivative of the equation" if self.is_gradient else "the equation"
        return f"{what} at {self.equation}, of layer `{self.layer}`, at time step {self.step}"


@torch.no_grad()
def forward_origin(run: LayerRun) -> Origin | None:
    """The first equation whose value isn't finite though its operands are; None if all are."""
    params = {name: _wide(value) for name, value in run.params.items()}
    values = _values(run, _wide(run.inputs), params, [*map(_wide, _stacked(run.before))])
    for t in run.order:
        bad = [node for node in run.graph.results if _is_bad(run, values[node], t)]
        if bad and _all_finite(run, [run.inputs, *_stacked(run.before)], t):
            return _origin(run, _source(run, values, bad[0], t), values, t, is_gradient=False)
    return None


def backward_origin(run: LayerRun, loss: Tensor) -> Origin | None:
    """The equation whose derivative isn't finite though the gradient that reaches it is.

    Looks at the steps in backward order; None if all are finite, or if the layer ran without
    gradients. The graph of `loss` is kept.
    """
    after = [state for states in run.after for state in states]
    if not all(state.requires_grad for state in after):
        return None
    slopes = torch.autograd.grad(loss, after, retain_graph=True, materialize_grads=True)
    count = len(run.graph.states)
    seeds = [_wide(torch.stack(slopes[i::count])) for i in range(count)]
    with torch.enable_grad():
        states = [_wide(s).detach().requires_grad_() for s in _stacked(run.before)]
        leaves = {n: _wide(v).detach().requires_grad_() for n, v in run.params.items()}
        values = _values(run, _wide(run.inputs).detach().requires_grad_(), leaves, states)
    timed = [n for n, v in values.items() if v.dim() == 3 and v.requires_grad]
    found = torch.autograd.grad(
        [values[n] for n in run.graph.results],
        [values[n] for n in timed],
        seeds,
        retain_graph=True,
        materialize_grads=True,
    )
    gradients = dict(zip(timed, found, strict=True))
    for t in reversed(run.order):
        if not _all_finite(run, seeds, t):
            continue
        bad = [node for node in timed if _is_bad(run, gradients[node], t)]
        if bad:
            user = _culprit(run, values, gradients, bad[-1], t)
            return _origin(run, user, values, t, is_gradient=True)
    return None


def _culprit(run: LayerRun, values: _Values, gradients: _Values, bad: Node, t: int) -> Node:
    """The equation that reads `bad`, whose gradient isn't finite, and made it so."""
    users = [node for node in gradients if bad in node.args]
    for user in users:  # the nearest first: a path from a later one may lead through it
        (part,) = torch.autograd.grad(
            values[user], values[bad], gradients[user], retain_graph=True, materialize_grads=True
        )
        if _is_bad(run, part, t):
            return user
    return users[-1] if users else bad


def _source(run: LayerRun, values: _Values, node: Node, t: int) -> Node:
    """The node itself or, where it only passes on what isn't finite, the one that began it."""
    bad = [arg for arg in node.args if _is_bad(run, values[arg], t)]
    return _source(run, values, bad[0], t) if bad else node


def _origin(run: LayerRun, node: Node, values: _Values, t: int, *, is_gradient: bool) -> Origin:
    operands = [_at(run, values[arg], t).abs().max().item() for arg in node.args]
    return Origin(
        run.name,
        str(node.where or node.op),
        t,
        max(operands, default=0.0),
        is_gradient,
    )


def _values(
    run: LayerRun, x: Tensor, params: Mapping[str, Tensor], states: Sequence[Tensor]
) -> dict[Node, Tensor]:
    """Every value of the equations, at every step."""
    nodes = run.graph.nodes
    return dict(zip(nodes, run.cell.evaluate(nodes, x, params, states), strict=True))


def _wide(value: Tensor) -> Tensor:
    """The value as the equations have it: tensors of 16 bits are float32 inside."""
    return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value


def _stacked(steps: Sequence[States]) -> list[Tensor]:
    return [torch.stack(s) for s in zip(*steps, strict=True)]


def _at(run: LayerRun, value: Tensor, t: int) -> Tensor:
    """A value at a step, of the sequences that have not ended; one that has no steps as a whole."""
    return value[t][run.active[t]] if value.dim() == 3 and len(value) == len(run.active) else value


def _is_bad(run: LayerRun, value: Tensor, t: int) -> bool:
    return not bool(torch.isfinite(_at(run, value, t)).all())


def _all_finite(run: LayerRun, values: Sequence[Tensor], t: int) -> bool:
    return not any(_is_bad(run, value, t) for value in values)
