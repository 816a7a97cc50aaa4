"""Layers over directions over time: what every recurrent module does once arguments are checked.

This file alone reaches the compiler.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from weft.compile import Kernel, kernel
from weft.nn.checks import check_resets

__all__ = ["Kernel", "kernel", "pack_like", "run_stack", "unpack"]

States = tuple[Tensor, ...]


def run_stack(
    kernel: Kernel,
    weights: Sequence[Mapping[str, Tensor]],
    x: Tensor,
    states: Sequence[Tensor],
    *,
    directions: int,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    dropout: Callable[[Tensor], Tensor] | None = None,
    bptt_clip: float | None = None,
    is_packed: bool = False,
) -> tuple[Tensor, States]:
    """Run layers of x (T, B, I) with states (L*D, B, size): outputs (T, B, D*size), last states.

    With `is_packed` x is (N, I) and the outputs are (N, D*size), in the order of sorted `lengths`.
    `weights` holds each layer's and direction's parameters; `dropout` works between layers.
    """
    last: list[States] = []
    for first in range(0, len(weights), directions):
        outputs = []
        for index in range(first, first + directions):
            y, final = kernel.sequence(
                x,
                [s[index] for s in states],
                weights[index],
                lengths=lengths,
                resets=resets,
                reverse=index != first,
                bptt_clip=bptt_clip,
                is_packed=is_packed,
            )
            outputs.append(y)
            last.append(final)
        x = torch.cat(outputs, dim=-1) if directions > 1 else outputs[0]
        if dropout is not None and first + directions < len(weights):
            x = dropout(x)
    if len(last) == 1:
        return x, tuple(s.unsqueeze(0) for s in last[0])
    return x, tuple(torch.stack(s) for s in zip(*last, strict=True))


def unpack(
    packed: PackedSequence, lengths: object, resets: Tensor | None, batch_first: bool
) -> tuple[Tensor, Tensor | None]:
    """Of a packed sequence, in its sorted order: lengths (B,), and resets (T, B).

    Raises ValueError for lengths given beside its own; resets come in the order of its sequences.
    """
    if lengths is not None:
        raise ValueError("lengths can't be given with a packed sequence, which has its own")
    sizes = packed.batch_sizes
    batch = int(sizes[0])
    own_lengths = (sizes.unsqueeze(1) > torch.arange(batch)).sum(0)
    if resets is not None:
        resets = check_resets(resets, len(sizes), batch, batch_first)
        if packed.sorted_indices is not None:
            resets = resets.index_select(1, packed.sorted_indices)
    return own_lengths, resets


def pack_like(packed: PackedSequence, data: Tensor) -> PackedSequence:
    """Outputs (N, size) of a packed sequence's steps."""
    return PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
