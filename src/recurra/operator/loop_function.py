"""Compiled loops in plain eager code, by an autograd function; and by the operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from recurra.engines.base import LoopCode, Sequences, States
from recurra.engines.recorded import are_recorded, gradients_of
from recurra.engines.torch_layout import Parameters
from recurra.operator import library
from recurra.ragged import padded

__all__ = ["EagerLoop", "OperatorLoop"]


class EagerLoop:
    """A loop's code in plain eager code."""

    def __init__(self, code: LoopCode) -> None:
        self.code = code
        library.register(code)

    def sequence(
        self, x: Tensor, states: Sequence[Tensor], params: Parameters, sequences: Sequences
    ) -> tuple[Tensor, States]:
        """All steps of x (T, B, I): outputs (T, B, size), and last states or those of each step."""
        inputs = self.code.arguments(x, params, sequences)
        y, last, others = self._run(inputs, states, sequences)
        if not sequences.every:
            return y, last
        active = sequences.active(y.device) if sequences.is_packed else None
        return y, (y if active is None else padded(y, active), *others)

    def _run(
        self, inputs: Sequence[Tensor], states: Sequence[Tensor], sequences: Sequences
    ) -> tuple[Tensor, States, States]:
        """Outputs, last states, and the other states after each step where all are wanted."""
        tensors, few = (*inputs, *states), len(states)
        if torch.is_grad_enabled():
            for tensor in tensors:
                if tensor.requires_grad:
                    y, *rest = LoopFunction.apply(  # type: ignore[no-untyped-call]
                        self.code, sequences, len(inputs), *tensors
                    )
                    return y, tuple(rest[:few]), tuple(rest[few:])
        run = self.code.forward(inputs, states, sequences, keep=False)
        return run.outputs, run.last, run.others

    def step(self, x: Tensor, states: Sequence[Tensor], params: Parameters) -> States:
        """One step: x (..., I), states (..., size) to the new states."""
        rows = [s.reshape(-1, s.shape[-1]) for s in states]
        _, last = self.sequence(x.reshape(1, -1, x.shape[-1]), rows, params, Sequences(1))
        return tuple(n.view(*s.shape[:-1], -1) for n, s in zip(last, states, strict=True))

    def stack(
        self,
        x: Tensor,
        states: Sequence[Tensor],
        params: Sequence[Parameters],
        sequences: Sequences,
        directions: int,
    ) -> tuple[Tensor, States] | None:
        """One layer in one direction; several run one after another."""
        if len(params) > 1 or sequences.every or sequences.lengths is not None:
            return None
        return self.sequence(x, states, params[0], sequences)


class OperatorLoop(EagerLoop):
    """A loop's code as whoever traces sees it: operators."""

    def _run(
        self, inputs: Sequence[Tensor], states: Sequence[Tensor], sequences: Sequences
    ) -> tuple[Tensor, States, States]:
        keep = torch.is_grad_enabled() and any(t.requires_grad for t in (*inputs, *states))
        return library.call(self.code, inputs, states, sequences, keep=keep)

    def stack(self, *_: object) -> None:
        """Layers and directions are run one after another."""


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
        return run.outputs, *run.last, *run.others

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:
        """Gradients of inputs and first states."""
        code, sequences, count = ctx.code, ctx.sequences, ctx.count
        # Read once: each reading unpacks again, and a checkpoint computes again.
        every = ctx.saved_tensors
        many = count + len(code.graph.states)
        if are_recorded(gradients):
            parts = gradients_of(
                lambda t: code.recorded(t[:count], t[count:], sequences), every[:many], gradients
            )
            return None, None, None, *parts
        wanted = ctx.needs_input_grad[3:]
        found: list[Tensor | None] = code.backward(
            every[:count], every[many:], gradients, sequences, wanted, ctx.order
        )
        for index in range(count, many):
            first = found[index]
            if first is not None:
                found[index] = first.view(every[index].shape)
        return None, None, None, *found
