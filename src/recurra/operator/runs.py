"""Runs of compiled loops on tensors as torch's code has them: any layout, any order of lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.engines.cpu.run.bound_call import CallSteps
from recurra.engines.cpu.run.compiled_loop import ForwardTape
from recurra.engines.cpu.run.packed_rows import PackedRows, find_rows
from recurra.operator.loop_kernel import LoopKernel, Sequences

__all__ = ["Run", "backward", "forward", "padded"]


@dataclass(frozen=True)
class Run:
    """A run as compiled code has it: tensors laid out, ragged rows found."""

    inputs: list[Tensor | None]
    steps: CallSteps
    rows: PackedRows | None
    size: int

    @property
    def before(self) -> Tensor | None:
        return None if self.rows is None else self.rows.before


def _prepare(
    kernel: LoopKernel,
    inputs: Sequence[Tensor],
    batch: int,
    sequences: Sequences,
    rows: PackedRows | None = None,
) -> Run:
    marks = sequences.marks
    steps = CallSteps(sequences.steps, batch, sequences.reverse)
    count = sequences.steps * batch
    if sequences.lengths is not None:
        rows = rows or find_rows(
            sequences.lengths, reverse=sequences.reverse, is_packed=sequences.is_packed
        )
        marks = None if marks is None else marks.flatten()[rows.padded]
        steps = CallSteps(rows.count, batch, ragged=rows.ragged)
        count = len(rows)
    if marks is not None:
        steps = CallSteps(steps.count, batch, steps.reverse, steps.ragged, marks.contiguous())
    outside: list[Tensor | None] = [None] * len(kernel.loop.inputs)
    for index, tensor in zip(kernel.given, inputs, strict=True):
        timed = kernel.loop.inputs[index].timed
        outside[index] = _timed(tensor, rows) if timed else tensor.contiguous()
    return Run(outside, steps, rows, count)


def _timed(tensor: Tensor, rows: PackedRows | None) -> Tensor:
    """A value of every step as the loop reads it: in place where its elements lie side by side."""
    if rows is not None and rows.index is not None:
        return tensor.flatten(0, -2).index_select(0, rows.index)
    return tensor if tensor.stride(-1) == 1 else tensor.contiguous()


def forward(
    kernel: LoopKernel,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    sequences: Sequences,
    *,
    keep: bool,
    rows: int | None = None,
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], ForwardTape, Run]:
    """Outputs, last states, what was kept, and the run. `rows` is how many to allocate, if more.

    After the outputs come, where `every` state is wanted, the other states after each step.
    """
    run = _prepare(kernel, inputs, states[0].shape[0], sequences)
    order = None if run.rows is None else run.rows.order
    firsts = [s.contiguous() if order is None else s[order] for s in states]
    after, finals, kept = kernel.compiled.forward(
        run.inputs, firsts, run.steps, run.size if rows is None else rows,
        keep=keep, every=sequences.every,
    )  # fmt: skip
    after = after if sequences.every else after[:1]
    if run.rows is None:
        pairs = zip(after, states, strict=False)
        found = tuple(y[: run.size].view(sequences.steps, *s.shape) for y, s in pairs)
        return found, finals, kept, run
    y, *others = after
    shown = (_unsorted(run, y, sequences), *(_padded(run, s, sequences) for s in others))
    return shown, tuple(_lasts(run.rows, f) for f in finals), kept, run


def padded(y: Tensor, sequences: Sequences) -> Tensor:
    """Outputs of every step and row, (T, B, size), zeros after the ends: those of packed ones."""
    if not sequences.is_packed:
        return y
    assert sequences.lengths is not None
    index = find_rows(sequences.lengths, reverse=False, is_packed=True).padded
    zeros = y.new_zeros(sequences.steps * len(sequences.lengths), y.shape[1])
    return zeros.index_copy(0, index, y).view(sequences.steps, -1, y.shape[1])


def _lasts(rows: PackedRows, kept: Tensor) -> Tensor:
    last = kept if len(kept) == len(rows.last) else kept[rows.last]
    return last if rows.back is None else last[rows.back]


def _unsorted(run: Run, y: Tensor, sequences: Sequences) -> Tensor:
    """Outputs where the input's steps were, zeros after the ends."""
    assert run.rows is not None
    y, index = y[: run.size], run.rows.index
    if sequences.is_packed:
        return y if index is None else torch.empty_like(y).index_copy_(0, index, y)
    return _padded(run, y, sequences)


def _padded(run: Run, y: Tensor, sequences: Sequences) -> Tensor:
    assert run.rows is not None
    padded = y.new_zeros(sequences.steps * run.steps.batch, y.shape[1])
    padded.index_copy_(0, run.rows.padded, y[: run.size])
    return padded.view(sequences.steps, -1, y.shape[1])


def backward(
    kernel: LoopKernel,
    inputs: Sequence[Tensor],
    kept: ForwardTape,
    gradients: Sequence[Tensor],
    sequences: Sequences,
    wanted: Sequence[bool],
    rows: PackedRows | None = None,
) -> tuple[list[Tensor | None], list[Tensor]]:
    """Gradients of the inputs that are wanted and of the first states."""
    few = len(kernel.loop.states)
    seed, finals, others = gradients[0], gradients[1 : few + 1], gradients[few + 1 :]
    run = _prepare(kernel, inputs, finals[0].shape[0], sequences, rows)
    order = None if run.rows is None else run.rows.order
    adjoints = [
        g.clone(memory_format=torch.contiguous_format) if order is None else g[order]
        for g in finals
    ]
    every = [False] * len(run.inputs)
    for index, flag in zip(kernel.given, wanted, strict=True):
        every[index] = flag
    seeds = [_timed(seed, run.rows), *(_seed(g, run, sequences) for g in others)]
    if not others:
        # What nobody reads gets nothing: the same zeros for every step and row.
        zeros = (f.new_zeros(f.shape[-1]) for f in finals[1:])
        seeds += (z.as_strided((1, 1, len(z)), (0, 0, 1)) for z in zeros)
    found, first = kernel.compiled.backward(
        run.inputs, kept, seeds, adjoints, run.steps, every, run.before,
        sequences.bptt_clip,
    )  # fmt: skip
    back = None if run.rows is None else run.rows.back
    given = [
        _placed(found[i], t, kernel.loop.inputs[i].timed, run.rows)
        for i, t in zip(kernel.given, inputs, strict=True)
    ]
    return given, [f if back is None else f[back] for f in first]


def _seed(gradient: Tensor, run: Run, sequences: Sequences) -> Tensor:
    """What comes to another state than the output: padded where rows are packed, too."""
    if run.rows is None or not sequences.is_packed:
        return _timed(gradient, run.rows)
    return gradient.flatten(0, 1).index_select(0, run.rows.padded)


def _placed(g: Tensor | None, like: Tensor, timed: bool, rows: PackedRows | None) -> Tensor | None:
    """A gradient in the shape of what it is of."""
    if g is None or not timed:
        return g
    if rows is None or rows.index is None:
        return g.view(like.shape)
    flat = g.new_zeros(like.numel() // max(1, like.shape[-1]), like.shape[-1])
    return flat.index_copy_(0, rows.index, g).view(like.shape)
