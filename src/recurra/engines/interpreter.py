"""The reference engine: a cell's graph, interpreted with torch operations. The meaning of a cell.

What doesn't depend on a state is computed for the whole sequence at once; the rest one step after
another. Everything is differentiable by autograd to any order, on any device and dtype; tensors of
16 bits are float32 inside, and under autocast all but the operands of products is.

A lowered loop is interpreted, too: what compiled code computes, to be derived again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from recurra.engines.base import OPTIONS, Call, Operator, Sequences, States
from recurra.engines.torch_layout import Parameters, named
from recurra.errors import EngineError
from recurra.ir import ROOT_BOUND, Graph, Loop, LoopInput, Node, in_order
from recurra.passes import Affine, Lowered
from recurra.ragged import padded

__all__ = [
    "INTERPRETER",
    "RULES",
    "Interpreter",
    "clip_gradient",
    "interpret",
    "interpret_run",
    "multiply",
    "normalize",
    "statistic",
]


def _bounded_sqrt(a: Tensor) -> Tensor:
    # A root of what was selected, not a selected root: the derivative of that is 0 * inf.
    is_large = a > ROOT_BOUND
    root = torch.sqrt(torch.where(is_large, a, torch.ones_like(a)))
    return torch.where(is_large, root, torch.sqrt(a.detach()))


def _softplus(a: Tensor) -> Tensor:
    # Beyond 40 it is a itself in any dtype, and exp(a) may overflow; torch's own limit is 20.
    return F.softplus(a, threshold=40.0)


RULES: dict[str, Callable[..., Tensor]] = {
    "neg": torch.neg,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "exp": torch.exp,
    "expm1": torch.expm1,
    "log": torch.log,
    "log1p": torch.log1p,
    "sqrt": torch.sqrt,
    "bounded_sqrt": _bounded_sqrt,
    "softplus": _softplus,
    "log_sigmoid": lambda a: -_softplus(-a),
    "abs": torch.abs,
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "where_positive": lambda a, b, c: torch.where(a > 0, b, c),
    "transpose": lambda a: a.mT,
}


_SHORT = (torch.float16, torch.bfloat16)


def _wide(value: Tensor) -> Tensor:
    """The value, in float32 if it has 16 bits."""
    return value.float() if value.dtype in _SHORT else value


def multiply(matrix: Tensor, vector: Tensor, blocks: int, gates: int) -> Tensor:
    """matrix (gates x rows, columns / blocks) times each row of vector (..., columns).

    Under autocast torch multiplies in 16 bits; what comes of it is float32 here.
    """
    if blocks == 1:
        return _wide(F.linear(vector, matrix))
    parts = torch.unflatten(vector, -1, (blocks, -1))
    stacks = torch.unflatten(matrix, 0, (gates, blocks, -1))
    return _wide(torch.einsum("...kc,gkrc->...gkr", parts, stacks).flatten(-3))


def statistic(node: Node, vectors: Sequence[Tensor]) -> Tensor:
    """The mean over all elements, or the reciprocal of their deviation, in the shape of one."""
    whole = torch.cat([*vectors], dim=-1)
    if node.op == "mean":
        found = whole.mean(dim=-1, keepdim=True)
    else:
        assert isinstance(node.detail, float)
        centred = whole - whole.mean(dim=-1, keepdim=True)
        # Of the row divided by its largest element: squares of wide rows have no room.
        top = centred.detach().abs().amax(dim=-1, keepdim=True).clamp(min=1)
        variance = (centred / top).square().mean(dim=-1, keepdim=True)
        found = (variance + node.detail / top.square()).rsqrt() / top
    return found.expand_as(vectors[0])


_WIDEST = {torch.float32: 2.0**30, torch.float64: 2.0**200}


def normalize(vector: Tensor, gain: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Layer normalisation, of rows of any width.

    torch's overflows where the squares do, and its gradient is imprecise long before, as it takes
    the deviation's third power. A row that is wider than these limits is scaled down first, by the
    same for all: eps is nothing beside its variance.
    """
    vector = _wide(vector)
    widest = _WIDEST[vector.dtype]
    top = vector.detach().abs().amax(dim=-1, keepdim=True)
    return F.layer_norm(vector * (widest / top.clamp(min=widest)), gain.shape, gain, bias, eps)


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
    """The value itself, whose gradient is limited element by element.

    Raises EngineError under torch.jit.trace, whose programs derive by torch's own rules. A model in
    ONNX has no gradient to limit.
    """
    if torch._C._get_tracing_state() is not None and not torch.onnx.is_in_onnx_export():
        raise EngineError(
            f"torch.jit.trace can't record bptt_clip = {limit:g}, a limit of gradients; set the "
            "layer's bptt_clip to None, or use torch.export, which records it."
        )
    clipped: Tensor = _ClipGradient.apply(value, limit)  # type: ignore[no-untyped-call]
    return clipped


