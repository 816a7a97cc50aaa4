"""How many floating-point operations a run takes, for torch's FlopCounterMode.

As torch counts: two for a multiplication with its addition, products alone, and every step of a
padded sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from recurra.ir import in_order
from recurra.operator.kernels import kernel_of
from recurra.operator.library import LOOP, LOOP_BACKWARD

__all__ = ["backward_flops", "forward_flops"]


@register_flop_formula(LOOP, get_raw=True)
def forward_flops(
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    lengths: Tensor | None,
    marks: Tensor | None,
    key: str,
    steps: int,
    reverse: bool,
    is_packed: bool,
    bptt_clip: float | None,
    keep: bool,
    *,
    out_val: Sequence[Tensor],
) -> int:
    """Operations of `recurra::loop`."""
    return 2 * _products(key, inputs) * _rows(out_val[0])


@register_flop_formula(LOOP_BACKWARD, get_raw=True)
def backward_flops(
    inputs: Sequence[Tensor],
    kept: Sequence[Tensor],
    gradients: Sequence[Tensor],
    lengths: Tensor | None,
    marks: Tensor | None,
    key: str,
    steps: int,
    reverse: bool,
    is_packed: bool,
    bptt_clip: float | None,
    *,
    out_val: Sequence[Tensor],
) -> int:
    """Operations of `recurra::loop_backward`: each product gives those of vector and matrix."""
    return 4 * _products(key, inputs) * _rows(gradients[0])


def _rows(y: Tensor) -> int:
    return prod(y.shape[:-1])


def _products(key: str, inputs: Sequence[Tensor]) -> int:
    """Multiplications of one row's step: the elements of each product's matrix."""
    kernel = kernel_of(key)
    outside, loops = kernel.outside(inputs), kernel.compiled.lowered.loops
    loop = loops.get("merged forward", kernel.loop)
    total = 0
    for node in in_order(loop.results):
        if node.op == "product":
            where = in_order(node.args[:1])[0].detail
            assert isinstance(where, tuple)
            index, part = where
            matrix = outside[index]
            assert matrix is not None
            total += matrix.numel() // (1 if part is None else loop.outside[index].parts)
    return total
