"""Compiled loops as torch operators: known to autograd, torch.compile and torch.export.

`weft::loop` runs a loop forward, `weft::loop_backward` back through time. When that backward pass
is itself recorded (second gradients), the loop is interpreted, by operations torch can derive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from weft.backends.cpu.engine import Compiled, Kept, Masks
from weft.backends.cpu.refuse import refuse
from weft.backends.interp_loop import interpret
from weft.ir import Graph, Loop
from weft.passes import lower

__all__ = ["LoopKernel", "loop_kernel", "run_loop"]


@dataclass(frozen=True)
class LoopKernel:
    """A cell's loop and what compiles it; `key` names it in operators."""

    key: str
    loop: Loop
    compiled: Compiled


_KERNELS: dict[str, LoopKernel] = {}


def loop_kernel(graph: Graph) -> LoopKernel:
    """The kernel of a graph's loop, made once."""
    key = f"{graph.cell}-{graph.digest()}"
    if key not in _KERNELS:
        refuse(graph)
        lowered = lower(graph)
        loops = {
            "inference": lowered.inference,
            "forward": lowered.forward,
            "backward": lowered.backward,
        }
        _KERNELS[key] = LoopKernel(key, lowered.forward, Compiled(loops, lowered.schedules))
    return _KERNELS[key]


