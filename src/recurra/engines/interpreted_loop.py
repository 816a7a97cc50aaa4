"""A loop interpreted with torch operations: what a compiled one computes, to be derived again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from recurra.engines.interpreter import RULES, clip_gradient, multiply
from recurra.ir import Loop, Node, in_order

__all__ = ["interpret", "statistic"]


def interpret(
    loop: Loop,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    steps: int,
    *,
    reverse: bool = False,
    lengths: Tensor | None = None,
    marks: Tensor | None = None,
    bptt_clip: float | None = None,
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """All steps from states (B, size): the states after each, (T, B, size), and the last ones.

    `marks` (T, B) tells where a segment begins with this step, in the direction of the run.
    """
    current = tuple(states)
    # Cut at once: back from each step cut alone comes a gradient as large as all steps together.
    by_step = [
        value.unbind() if given.timed else (value,) * steps
        for given, value in zip(loop.inputs, inputs, strict=True)
    ]
    shown: list[tuple[Tensor, ...]] = [current] * steps
    for t in reversed(range(steps)) if reverse else range(steps):
        if marks is not None:
            begins = marks[t] if lengths is None else marks[t] & (t < lengths)
            current = tuple(s.masked_fill(begins.unsqueeze(-1), 0) for s in current)
        values: dict[Node, Tensor] = {}
        for node in in_order(loop.results):
            values[node] = _value(loop, node, values, [v[t] for v in by_step], current)
        new = tuple(values[r] for r in loop.results)
        if bptt_clip is not None:
            new = (clip_gradient(new[0], bptt_clip), *new[1:])
        shown[t] = new
        if lengths is not None:
            active = (t < lengths).unsqueeze(-1)
            shown[t] = tuple(n.masked_fill(~active, 0) for n in new)
            new = tuple(torch.where(active, n, s) for n, s in zip(new, current, strict=True))
        current = new
    return tuple(torch.stack(s) for s in zip(*shown, strict=True)), current


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


def statistic(node: Node, vectors: Sequence[Tensor]) -> Tensor:
    """The mean over all elements, or the reciprocal of their deviation, in each of one's places."""
    whole = torch.cat([*vectors], dim=-1)
    if node.op == "mean":
        found = whole.mean(dim=-1, keepdim=True)
    else:
        assert isinstance(node.detail, float)
        found = (whole.var(dim=-1, correction=0, keepdim=True) + node.detail).rsqrt()
    return found.expand_as(vectors[0])


def _outer(loop: Loop, node: Node, inputs: Sequence[Tensor]) -> Tensor:
    assert isinstance(node.detail, tuple)
    index, part = node.detail
    value = inputs[index]
    if part is None:
        return value
    axis = -1 if loop.inputs[index].timed else 0
    return value.chunk(loop.inputs[index].parts, dim=axis)[part]
