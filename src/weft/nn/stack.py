"""Layers over directions over time: what every recurrent module does once arguments are checked.

This file alone reaches the compiler.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from weft.compile import Kernel, kernel

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
) -> tuple[Tensor, States]:
    """Run layers of x (T, B, I) with states (L*D, B, size): outputs (T, B, D*size), last states.

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
            )
            outputs.append(y)
            last.append(final)
        x = torch.cat(outputs, dim=-1) if directions > 1 else outputs[0]
        if dropout is not None and first + directions < len(weights):
            x = dropout(x)
    return x, tuple(torch.stack(s) for s in zip(*last, strict=True))


def unpack(packed: PackedSequence) -> tuple[Tensor, Tensor]:
    """The data of a packed sequence as (T, B, I) in its sorted order, with the lengths (B,)."""
    in_order = PackedSequence(packed.data, packed.batch_sizes)
    return pad_packed_sequence(in_order)


def pack_like(packed: PackedSequence, lengths: Tensor, y: Tensor) -> PackedSequence:
    """Outputs (T, B, size), in sorted order, packed as `packed` is."""
    data = pack_padded_sequence(y, lengths).data
    return PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