NamedParameters = Mapping[str, Tensor]
NodeValues = dict[Node, Tensor]


@dataclass(frozen=True)
class _NodeOrder:
    """The nodes in order, by when they can be computed; products by gate grouped to one product."""

    fixed: tuple[Node, ...]
    timed: tuple[Node, ...]
    stepped: tuple[Node, ...]
    boundary: frozenset[Node]
    groups: Mapping[Node, tuple[Node, ...]]


class Interpreter:
    """Runs one cell's graph with torch operations."""

    graph: Graph
    plan: _NodeOrder

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.plan = _node_order(graph)

    def step(self, x: Tensor, states: Sequence[Tensor], params: Parameters) -> States:
        """One step: x (..., I) and states (..., size) to the new states."""
        short, x, states, params = _widened(x, states, named(params, self.graph))
        values = self._fixed(params, x)
        self._timed(values, x, params)
        return _narrowed(self._step(values, states, params), short)

    def widened(
        self, x: Tensor, states: Sequence[Tensor], params: NamedParameters
    ) -> tuple[Tensor, Sequence[Tensor], NamedParameters]:
        """The tensors as the equations have them: in float32 where all are of 16 bits."""
        return _widened(x, states, params)[1:]

    def evaluate(
        self,
        nodes: Sequence[Node],
        x: Tensor,
        params: NamedParameters,
        states: Sequence[Tensor] = (),
    ) -> list[Tensor]:
        """Values of nodes for x of all steps, (T, B, I), at once.

        Those that depend on a state need what each step reads of it, (T, B, size).
        """
        short, x, states, params = _widened(x, states, params)
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
        return [*_narrowed([values[node] for node in nodes], short)]

    def sequence(
        self, x: Tensor, states: Sequence[Tensor], params: Parameters, sequences: Sequences
    ) -> tuple[Tensor, States]:
        """All steps of x (T, B, I) from states (B, size): outputs (T, B, size), last states.

        Steps at or after a sequence's length leave its state alone and give zeros; marks of
        `resets` there mean nothing.
        """
        s = sequences
        short, x, states, params = _widened(x, states, named(params, self.graph))
        active, resets = s.active(x.device), s.resets
        if active is not None:
            x, params = self._padded(x, params, active) if s.is_packed else (x, params)
            x = x.masked_fill(~active.unsqueeze(-1), 0)
            resets = None if resets is None else resets & active
        values = self._fixed(params, x)
        self._timed(values, x, params)
        by_step = _split_over_time(values, self.plan, s.steps)
        shown: list[States] = [()] * s.steps
        current = tuple(states)
        for t in reversed(range(s.steps)) if s.reverse else range(s.steps):
            mark = _mark(resets, t, s.steps, s.reverse)
            if mark is not None:
                current = tuple(v.masked_fill(mark.unsqueeze(-1), 0) for v in current)
            new = self._step(by_step[t], current, params)
            if s.bptt_clip is not None:
                new = (clip_gradient(new[0], s.bptt_clip), *new[1:])
            shown[t] = new if s.every else new[:1]
            if active is not None:
                now = active[t].unsqueeze(-1)
                shown[t] = tuple(v.masked_fill(~now, 0) for v in shown[t])
                new = tuple(torch.where(now, n, v) for n, v in zip(new, current, strict=True))
            current = new
        stacked = tuple(torch.stack(v) for v in zip(*shown, strict=True))
        y = stacked[0][active] if s.is_packed and active is not None else stacked[0]
        # Apart from what autograd saved: an operation's result may be what its derivative reads.
        last = stacked if s.every else tuple(v.clone() for v in current)
        y, *after = _narrowed((y, *last), short)
        return y, tuple(after)

    def stack(self, *_: object) -> None:
        """Layers and directions are interpreted one after another."""

    def _padded(
        self, x: Tensor, params: NamedParameters, active: Tensor
    ) -> tuple[Tensor, NamedParameters]:
        """An input, and what is given with each step, from packed rows to (T, B, size)."""
        given = {name: padded(params[name], active) for name, _ in self.graph.givens}
        return padded(x, active), {**params, **given}

    def _fixed(self, params: NamedParameters, like: Tensor) -> NodeValues:
        values: NodeValues = {
            n: torch.tensor(n.detail, dtype=like.dtype, device=like.device)
            for n in self.plan.fixed
            if n.op == "const"
        }
        for node in self.plan.fixed:
            self._evaluate(node, values, params)
        return values

    def _timed(self, values: NodeValues, x: Tensor, params: NamedParameters) -> None:
        for node in self.plan.timed:
            if node.op == "input":
                values[node] = x
            else:
                self._evaluate(node, values, params)

    def _step(self, known: NodeValues, states: Sequence[Tensor], params: NamedParameters) -> States:
        values = dict(known)
        for node in self.plan.stepped:
            if node.op == "state":
                values[node] = states[self.graph.states.index(str(node.detail))]
            else:
                self._evaluate(node, values, params)
        return tuple(values[r] for r in self.graph.results)

    def _evaluate(self, node: Node, values: NodeValues, params: NamedParameters) -> None:
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
                values[node] = normalize(vector, gain, bias, node.detail)
            case _:
                values[node] = RULES[node.op](*(values[a] for a in node.args))

    def _param(self, node: Node, params: NamedParameters) -> Tensor:
        assert isinstance(node.detail, tuple)
        name, gate = node.detail
        if gate is None:
            return params[name]
        gates = self.graph.param(name).gates
        return params[name].chunk(len(gates))[gates.index(gate)]

    def _product(self, node: Node, values: NodeValues, params: NamedParameters) -> None:
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


