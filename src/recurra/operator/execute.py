"""The autograd function of plain eager code, and the choice between it and the operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from recurra.engines.cpu.run.compiled_loop import ForwardTape
from recurra.operator import library, runs
from recurra.operator.interpreted import interpreted_backward, is_interpreted
from recurra.operator.loop_kernel import LoopKernel, Sequences

__all__ = ["LoopFunction", "needs_operator", "run_loop"]


def run_loop(
    kernel: LoopKernel, inputs: Sequence[Tensor], states: Sequence[Tensor], sequences: Sequences
) -> tuple[Any, ...]:
    """The first state at every step, (T, B, size) or packed (N, size), and the last states.

    With `sequences.every`, a third value holds each state after each step, (T, B, size).
    """
    tensors = (*inputs, *states)
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    if needs_operator(tensors):
        return library.call(kernel, inputs, states, sequences, keep=keep)
    if keep:
        few = len(states)
        y, *rest = LoopFunction.apply(  # type: ignore[no-untyped-call]
            kernel, sequences, len(inputs), *tensors
        )
        after, finals = (y, *rest[few:]), tuple(rest[:few])
    else:
        after, finals, _, _ = runs.forward(kernel, inputs, states, sequences, keep=False)
    if not sequences.every:
        return after[0], finals
    return after[0], finals, (runs.padded(after[0], sequences), *after[1:])


def needs_operator(tensors: Sequence[Tensor]) -> bool:
    """Whether somebody traces, or must see an operator for another reason."""
    if torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack() > 0:
        return True
    return any(type(t) is not Tensor and type(t) is not torch.nn.Parameter for t in tensors)


class LoopFunction(torch.autograd.Function):
    """A run of a loop in plain eager code."""

    @staticmethod
    def forward(
        ctx: Any, kernel: LoopKernel, sequences: Sequences, count: int, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        """Outputs, last states and, where they are wanted, the other states after each step."""
        (y, *others), finals, kept, run = runs.forward(
            kernel, tensors[:count], tensors[count:], sequences, keep=True
        )
        ctx.kernel, ctx.sequences, ctx.count = kernel, sequences, count
        ctx.rows = run.rows
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, *kept.states, kept.saved, *kept.new_states)
        ctx.shapes = [(t.shape, t.dtype) for t in (y, *finals, *others)]
        return y, *finals, *others

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:
        """Gradients of inputs and first states."""
        kernel, sequences, count = ctx.kernel, ctx.sequences, ctx.count
        few = len(kernel.loop.states)
        # Read once: each reading unpacks anew, and a checkpoint computes anew.
        every = ctx.saved_tensors
        inputs, states, kept = every[:count], every[count : count + few], every[count + few :]
        given = [
            torch.zeros(shape, dtype=dtype) if g is None else g
            for (shape, dtype), g in zip(ctx.shapes, gradients, strict=True)
        ]
        if is_interpreted(given):
            found = interpreted_backward(kernel, inputs, states, given, sequences)
            return None, None, None, *found
        wanted = ctx.needs_input_grad[3 : 3 + count]
        values = ForwardTape(kept[:few], kept[few], kept[few + 1 :])
        parts, firsts = runs.backward(kernel, inputs, values, given, sequences, wanted, ctx.rows)
        return None, None, None, *parts, *firsts
