"""Runs layers, directions and steps for every recurrent module, once arguments are checked.

This file alone reaches the compiler.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from recurra.compile import (
    Kernel,
    LinearMap,
    Parameters,
    Sequences,
    StepRun,
    TorchParameters,
    TracedLoop,
    kernel,
    tensors_of,
)
from recurra.nn.layers.arguments import check_resets
from recurra.nn.observe.observer import CURRENT
from recurra.nn.states import States

__all__ = [
    "Kernel",
    "LinearMap",
    "Parameters",
    "Sequences",
    "StepRun",
    "TorchParameters",
    "TracedLoop",
    "dropout_between",
    "engine_of",
    "kernel",
    "pack_like",
    "run_layers",
    "step_runs",
    "unpack",
    "wants_every",
]


def run_layers(
    kernel: Kernel | TracedLoop,
    weights: Sequence[Parameters],
    x: Tensor,
    states: Sequence[Tensor],
    sequences: Sequences,
    *,
    directions: int,
    mask: Callable[[Tensor], Tensor] | None = None,
    dropout: Callable[[Tensor], Tensor] | None = None,
) -> tuple[Tensor, States]:
    """Run layers of x (T, B, I) with states (L*D, B, size): outputs (T, B, D*size), last states.

    With `sequences.every` the states after each step, (L*D, T, B, size), are returned instead of
    the last; with `is_packed` x is (N, I) and the outputs are (N, D*size), in the order of sorted
    lengths.
    `weights` holds the parameters of each layer and direction, and the kernel's other inputs by
    name; `mask` is applied to the input of each layer, `dropout` between layers.
    """
    observer = None if torch.compiler.is_dynamo_compiling() else CURRENT.get()
    if observer is None:
        tensors: list[Tensor | None] = [x, *states]
        for each in weights:
            tensors += tensors_of(each)
        loop = kernel.choose(tensors, sequences)
        if mask is None and dropout is None:
            whole = loop.stack(x, states, weights, sequences, directions)
            if whole is not None:
                return whole
    states_after: list[States] = []
    rows = [s.unbind() for s in states]
    for first in range(0, len(weights), directions):
        outputs = []
        x = x if mask is None else mask(x)
        for index in range(first, first + directions):
            own = [s[index] for s in rows]
            s = sequences if index == first else sequences._replace(reverse=True)
            if observer is None:
                y, after = loop.sequence(x, own, weights[index], s)
            else:
                assert isinstance(kernel, Kernel)
                label = _label(index, len(weights), directions)
                y, after = observer.run(kernel, x, own, weights[index], s, label)
            outputs.append(y)
            states_after.append(after)
        x = torch.cat(outputs, dim=-1) if directions > 1 else outputs[0]
        if dropout is not None and first + directions < len(weights):
            x = dropout(x)
    if len(states_after) == 1:
        last = states_after[0]
        if sequences.every:
            # The first state after each step is the output: who changes one mustn't change both.
            last = (last[0].clone(), *last[1:])
        return x, tuple([s.unsqueeze(0) for s in last])
    return x, tuple(torch.stack(s) for s in zip(*states_after, strict=True))


def dropout_between(
    layers: int, share: float, is_training: bool
) -> Callable[[Tensor], Tensor] | None:
    """Dropout of the outputs between layers, None where nothing is dropped."""
    if layers == 1 or not is_training or not share:
        return None
    return functools.partial(F.dropout, p=share, training=True)


def engine_of(
    kernel: Kernel | TracedLoop, weight: Tensor, *, bptt_clip: float | None, is_step: bool = False
) -> str:
    """The engine that runs a kernel with weights like this one."""
    assert isinstance(kernel, Kernel)
    return kernel.engine_of([weight], None if is_step else Sequences(1, bptt_clip=bptt_clip))


def wants_every(return_states: str) -> bool:
    """True if states after every step are requested. Raises ValueError for an invalid word."""
    if return_states not in ("last", "all"):
        raise ValueError(f"return_states is {return_states!r}; it must be 'last' or 'all'")
    return return_states == "all"


def unpack(
    packed: PackedSequence, lengths: object, resets: Tensor | None, batch_first: bool
) -> Sequences:
    """The steps of a packed sequence, in its sorted order.

    `resets` are given in the order of its sequences. Raises ValueError if `lengths` are given too.
    """
    if lengths is not None:
        raise ValueError("lengths can't be given with a packed sequence, which has its own")
    sizes = packed.batch_sizes
    batch = int(sizes[0])
    if resets is not None:
        resets = check_resets(resets, len(sizes), batch, batch_first)
        if packed.sorted_indices is not None:
            resets = resets.index_select(1, packed.sorted_indices)
    own = (sizes.unsqueeze(1) > torch.arange(batch)).sum(0)
    return Sequences(len(sizes), lengths=own, resets=resets, is_packed=True)


def pack_like(packed: PackedSequence, data: Tensor) -> PackedSequence:
    """Pack outputs (N, size) as the steps of a packed sequence."""
    return PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)


def _label(index: int, rows: int, directions: int) -> str:
    """A layer's and direction's name in its module, if there are several: `layer 1 backward`."""
    words = [f"layer {index // directions}"] if rows > directions else []
    return " ".join(words + [("forward", "backward")[index % directions]] * (directions > 1))


def step_runs(
    kernel: Kernel | TracedLoop,
    weights: Sequence[Parameters],
    inputs: Tensor,
    widths: Sequence[int],
    *,
    quantize: bool = False,
) -> list[StepRun] | None:
    """Steps of layers one on the other, the lowest of which reads the memory `inputs` (N, B, I).

    `widths` are the sizes of the states. None where the engine has nothing for them.
    """
    runs: list[StepRun] = []
    for params in weights:
        below = runs[-1].outputs if runs else inputs
        if isinstance(kernel, TracedLoop):
            return None
        found = kernel.steps(params, below, widths, quantize=quantize)
        if found is None:
            return None
        runs.append(found)
    return runs
