"""Compiled loops in plain eager code: an autograd function, and the choice between it and the
operators.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from recurra.engines.base import LoopCode, Sequences, States
from recurra.engines.torch_layout import Parameters
from recurra.engines.torch_modes import are_recorded, gradients_of, is_traced
from recurra.operator import library
from recurra.ragged import padded

__all__ = ["OperatorLoop"]


class OperatorLoop:
    """A loop's code as torch knows it."""

    def __init__(self, code: LoopCode) -> None:
        self.code = code
        library.register(code)

    def sequence(
        self, x: Tensor, states: Sequence[Tensor], params: Parameters, sequences: Sequences
    ) -> tuple[Tensor, States]:
        """All steps of x (T, B, I): outputs (T, B, size), and last states or those of each step."""
        inputs = self.code.arguments(x, params, sequences)
        y, last, others = _run(self.code, inputs, states, sequences)
        if not sequences.every:
            return y, last
        active = sequences.active(y.device) if sequences.is_packed else None
        return y, (y if active is None else padded(y, active), *others)

    def step(self, x: Tensor, states: Sequence[Tensor], params: Parameters) -> States:
        """One step: x (..., I), states (..., size) to the new states."""
        rows = [s.reshape(-1, s.shape[-1]) for s in states]
        _, last = self.sequence(x.reshape(1, -1, x.shape[-1]), rows, params, Sequences(1))
        return tuple(n.view(*s.shape[:-1], -1) for n, s in zip(last, states, strict=True))

    def stack(self, *_: object) -> None:
        """Layers and directions are run one after another."""


def _run(
    code: LoopCode, inputs: Sequence[Tensor], states: Sequence[Tensor], sequences: Sequences
) -> tuple[Tensor, States, States]:
    """Outputs, last states, and the other states after each step where all are wanted."""
    tensors = (*inputs, *states)
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    if is_traced(tensors):
        return library.call(code, inputs, states, sequences, keep=keep)
    if not keep:
        run = code.forward(inputs, states, sequences, keep=False)
        return run.outputs, run.last, run.others
    few = len(states)
    y, *rest = LoopFunction.apply(  # type: ignore[no-untyped-call]
        code, sequences, len(inputs), *tensors
    )
    return y, tuple(rest[:few]), tuple(rest[few:])


class LoopFunction(torch.autograd.Function):
    """A run of a loop in plain eager code."""

    @staticmethod
    def forward(
        ctx: Any, code: LoopCode, sequences: Sequences, count: int, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        """Outputs, last states and, where they are wanted, the other states after each step."""
        run = code.forward(tensors[:count], tensors[count:], sequences, keep=True)
        ctx.code, ctx.sequences, ctx.count, ctx.order = code, sequences, count, run.order
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, *run.tape)
        results = (run.outputs, *run.last, *run.others)
        ctx.shapes = [(t.shape, t.dtype) for t in results]
        return results

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:
        """Gradients of inputs and first states."""
        code, sequences, count = ctx.code, ctx.sequences, ctx.count
        few = len(code.graph.states)
        # Read once: each reading unpacks again, and a checkpoint computes again.
        every = ctx.saved_tensors
        tensors, tape = every[: count + few], every[count + few :]
        given = [
            torch.zeros(shape, dtype=dtype) if g is None else g
            for (shape, dtype), g in zip(ctx.shapes, gradients, strict=True)
        ]
        if are_recorded(given):
            found = gradients_of(
                lambda t: code.recorded(t[:count], t[count:], sequences), tensors, given
            )
            return None, None, None, *found
        wanted = ctx.needs_input_grad[3 : 3 + count]
        parts, firsts = code.backward(tensors[:count], tape, given, sequences, wanted, ctx.order)
        return None, None, None, *parts, *firsts
