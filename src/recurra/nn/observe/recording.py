"""Records recurrent layers step by step, for analyses.

Within `recording()` every layer and direction is interpreted one step after another, so that the
states of each step are nodes of autograd's graph.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, cast, get_args

import torch
from torch import Tensor

from recurra.ir import Graph, Node
from recurra.nn.observe.observer import Observer, observing
from recurra.nn.states import States
from recurra.ragged import padded

if TYPE_CHECKING:
    from recurra.nn.execute import Kernel, Parameters, Sequences

__all__ = [
    "CellInterpreter",
    "Kind",
    "LayerRecorder",
    "LayerRun",
    "NamedValue",
    "gate_of",
    "named_values",
    "position",
    "recording",
    "sum_terms",
]


class CellInterpreter(Protocol):
    """Computes the equations of a cell with torch operations."""

    graph: Graph

    def step(
        self, x: Tensor, states: Sequence[Tensor], params: Mapping[str, Tensor]
    ) -> tuple[Tensor, ...]:
        """One step: the new states from x (..., I) and states (..., size)."""

    def widened(
        self, x: Tensor, states: Sequence[Tensor], params: Mapping[str, Tensor]
    ) -> tuple[Tensor, Sequence[Tensor], Mapping[str, Tensor]]:
        """The tensors as the equations have them: in float32 where all are of 16 bits."""

    def evaluate(
        self,
        nodes: Sequence[Node],
        x: Tensor,
        params: Mapping[str, Tensor],
        states: Sequence[Tensor] = (),
    ) -> list[Tensor]:
        """Values of nodes for x of all steps, (T, B, I), and the states before each step."""


Kind = Literal["sigmoid", "tanh", "relu", "other"]


@dataclass(frozen=True)
class NamedValue:
    """One value of a step: a gate, a candidate, a state.

    `kind` is the function that gives it. `keeps` is the state that a gate multiplies into the same
    state's next value, so that a closed forget gate loses memory; with `inverted` the gate keeps it
    where it is 0, as in `(1 - f) * h + f * n`.
    """

    name: str
    kind: Kind
    node: Node
    keeps: str | None = None
    inverted: bool = False


_LEAVES = ("input", "state", "param", "given", "const")


def named_values(graph: Graph) -> tuple[NamedValue, ...]:
    """The values that have a name in the equations and every squashed value, in source order.

    A new state has the state's name; a squashed value without a name is called `tanh(c)`, say.
    """
    keepers = _keepers(graph)
    results = dict(zip(graph.results, graph.states, strict=True))
    values: dict[str, NamedValue] = {}
    for node in sorted(graph.nodes, key=position):
        name = results.get(node) or node.name or _call(node)
        if name and len(node.shape) == 1 and node.op not in _LEAVES:
            keeps = keepers.get(node, (None, False))
            values.setdefault(name, NamedValue(name, _kind(node), node, *keeps))
    return tuple(values.values())


def position(node: Node) -> tuple[int, int]:
    """Line and column of the expression that a node came from."""
    return (node.where.line, node.where.column) if node.where else (0, 0)


def _call(node: Node) -> str:
    """`tanh(c)` for a squashed value without a name; empty for other values."""
    if node.op not in get_args(Kind):
        return ""
    arg = node.args[0]
    return f"{node.op}({arg.name or arg.detail if arg.op == 'state' or arg.name else '...'})"


def _kind(node: Node) -> Kind:
    op = (node.args[0] if node.op == "gate" else node).op
    return cast("Kind", op) if op in get_args(Kind) else "other"


def _keepers(graph: Graph) -> dict[Node, tuple[str, bool]]:
    """The gates that keep a state: that state, and whether they keep it where they are 0."""
    keepers: dict[Node, tuple[str, bool]] = {}
    for state, result in zip(graph.states, graph.results, strict=True):
        for term in sum_terms(result):
            if term.op == "mul":
                keepers |= _keepers_in(term, state)
    return keepers


def _keepers_in(product: Node, state: str) -> dict[Node, tuple[str, bool]]:
    keepers = {}
    for gate, other in (product.args, product.args[::-1]):
        found = gate_of(gate)
        if found is not None and other.op == "state" and other.detail == state:
            keepers[found[0]] = (state, found[1])
    return keepers


def gate_of(factor: Node) -> tuple[Node, bool] | None:
    """The gate that a factor is, and whether it is taken from 1; None for another value."""
    if _kind(factor) == "sigmoid":
        return factor, False
    if factor.op == "sub" and factor.args[0].op == "const" and _kind(factor.args[1]) == "sigmoid":
        return factor.args[1], True
    return None


def sum_terms(node: Node) -> list[Node]:
    """The terms of a sum."""
    if node.op not in ("add", "sub"):
        return [node]
    return [term for arg in node.args for term in sum_terms(arg)]


@dataclass(eq=False)
class LayerRun:
    """One layer and direction, over one batch of B sequences of T steps, in padded form.

    Args:
        name: the module's name in the model, with layer and direction where it has several.
        cell: the interpreter of its cell.
        reverse: whether it reads each sequence from its end.
        inputs: (T, B, I), without history.
        params: the parameters by the names of the equations, without history; inputs of each step
            besides x, such as a mask, are (T, B, size). All is float32 where the layer has 16 bits.
        active: (T, B), False at the steps after a sequence's end.
        begins: (T, B), True at the first step of a segment, which starts from zeros.
        before: for each time t the states (B, size) that the step reads.
        after: for each time t the states (B, size) that it gives, nodes of autograd's graph.
    """

    name: str
    cell: CellInterpreter
    reverse: bool
    inputs: Tensor
    params: Mapping[str, Tensor]
    active: Tensor
    begins: Tensor
    before: list[States] = field(default_factory=list)
    after: list[States] = field(default_factory=list)

    @property
    def order(self) -> range:
        """The times in the order in which they run."""
        steps = range(len(self.inputs))
        return steps[::-1] if self.reverse else steps

    def in_order(self, values: Tensor) -> Tensor:
        """Values (T, ...) by time, in the order in which the steps run."""
        return values.flip(0) if self.reverse else values

    @property
    def graph(self) -> Graph:
        """The equations of its cell."""
        return self.cell.graph

    @torch.no_grad()
    def values(self) -> dict[str, tuple[NamedValue, Tensor]]:
        """Every named value of the equations with its tensor, (T, B, size)."""
        named = named_values(self.graph)
        states = [torch.stack(s) for s in zip(*self.before, strict=True)]
        nodes = [n.node for n in named]
        values = self.cell.evaluate(nodes, self.inputs, self.params, states)
        shape = self.active.shape
        return {n.name: (n, v.expand(*shape, -1)) for n, v in zip(named, values, strict=True)}


@dataclass(eq=False)
class LayerRecorder(Observer):
    """Records the layers of one run of a model, in the order in which they run."""

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
        """Run a cell over a sequence and record it; `label` is appended to the module's name.

        Gradients are those of the loss itself: `bptt_clip` limits none of them.
        """
        cell, s, dtype = kernel.reference, sequences, x.dtype
        x, states, named = cell.widened(x, states, kernel.named(params))
        active = s.active(x.device)
        if active is None:
            active = x.new_ones(x.shape[:2], dtype=torch.bool)
        if s.is_packed:
            inputs = {name: padded(named[name], active) for name, _ in cell.graph.givens}
            x, named = padded(x, active), {**named, **inputs}
        x = x.masked_fill(~active.unsqueeze(-1), 0)
        run = LayerRun(
            name=self.run_name(label, [run.name for run in self.runs]),
            cell=cell,
            reverse=s.reverse,
            inputs=x.detach(),
            params={name: value.detach() for name, value in named.items()},
            active=active,
            begins=_begins(active, s.resets, s.reverse),
        )
        last = _run_steps(run, x, tuple(states), named)
        self.runs.append(run)
        ended = ~active.unsqueeze(-1)
        outputs = [torch.stack(v).masked_fill(ended, 0) for v in zip(*run.after, strict=True)]
        y = outputs[0][active] if s.is_packed else outputs[0]
        after = tuple(outputs) if s.every else last
        if y.dtype == dtype:
            return y, after
        return y.to(dtype), tuple(v.to(dtype) for v in after)


@contextlib.contextmanager
def recording() -> Iterator[LayerRecorder]:
    """Record every recurrent layer that runs in this context."""
    recorder = LayerRecorder()
    with observing(recorder):
        yield recorder


def _run_steps(run: LayerRun, x: Tensor, states: States, params: Mapping[str, Tensor]) -> States:
    """Run every step, filling `before` and `after`; returns the last states."""
    # Unbound at once: the gradient of each step indexed alone is as large as all steps together.
    inputs = x.unbind()
    each_step = {name: params[name].unbind() for name, _ in run.graph.givens}
    for t in run.order:
        states = tuple(s.masked_fill(run.begins[t].unsqueeze(-1), 0) for s in states)
        now = {name: steps[t] for name, steps in each_step.items()}
        new = tuple(map(_node, run.cell.step(inputs[t], states, {**params, **now})))
        run.before.append(states)
        run.after.append(new)
        is_active = run.active[t].unsqueeze(-1)
        states = tuple(torch.where(is_active, n, s) for n, s in zip(new, states, strict=True))
    if run.reverse:
        run.before.reverse()
        run.after.reverse()
    return states


def _node(state: Tensor) -> Tensor:
    """A state that has a gradient even where no weight or input needs one."""
    # A layer that the model runs under no_grad stays apart from the loss, as an analysis must show.
    if state.requires_grad or not torch.is_grad_enabled():
        return state
    return state.detach().requires_grad_()


def _begins(active: Tensor, resets: Tensor | None, reverse: bool) -> Tensor:
    """Marks (T, B) of steps that begin a segment, in the direction in which they run."""
    if resets is None:
        return torch.zeros_like(active)
    marks = resets & active
    return torch.cat([marks[1:], torch.zeros_like(marks[:1])]) if reverse else marks