def run_loop(
    kernel: LoopKernel,
    outside: Sequence[Tensor],
    states: Sequence[Tensor],
    steps: int,
    *,
    reverse: bool,
    lengths: Tensor | None = None,
    marks: Tensor | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The first state at every step, (T, B, size), and the last states (B, size).

    `lengths` (B,) and `marks` (T, B) are given together or not at all; `marks` tells where a
    segment begins with this step, in the direction of the run.
    """
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in (*outside, *states))
    found = torch.ops.weft.loop(
        list(outside), list(states), lengths, marks, kernel.key, steps, reverse, keep
    )
    return found[0], tuple(found[1 : len(states) + 1])


def _sizes(loop: Loop, outside: Sequence[Tensor], states: Sequence[Tensor]) -> dict[str, int]:
    """What the loop's size names stand for, read off the tensors."""
    sizes: dict[str, int] = {}
    for size, state in zip(loop.state_sizes, states, strict=True):
        sizes[size.name] = state.shape[-1]
    for value, tensor in zip(loop.outside, outside, strict=True):
        dims = tensor.shape[-1:] if value.timed else tensor.shape
        for size, length in zip(value.node.shape, dims, strict=True):
            sizes[size.name] = length // size.times
    return sizes


def _masks(lengths: Tensor | None, marks: Tensor | None) -> Masks | None:
    if lengths is None or marks is None:
        return None
    return Masks(lengths.to(torch.int64).contiguous(), marks.contiguous())


@torch.library.custom_op("weft::loop", mutates_args=())
def _loop(
    outside: list[Tensor],
    states: list[Tensor],
    lengths: Tensor | None,
    marks: Tensor | None,
    key: str,
    steps: int,
    reverse: bool,
    keep: bool,
) -> list[Tensor]:
    kernel = _KERNELS[key]
    outside = [t.contiguous() for t in outside]
    sizes = _sizes(kernel.loop, outside, states)
    masks = _masks(lengths, marks)
    y, kept = kernel.compiled.forward(
        outside, states, sizes, steps, reverse=reverse, keep=keep, masks=masks
    )
    finals = [s[0 if reverse else -1].clone() for s in kept.states]
    return [y, *finals, *kept.states, *kept.saved, *kept.news]


@_loop.register_fake
def _(
    outside: list[Tensor],
    states: list[Tensor],
    lengths: Tensor | None,
    marks: Tensor | None,
    key: str,
    steps: int,
    reverse: bool,
    keep: bool,
) -> list[Tensor]:
    loop = _KERNELS[key].loop
    sizes = _sizes(loop, outside, states)
    batch = states[0].shape[0]
    y = states[0].new_empty(steps, *states[0].shape)
    finals = [s.new_empty(s.shape) for s in states]
    kept = [s.new_empty(steps + 1, *s.shape) for s in states]
    widths = [node.shape[0].value(sizes) for node in loop.saved] if keep else []
    news = [s.new_empty(steps, *s.shape) for s in states] if lengths is not None else []
    return [y, *finals, *kept, *(y.new_empty(steps, batch, w) for w in widths), *news]


@torch.library.custom_op("weft::loop_backward", mutates_args=())
def _loop_backward(
    outside: list[Tensor],
    kept: list[Tensor],
    saved: list[Tensor],
    gradients: list[Tensor],
    lengths: Tensor | None,
    marks: Tensor | None,
    key: str,
    reverse: bool,
) -> list[Tensor]:
    kernel = _KERNELS[key]
    seed, *finals = gradients
    count = len(kernel.loop.saved)
    sizes = _sizes(kernel.loop, outside, [k[0] for k in kept])
    found, first = kernel.compiled.backward(
        [t.contiguous() for t in outside],
        Kept(tuple(kept), tuple(saved[:count]), tuple(saved[count:])),
        seed.contiguous(),
        [g.clone(memory_format=torch.contiguous_format) for g in finals],
        sizes,
        reverse=reverse,
        masks=_masks(lengths, marks),
    )
    pairs = zip(outside, found, strict=True)
    return [*(torch.zeros_like(o) if g is None else g for o, g in pairs), *first]


@_loop_backward.register_fake
def _(
    outside: list[Tensor],
    kept: list[Tensor],
    saved: list[Tensor],
    gradients: list[Tensor],
    lengths: Tensor | None,
    marks: Tensor | None,
    key: str,
    reverse: bool,
) -> list[Tensor]:
    return [torch.empty_like(o) for o in outside] + [k.new_empty(k.shape[1:]) for k in kept]


def _setup(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    outside, states, ctx.lengths, ctx.marks, ctx.key, ctx.steps, ctx.reverse, _ = inputs
    ctx.counts = len(outside), len(states)
    ctx.shapes = [(t.shape, t.new_empty(0)) for t in output[: len(states) + 1]]
    ctx.save_for_backward(*outside, *states, *output[len(states) + 1 :])


def _backward(ctx: Any, gradients: list[Tensor | None]) -> tuple[Any, ...]:
    many, few = ctx.counts
    tensors = list(ctx.saved_tensors)
    outside, states = tensors[:many], tensors[many : many + few]
    kept, saved = tensors[many + few : many + 2 * few], tensors[many + 2 * few :]
    given = [
        like.new_zeros(shape) if g is None else g
        for (shape, like), g in zip(ctx.shapes, gradients, strict=False)
    ]
    masks = ctx.lengths, ctx.marks
    if torch.is_grad_enabled():
        found = _interpreted_backward(ctx, outside, states, given)
    else:
        found = torch.ops.weft.loop_backward(
            outside, kept, saved, given, *masks, ctx.key, ctx.reverse
        )
    return list(found[:many]), list(found[many:]), *([None] * 6)


def _interpreted_backward(
    ctx: Any, outside: Sequence[Tensor], states: Sequence[Tensor], gradients: Sequence[Tensor]
) -> list[Tensor]:
    """The same gradients by operations that can be derived again."""
    y, finals = interpret(
        _KERNELS[ctx.key].loop,
        outside,
        states,
        ctx.steps,
        reverse=ctx.reverse,
        lengths=ctx.lengths,
        marks=ctx.marks,
    )
    inputs = [*outside, *states]
    wanted = [t for t in inputs if t.requires_grad]
    parts = torch.autograd.grad(
        [y, *finals], wanted, list(gradients), create_graph=True, allow_unused=True
    )
    found = iter(parts)
    every = [next(found) if t.requires_grad else None for t in inputs]
    return [torch.zeros_like(t) if g is None else g for t, g in zip(inputs, every, strict=True)]


_loop.register_autograd(_backward, setup_context=_setup)
