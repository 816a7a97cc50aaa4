"""A lowered loop interpreted with torch operations: what code computes, to be derived again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from recurra.engines.base import Sequences, States
from recurra.engines.torch_rules import RULES, clip_gradient, multiply, statistic
from recurra.ir import Loop, LoopInput, Node, in_order
from recurra.passes import Affine, Lowered
from recurra.ragged import padded

__all__ = ["interpret", "interpret_run"]

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
