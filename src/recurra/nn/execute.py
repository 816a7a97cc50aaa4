"""Runs layers, directions and steps for every recurrent module, once arguments are checked.

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
from recurra.nn.observe.gradients import GradientObserver
from recurra.nn.observe.observer import current_observer
from recurra.nn.observe.recording import CellInterpreter, LayerRecorder
from recurra.nn.states import States

__all__ = ["Kernel", "kernel", "pack_like", "run_layers", "segment_starts", "unpack", "wants_every"]


def run_layers(
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

    With `every` the states after each step, (L*D, T, B, size), are returned instead of the last.

    With `is_packed` x is (N, I) and the outputs are (N, D*size), in the order of sorted `lengths`.
    `weights` holds the parameters of each layer and direction, and the kernel's other inputs by
    name; `mask` is applied to the input of each layer, `dropout` between layers.
    """
    states_after: list[States] = []
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
            states_after.append(last[-1])
        x = torch.cat(outputs, dim=-1) if directions > 1 else outputs[0]
        if dropout is not None and first + directions < len(weights):
            x = dropout(x)
    if len(states_after) == 1:
        return x, tuple(s.unsqueeze(0) for s in states_after[0])
    return x, tuple(torch.stack(s) for s in zip(*states_after, strict=True))


def wants_every(return_states: str) -> bool:
    """True if states after every step are requested. Raises ValueError for an invalid word."""
    if return_states not in ("last", "all"):
        raise ValueError(f"return_states is {return_states!r}; it must be 'last' or 'all'")
    return return_states == "all"


def unpack(
    packed: PackedSequence, lengths: object, resets: Tensor | None, batch_first: bool
) -> tuple[Tensor, Tensor | None]:
    """Lengths (B,) and resets (T, B) of a packed sequence, in its sorted order.

    `resets` are given in the order of its sequences. Raises ValueError if `lengths` are given too.
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
    """Pack outputs (N, size) as the steps of a packed sequence."""
    return PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)


def _sequence(kernel: Kernel, width: int, label: str) -> Callable[..., tuple[Any, ...]]:
    """The function that runs a layer and direction: its kernel's, or an observer's around it."""
    observer = current_observer()
    if isinstance(observer, LayerRecorder):
        cell = kernel.interp if isinstance(kernel, CpuKernel) else cast("CellInterpreter", kernel)
        return functools.partial(observer.sequence, cell, label=label)
    if isinstance(observer, GradientObserver) and torch.is_grad_enabled():
        run = with_probe(kernel).sequence
        return functools.partial(observer.sequence, run, width, label=label)
    return kernel.sequence


def _label(index: int, rows: int, directions: int) -> str:
    """A layer's and direction's name in its module, if there are several: `layer 1 backward`."""
    words = [f"layer {index // directions}"] if rows > directions else []
    return " ".join(words + [("forward", "backward")[index % directions]] * (directions > 1))
