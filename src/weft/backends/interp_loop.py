"""A loop interpreted with torch operations: what a compiled one computes, to be derived again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from weft.backends.interp import RULES, clip_gradient
from weft.ir import Loop, Node, in_order

__all__ = ["interpret"]


def interpret(
    loop: Loop,
    outside: Sequence[Tensor],
    states: Sequence[Tensor],
    steps: int,
    *,
    reverse: bool = False,
    lengths: Tensor | None = None,
    marks: Tensor | None = None,
    bptt_clip: float | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """All steps from states (B, size): outputs (T, B, size) and the last states.

    `marks` (T, B) tells where a segment begins with this step, in the direction of the run.
    """
    current = tuple(states)
    outputs: list[Tensor] = [states[0]] * steps
    for t in reversed(range(steps)) if reverse else range(steps):
        if marks is not None:
            begins = marks[t] if lengths is None else marks[t] & (t < lengths)
            current = tuple(s.masked_fill(begins.unsqueeze(-1), 0) for s in current)
        values: dict[Node, Tensor] = {}
        for node in in_order(loop.results):
            values[node] = _value(loop, node, values, outside, current, t)
        new = tuple(values[r] for r in loop.results)
        if bptt_clip is not None:
            new = (clip_gradient(new[0], bptt_clip), *new[1:])
        outputs[t] = new[0]
        if lengths is not None:
            active = (t < lengths).unsqueeze(-1)
            outputs[t] = new[0].masked_fill(~active, 0)
            new = tuple(torch.where(active, n, s) for n, s in zip(new, current, strict=True))
        current = new
    return torch.stack(outputs), current


def _value(
    loop: Loop,
    node: Node,
    values: dict[Node, Tensor],
    outside: Sequence[Tensor],
    states: Sequence[Tensor],
    t: int,
) -> Tensor:
    if node.op == "state":
        return states[loop.states.index(str(node.detail))]
    if node.op == "const":
        assert isinstance(node.detail, float)
        return states[0].new_tensor(node.detail)
    if node.op == "outer":
        return _outer(loop, node, outside, t)
    if node.op == "product":
        return F.linear(values[node.args[1]], values[node.args[0]])
    return RULES[node.op](*(values[a] for a in node.args))


def _outer(loop: Loop, node: Node, outside: Sequence[Tensor], t: int) -> Tensor:
    assert isinstance(node.detail, tuple)
    index, part = node.detail
    value = outside[index][t] if loop.outside[index].timed else outside[index]
    if part is None:
        return value
    axis = -1 if loop.outside[index].timed else 0
    return value.chunk(loop.outside[index].parts, dim=axis)[part]
