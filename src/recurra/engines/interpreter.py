"""The reference engine: a cell's graph, interpreted with torch operations. The meaning of a cell.

What doesn't depend on a state is computed for the whole sequence at once; the rest one step after
another. Everything is differentiable by autograd to any order, on any device and dtype.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from recurra.ir import Graph, Node, in_order
from recurra.ragged import padded, within

__all__ = ["RULES", "Interpreter", "clip_gradient", "multiply"]

Params = Mapping[str, Tensor]
NodeValues = dict[Node, Tensor]

RULES: dict[str, Callable[..., Tensor]] = {
    "neg": torch.neg,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "softplus": lambda a: torch.logaddexp(a, torch.zeros_like(a)),
    "abs": torch.abs,
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "transpose": lambda a: a.mT,
}


@dataclass(frozen=True)
class _NodeOrder:
    """The nodes in order, by when they can be computed; products by gate grouped to one product."""

    fixed: tuple[Node, ...]
    timed: tuple[Node, ...]
    stepped: tuple[Node, ...]
    boundary: frozenset[Node]
    groups: Mapping[Node, tuple[Node, ...]]


class Interpreter:
    """Runs one cell's graph. `engine` names it to users."""

    engine = step_engine = "interp"

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.plan = _node_order(graph)

    def engine_for(self, weight: Tensor) -> str:
        """The engine that runs whole sequences with weights like this one: always this."""
        return self.engine

    def step(self, x: Tensor, states: Sequence[Tensor], params: Params) -> tuple[Tensor, ...]:
        """One step: x (..., I) and states (..., size) to the new states."""
        values = self._fixed(params, x)
        self._timed(values, x, params)
        return self._step(values, states, params)

    def evaluate(
        self, nodes: Sequence[Node], x: Tensor, params: Params, states: Sequence[Tensor] = ()
    ) -> list[Tensor]:
        """Values of nodes for x of all steps, (T, B, I), at once.

        Those that depend on a state need what each step reads of it, (T, B, size).
        """
        values: NodeValues = {}
        for node in in_order(tuple(nodes)):
            if node.op == "input":
                values[node] = x
            elif node.op == "state":
                values[node] = states[self.graph.states.index(str(node.detail))]
            elif node.op == "const":
                values[node] = x.new_tensor(node.detail)
            else:
                self._evaluate(node, values, params)
        return [values[node] for node in nodes]

    def sequence(
        self,
        x: Tensor,
        states: Sequence[Tensor],
        params: Params,
        *,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
        reverse: bool = False,
        bptt_clip: float | None = None,
        is_packed: bool = False,
        every: bool = False,
    ) -> tuple[Any, ...]:
        """All steps of x (T, B, I) from states (B, size): outputs (T, B, size), last states.

        With `is_packed`, x (N, I) and the outputs (N, size) hold only steps before `lengths`, which
        are sorted, longest first. With `every` a third value holds each state after each step,
        (T, B, size), zeros after the ends.

        Steps at or after `lengths` (B,) leave a row's state alone and give zeros. Where `resets`
        (T, B) is set a new segment begins: states from the other side of its start are zeros.
        Marks at or after a row's length mean nothing.
        `bptt_clip` limits each element of dL/dh_t as it flows back through a step.
        """
        steps = int(lengths[0]) if is_packed and lengths is not None else x.shape[0]
        active = None if lengths is None else within(lengths, steps, x.device)
        if is_packed and active is not None:
            x = padded(x, active)
            given = {name: padded(params[name], active) for name, _ in self.graph.givens}
            params = {**params, **given}
        if active is not None:
            x = x.masked_fill(~active.unsqueeze(-1), 0)
            resets = None if resets is None else resets & active
        values = self._fixed(params, x)
        self._timed(values, x, params)
        by_step = _split_over_time(values, self.plan, steps)
        shown: list[tuple[Tensor, ...]] = [()] * steps
        current = tuple(states)
        for t in reversed(range(steps)) if reverse else range(steps):
            mark = _mark(resets, t, steps, reverse)
            if mark is not None:
                current = tuple(s.masked_fill(mark.unsqueeze(-1), 0) for s in current)
            new = self._step(by_step[t], current, params)
            if bptt_clip is not None:
                new = (clip_gradient(new[0], bptt_clip), *new[1:])
            shown[t] = new if every else new[:1]
            if active is not None:
                now = active[t].unsqueeze(-1)
                shown[t] = tuple(s.masked_fill(~now, 0) for s in shown[t])
                new = tuple(torch.where(now, n, s) for n, s in zip(new, current, strict=True))
            current = new
        stacked = tuple(torch.stack(s) for s in zip(*shown, strict=True))
        y = stacked[0][active] if is_packed and active is not None else stacked[0]
        return (y, current, stacked) if every else (y, current)

    def _fixed(self, params: Params, like: Tensor) -> NodeValues:
        values: NodeValues = {
            n: torch.tensor(n.detail, dtype=like.dtype, device=like.device)
            for n in self.plan.fixed
            if n.op == "const"
        }
        for node in self.plan.fixed:
            self._evaluate(node, values, params)
        return values

    def _timed(self, values: NodeValues, x: Tensor, params: Params) -> None:
        for node in self.plan.timed:
            if node.op == "input":
                values[node] = x
            else:
                self._evaluate(node, values, params)

    def _step(
        self, known: NodeValues, states: Sequence[Tensor], params: Params
    ) -> tuple[Tensor, ...]:
        values = dict(known)
        for node in self.plan.stepped:
            if node.op == "state":
                values[node] = states[self.graph.states.index(str(node.detail))]
            else:
                self._evaluate(node, values, params)
        return tuple(values[r] for r in self.graph.results)

    def _evaluate(self, node: Node, values: NodeValues, params: Params) -> None:
        if node in values:
            return
        match node.op:
            case "param":
                values[node] = self._param(node, params)
            case "given" | "probe":
                assert isinstance(node.detail, tuple)
                values[node] = params[node.detail[0]]
            case "product":
                self._product(node, values, params)
            case "gate":
                assert isinstance(node.detail, tuple)
                parts = values[node.args[0]].chunk(len(self.graph.gates), dim=-1)
                values[node] = parts[node.detail[0]]
            case "normalize":
                assert isinstance(node.detail, float)
                vector, gain, bias = (values[a] for a in node.args)
                values[node] = F.layer_norm(vector, gain.shape, gain, bias, node.detail)
            case _:
                values[node] = RULES[node.op](*(values[a] for a in node.args))

    def _param(self, node: Node, params: Params) -> Tensor:
        assert isinstance(node.detail, tuple)
        name, gate = node.detail
        if gate is None:
            return params[name]
        gates = self.graph.param(name).gates
        return params[name].chunk(len(gates))[gates.index(gate)]

    def _product(self, node: Node, values: NodeValues, params: Params) -> None:
        group = self.plan.groups.get(node)
        vector = values[node.args[1]]
        if group is None:
            gates = node.args[0].shape[0].times
            values[node] = multiply(values[node.args[0]], vector, self._blocks(node.args[0]), gates)
            return
        matrix = params[_param_name(node)]
        joint = multiply(matrix, vector, self._blocks(node.args[0]), len(group))
        values.update(zip(group, joint.chunk(len(group), dim=-1), strict=True))

    def _blocks(self, matrix: Node) -> int:
        return self.graph.param(_param_name_of(matrix)).blocks if matrix.op == "param" else 1


