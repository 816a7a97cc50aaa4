"""Gradients of a loop by operations that torch can derive again, or work on in batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from recurra.engines.cpu.run.packed_rows import find_rows
from recurra.engines.interpreted_loop import interpret
from recurra.engines.interpreter import multiply
from recurra.operator.loop_kernel import LoopKernel, Sequences
from recurra.ragged import within

__all__ = ["interpreted_backward", "is_interpreted"]

_functorch = torch._C._functorch


def is_interpreted(gradients: Sequence[Tensor]) -> bool:
    """Whether a backward pass is recorded, or has many gradients in each tensor.

    The latter come from `is_grads_batched` and vectorised Jacobians, and have no address.
    """
    return torch.is_grad_enabled() or any(
        _functorch.is_batchedtensor(g) or _functorch.is_legacy_batchedtensor(g) for g in gradients
    )


def interpreted_backward(
    kernel: LoopKernel,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    gradients: Sequence[Tensor],
    sequences: Sequences,
) -> list[Tensor | None]:
    """Gradients of inputs and first states, recorded where torch records now.

    They are taken with respect to aliases of the tensors, since one tensor may be computed from
    another: a gradient with respect to the tensors themselves would go through that, too.
    """
    create_graph, few = torch.is_grad_enabled(), len(inputs)
    with torch.enable_grad():
        tensors = [t.view_as(t) for t in (*inputs, *states)]
        y, finals, others = _interpreted(
            kernel, kernel.placed(tensors[:few]), tensors[few:], sequences
        )
    wanted = [t for t in tensors if t.requires_grad]
    outputs = [y, *finals, *others][: len(gradients)]
    parts = torch.autograd.grad(
        outputs, wanted, list(gradients), create_graph=create_graph, allow_unused=True
    )
    found = iter(parts)
    every = [next(found) if t.requires_grad else None for t in tensors]
    return [torch.zeros_like(t) if g is None else g for t, g in zip(tensors, every, strict=True)]


def _interpreted(
    kernel: LoopKernel, outside: list[Tensor | None], states: Sequence[Tensor], s: Sequences
) -> tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Outputs, last states, and the other states after each step, by torch operations.

    Packed values are padded, and their outputs packed again.
    """
    padded = None
    if s.is_packed:
        assert s.lengths is not None
        padded = find_rows(s.lengths, reverse=False, is_packed=True).padded
    for index, (value, tensor) in enumerate(zip(kernel.loop.inputs, outside, strict=True)):
        if value.timed and tensor is not None and s.lengths is not None:
            outside[index] = _zero_past_ends(tensor, s.lengths, s.steps, padded)
    for affine in kernel.compiled.lowered.affine:
        total: Any = sum(_given(outside[b]) for b in affine.biases)
        for matrix, vector in affine.terms:
            weights = kernel.loop.inputs[matrix]
            total = total + multiply(
                _given(outside[matrix]), _given(outside[vector]), weights.blocks, weights.parts
            )
        outside[affine.value] = total
    (y, *others), finals = interpret(
        kernel.loop, [_given(v) for v in outside], states, s.steps, reverse=s.reverse,
        lengths=s.lengths, marks=s.marks, bptt_clip=s.bptt_clip,
    )  # fmt: skip
    return (y if padded is None else y.flatten(0, 1)[padded]), finals, tuple(others)


def _zero_past_ends(tensor: Tensor, lengths: Tensor, steps: int, padded: Tensor | None) -> Tensor:
    """A timed value (T, B, size), zeros past the ends; `padded` says where packed rows lie."""
    if padded is None:
        return tensor.masked_fill(~within(lengths, steps).unsqueeze(-1), 0)
    flat = tensor.new_zeros(steps * len(lengths), tensor.shape[1])
    return flat.index_copy(0, padded, tensor).view(steps, -1, tensor.shape[1])


def _given(tensor: Tensor | None) -> Tensor:
    assert tensor is not None
    return tensor
