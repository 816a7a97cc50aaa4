"""Layers over directions over time: what every recurrent module does once arguments are checked.

This file alone reaches the compiler.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from recurra.compile import CpuKernel, Kernel, kernel, segment_starts, with_probe
from recurra.nn.layers.arguments import check_resets
from recurra.nn.observe.gradients import Watch
from recurra.nn.observe.observer import onlooker
from recurra.nn.observe.recording import Recorder, Reference

__all__ = ["Kernel", "kernel", "pack_like", "run_stack", "segment_starts", "unpack", "wants_every"]

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
    mask: Callable[[Tensor], Tensor] | None = None,
    dropout: Callable[[Tensor], Tensor] | None = None,
    bptt_clip: float | None = None,
    is_packed: bool = False,
    every: bool = False,
) -> tuple[Tensor, States]:
    """Run layers of x (T, B, I) with states (L*D, B, size): outputs (T, B, D*size), last states.

    With `every` the states after each step, (L*D, T, B, size), come instead of the last.

    With `is_packed` x is (N, I) and the outputs are (N, D*size), in the order of sorted `lengths`.
    `weights` holds each layer's and direction's parameters, and what else the kernel is given by
    name; `mask` works on the input of each layer, `dropout` between layers.
    """
    found: list[States] = []
    for first in range(0, len(weights), directions):
        outputs = []
        x = x if mask is None else mask(x)
        for index in range(first, first + directions):
            run = _sequence(kernel, states[0].shape[-1], _label(index, len(weights), directions))
            y, *last = run(
                x,
                [s[index] for s in states],
                weights[index],
                lengths=lengths,
                resets=resets,
                reverse=index != first,
                bptt_clip=bptt_clip,
                is_packed=is_packed,
                every=every,
            )
            outputs.append(y)
            found.append(last[-1])
        x = torch.cat(outputs, dim=-1) if directions > 1 else outputs[0]
        if dropout is not None and first + directions < len(weights):
            x = dropout(x)
    if len(found) == 1:
        return x, tuple(s.unsqueeze(0) for s in found[0])
    return x, tuple(torch.stack(s) for s in zip(*found, strict=True))


def wants_every(return_states: str) -> bool:
    """Whether states after every step are asked for. Raises ValueError for another word."""
    if return_states not in ("last", "all"):
        raise ValueError(f"return_states is {return_states!r}; it must be 'last' or 'all'")
    return return_states == "all"


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


def _sequence(kernel: Kernel, width: int, label: str) -> Callable[..., tuple[Any, ...]]:
    """What runs a layer and direction: its kernel, or whoever looks on at it."""
    who = onlooker()
    if isinstance(who, Recorder):
        reference = kernel.interp if isinstance(kernel, CpuKernel) else cast("Reference", kernel)
        return functools.partial(who.sequence, reference, label=label)
    if isinstance(who, Watch) and torch.is_grad_enabled():
        return functools.partial(who.sequence, with_probe(kernel).sequence, width, label=label)
    return kernel.sequence


def _label(index: int, rows: int, directions: int) -> str:
    """Which layer and direction of a module this is, where it has several: `layer 1 backward`."""
    words = [f"layer {index // directions}"] if rows > directions else []
    return " ".join(words + [("forward", "backward")[index % directions]] * (directions > 1))