def _node_order(graph: Graph) -> _NodeOrder:
    fixed = tuple(n for n in graph.nodes if n not in graph.timed)
    timed = tuple(n for n in graph.nodes if n in graph.timed and n not in graph.stateful)
    stepped = tuple(n for n in graph.nodes if n in graph.stateful)
    read = {a for n in stepped for a in n.args} | set(graph.results)
    return _NodeOrder(fixed, timed, stepped, frozenset(read), _groups(graph))


def _groups(graph: Graph) -> dict[Node, tuple[Node, ...]]:
    """Products of every gate of a parameter with one vector: each of them, to all in gate order."""
    by_operand: dict[tuple[str, Node], dict[str, Node]] = {}
    for node in graph.nodes:
        if node.op == "product" and node.args[0].op == "param":
            assert isinstance(node.args[0].detail, tuple)
            name, gate = node.args[0].detail
            if gate is not None:
                by_operand.setdefault((name, node.args[1]), {})[gate] = node
    groups = {}
    for (name, _), products in by_operand.items():
        gates = graph.param(name).gates
        if all(g in products for g in gates):
            group = tuple(products[g] for g in gates)
            groups.update(dict.fromkeys(group, group))
    return groups


def _param_name(product: Node) -> str:
    return _param_name_of(product.args[0])


def _param_name_of(param: Node) -> str:
    assert isinstance(param.detail, tuple)
    return str(param.detail[0])


def multiply(matrix: Tensor, vector: Tensor, blocks: int, gates: int) -> Tensor:
    """matrix (gates x rows, columns / blocks) times each row of vector (..., columns)."""
    if blocks == 1:
        return F.linear(vector, matrix)
    parts = torch.unflatten(vector, -1, (blocks, -1))
    stacks = torch.unflatten(matrix, 0, (gates, blocks, -1))
    return torch.einsum("...kc,gkrc->...gkr", parts, stacks).flatten(-3)


def _mark(resets: Tensor | None, t: int, steps: int, reverse: bool) -> Tensor | None:
    """The rows whose incoming state stands on the other side of a segment's start."""
    if resets is None:
        return None
    if not reverse:
        return resets[t]
    return resets[t + 1] if t + 1 < steps else None


def _split_over_time(values: NodeValues, plan: _NodeOrder, steps: int) -> list[NodeValues]:
    """The values that the loop needs, step by step: views of those of all steps."""
    fixed = {n: values[n] for n in plan.fixed if n in plan.boundary}
    rows = {n: values[n].unbind() for n in plan.timed if n in plan.boundary}
    return [fixed | {n: r[t] for n, r in rows.items()} for t in range(steps)]


class _ClipGradient(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(value: Tensor, limit: float) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        ctx.limit = inputs[1]

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        return tangents[0].view_as(tangents[0])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0].clamp(-ctx.limit, ctx.limit), None


def clip_gradient(value: Tensor, limit: float) -> Tensor:
    """The value itself, whose gradient is limited element by element."""
    clipped: Tensor = _ClipGradient.apply(value, limit)  # type: ignore[no-untyped-call]
    return clipped