def _widened(
    x: Tensor, states: Sequence[Tensor], params: NamedParameters
) -> tuple[torch.dtype | None, Tensor, Sequence[Tensor], NamedParameters]:
    """The dtype of 16 bits that all have, and all in float32; None and all as it is otherwise.

    So no state is rounded to 16 bits between the steps of a sequence.
    """
    if x.dtype not in _SHORT or {t.dtype for t in (*states, *params.values())} - {x.dtype}:
        return None, x, states, params
    wide = {name: value.float() for name, value in params.items()}
    return x.dtype, x.float(), tuple(s.float() for s in states), wide


def _narrowed(values: Sequence[Tensor], short: torch.dtype | None) -> States:
    """The values in that dtype, or as they are."""
    return tuple(values) if short is None else tuple(v.to(short) for v in values)


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


class _InterpreterEngine:
    """Runs every cell, anywhere, step by step."""

    name = "interp"
    devices: frozenset[str] | None = None
    dtypes: frozenset[torch.dtype] | None = None
    options: frozenset[str] = frozenset(OPTIONS)
    step_options: frozenset[str] = options

    def refusal(self, graph: Graph) -> str | None:
        """None: there is a rule for every operation."""
        return None

    def note(self, call: Call) -> str:
        """Nothing to remark."""
        return ""

    def compile(self, graph: Graph, operator: Operator, *, is_traced: bool) -> Interpreter:
        """The cell's interpreter."""
        return Interpreter(graph)

    def steps(
        self,
        graph: Graph,
        params: Parameters,
        inputs: Tensor,
        widths: Sequence[int],
        *,
        quantize: bool = False,
    ) -> None:
        """None: a step is a call like any other."""

    def linear(self, graph: Graph) -> None:
        """None: torch's product."""


INTERPRETER = _InterpreterEngine()


Inputs = Sequence[Tensor | None]


