"""Recurrent layers run step by step under the eyes of an analysis.

Within `recording()` every layer and direction is interpreted one step after another, and the states
of each step are nodes of autograd's graph.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from recurra.ir import Graph, Node
from recurra.nn.observe.named_values import Named, named_values
from recurra.nn.observe.observer import Onlooker, looking
from recurra.ragged import padded

if TYPE_CHECKING:
    from recurra.nn.execute import Kernel, Parameters, Sequences

__all__ = ["LayerRun", "Recorder", "Reference", "recording"]

States = tuple[Tensor, ...]


class Reference(Protocol):
    """What interprets a cell."""

    graph: Graph

    def step(
        self, x: Tensor, states: Sequence[Tensor], params: Mapping[str, Tensor]
    ) -> tuple[Tensor, ...]:
        """One step: x (..., I), states (..., size) to the new states."""

    def evaluate(
        self,
        nodes: Sequence[Node],
        x: Tensor,
        params: Mapping[str, Tensor],
        states: Sequence[Tensor] = (),
    ) -> list[Tensor]:
        """Values of nodes for x of all steps, (T, B, I), and what each reads of the states."""


@dataclass(eq=False)
class LayerRun:
    """One layer and direction, over one batch of B sequences of T steps, in padded form.

    Args:
        name: the module's name in the model, with layer and direction where it has several.
        cell: what interprets its cell.
        reverse: whether it reads each sequence from its end.
        inputs: (T, B, I), without history.
        params: the parameters by the names of the equations, without history; what the equations
            are given for each step, such as a mask, is (T, B, size).
        active: (T, B), False at the steps after a sequence's end.
        begins: (T, B), True where a segment begins, so that the step starts from zeros.
        before: of each time t the states (B, size) that the step starts from.
        after: of each time t the states (B, size) that it ends with, nodes of autograd's graph.
    """

    name: str
    cell: Reference
    reverse: bool
    inputs: Tensor
    params: Mapping[str, Tensor]
    active: Tensor
    begins: Tensor
    before: list[States] = field(default_factory=list)
    after: list[States] = field(default_factory=list)

    @property
    def order(self) -> range:
        """The times in the order in which they are run."""
        steps = range(len(self.inputs))
        return steps[::-1] if self.reverse else steps

    @property
    def graph(self) -> Graph:
        """The equations of its cell."""
        return self.cell.graph

    @torch.no_grad()
    def values(self) -> dict[str, tuple[Named, Tensor]]:
        """Each named value with what it is: (T, B, size)."""
        named = named_values(self.graph)
        states = [torch.stack(s) for s in zip(*self.before, strict=True)]
        nodes = [n.node for n in named]
        found = self.cell.evaluate(nodes, self.inputs, self.params, states)
        shape = self.active.shape
        return {n.name: (n, v.expand(*shape, -1)) for n, v in zip(named, found, strict=True)}


@dataclass(eq=False)
class Recorder(Onlooker):
    """What the layers of one run of a model did, in the order in which they ran."""

    runs: list[LayerRun] = field(default_factory=list)

    def run(
        self,
        kernel: Kernel,
        x: Tensor,
        states: Sequence[Tensor],
        params: Parameters,
        sequences: Sequences,
        label: str,
    ) -> tuple[Tensor, States]:
        """Run and keep a layer and direction; `label` goes after the module's name.

        Gradients are those of the loss itself: `bptt_clip` limits none of them.
        """
        cell, s, given = kernel.reference, sequences, kernel.named(params)
        active = s.active(x.device)
        if active is None:
            active = x.new_ones(x.shape[:2], dtype=torch.bool)
        if s.is_packed:
            masks = {name: padded(given[name], active) for name, _ in cell.graph.givens}
            x, given = padded(x, active), {**given, **masks}
        x = x.masked_fill(~active.unsqueeze(-1), 0)
        run = LayerRun(
            name=self.name(label, [run.name for run in self.runs]),
            cell=cell,
            reverse=s.reverse,
            inputs=x.detach(),
            params={name: value.detach() for name, value in given.items()},
            active=active,
            begins=_begins(active, s.resets, s.reverse),
        )
        last = _run(run, x, tuple(states), given)
        self.runs.append(run)
        ended = ~active.unsqueeze(-1)
        shown = [torch.stack(v).masked_fill(ended, 0) for v in zip(*run.after, strict=True)]
        y = shown[0][active] if s.is_packed else shown[0]
        return y, (tuple(shown) if s.every else last)


@contextlib.contextmanager
def recording() -> Iterator[Recorder]:
    """Have every recurrent layer that runs in this context recorded."""
    recorder = Recorder()
    with looking(recorder):
        yield recorder


def _run(run: LayerRun, x: Tensor, states: States, params: Mapping[str, Tensor]) -> States:
    """Every step; fills `before` and `after`, and returns the last states."""
    # Cut at once: back from each step cut alone comes a gradient as large as all steps together.
    inputs = x.unbind()
    given = {name: params[name].unbind() for name, _ in run.graph.givens}
    for t in run.order:
        states = tuple(s.masked_fill(run.begins[t].unsqueeze(-1), 0) for s in states)
        now = {name: steps[t] for name, steps in given.items()}
        new = tuple(map(_node, run.cell.step(inputs[t], states, {**params, **now})))
        run.before.append(states)
        run.after.append(new)
        goes_on = run.active[t].unsqueeze(-1)
        states = tuple(torch.where(goes_on, n, s) for n, s in zip(new, states, strict=True))
    if run.reverse:
        run.before.reverse()
        run.after.reverse()
    return states


def _node(state: Tensor) -> Tensor:
    """A state that autograd can be asked about even where no weight or input needs a gradient."""
    # A layer that the model runs under no_grad stays apart from the loss: the user is to see that.
    if state.requires_grad or not torch.is_grad_enabled():
        return state
    return state.detach().requires_grad_()


def _begins(active: Tensor, resets: Tensor | None, reverse: bool) -> Tensor:
    """Where the state that a step starts from stands on the other side of a segment's start."""
    if resets is None:
        return torch.zeros_like(active)
    marks = resets & active
    return torch.cat([marks[1:], torch.zeros_like(marks[:1])]) if reverse else marks