def interpret_run(
    lowered: Lowered, inputs: Inputs, states: Sequence[Tensor], sequences: Sequences
) -> list[Tensor]:
    """Outputs, last states, and the other states after each step, of a lowered cell.

    `inputs` has None for affine values, which are computed here; nothing after a sequence's end is
    read.
    """
    loop, active = lowered.loops["forward"], sequences.active(states[0].device)
    values = [
        tensor if active is None or tensor is None or not value.timed else
        _zero_past_ends(tensor, active, sequences)
        for value, tensor in zip(loop.inputs, inputs, strict=True)
    ]  # fmt: skip
    for affine in lowered.affine:
        values[affine.value] = _sum_of_products(loop.inputs, affine, values)
    (y, *others), last = interpret(loop, [_given(v) for v in values], states, sequences)
    shown = y[active] if sequences.is_packed and active is not None else y
    return [shown, *last, *others]


def _zero_past_ends(tensor: Tensor, active: Tensor, sequences: Sequences) -> Tensor:
    """A value of every step, (T, B, size), zeros past the ends."""
    if sequences.is_packed:
        return padded(tensor, active)
    return tensor.masked_fill(~active.unsqueeze(-1), 0)


def _sum_of_products(values: tuple[LoopInput, ...], affine: Affine, tensors: Inputs) -> Tensor:
    terms = [_given(tensors[b]) for b in affine.biases]
    for matrix, vector in affine.terms:
        weights = values[matrix]
        pair = _given(tensors[matrix]), _given(tensors[vector])
        terms.append(multiply(*pair, weights.blocks, weights.parts))
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _given(tensor: Tensor | None) -> Tensor:
    assert tensor is not None
    return tensor


def interpret(
    loop: Loop, inputs: Sequence[Tensor], states: Sequence[Tensor], sequences: Sequences
) -> tuple[States, States]:
    """All steps from states (B, size): the states after each, (T, B, size), and the last ones."""
    s, current = sequences, tuple(states)
    starts, active = s.starts, s.active(current[0].device)
    # Cut at once: back from each step cut alone comes a gradient as large as all steps together.
    by_step = [
        value.unbind() if given.timed else (value,) * s.steps
        for given, value in zip(loop.inputs, inputs, strict=True)
    ]
    shown: list[States] = [current] * s.steps
    for t in reversed(range(s.steps)) if s.reverse else range(s.steps):
        if starts is not None:
            begins = starts[t] if active is None else starts[t] & active[t]
            current = tuple(v.masked_fill(begins.unsqueeze(-1), 0) for v in current)
        values: dict[Node, Tensor] = {}
        for node in in_order(loop.results):
            values[node] = _value(loop, node, values, [v[t] for v in by_step], current)
        new = tuple(values[r] for r in loop.results)
        if s.bptt_clip is not None:
            new = (clip_gradient(new[0], s.bptt_clip), *new[1:])
        shown[t] = new
        if active is not None:
            now = active[t].unsqueeze(-1)
            shown[t] = tuple(n.masked_fill(~now, 0) for n in new)
            new = tuple(torch.where(now, n, v) for n, v in zip(new, current, strict=True))
        current = new
    return tuple(torch.stack(v) for v in zip(*shown, strict=True)), current


def _value(
    loop: Loop,
    node: Node,
    values: dict[Node, Tensor],
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
) -> Tensor:
    if node.op == "state":
        return states[loop.states.index(str(node.detail))]
    if node.op == "const":
        assert isinstance(node.detail, float)
        return states[0].new_tensor(node.detail)
    if node.op == "outer":
        return _outer(loop, node, inputs)
    if node.op == "product":
        matrix, vector = node.args
        assert isinstance(matrix.detail, tuple)
        blocks = loop.inputs[matrix.detail[0]].blocks
        return multiply(values[matrix], values[vector], blocks, matrix.shape[0].times)
    if node.op in ("mean", "rstd"):
        return statistic(node, [values[a] for a in node.args])
    return RULES[node.op](*(values[a] for a in node.args))


def _outer(loop: Loop, node: Node, inputs: Sequence[Tensor]) -> Tensor:
    assert isinstance(node.detail, tuple)
    index, part = node.detail
    value = inputs[index]
    if part is None:
        return value
    axis = -1 if loop.inputs[index].timed else 0
    return value.chunk(loop.inputs[index].parts, dim=axis)[part]
