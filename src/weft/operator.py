"""Compiled loops as torch knows them: an autograd function, and operators for tracing.

Plain eager code goes through the function, whose cost is a fraction of an operator's; torch.compile,
torch.export and other modes that must see an operator get `weft::loop` and `weft::loop_backward`,
which run the same. When a backward pass is itself recorded (second gradients), the loop is
interpreted, by operations that torch can derive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from weft.backends.cpu.call import Steps
from weft.backends.cpu.engine import Compiled, Kept
from weft.backends.cpu.ragged import Rows, find_rows
from weft.backends.cpu.refuse import refuse
from weft.backends.interp_loop import interpret
from weft.ir import Graph, Loop
from weft.passes import lower

__all__ = ["LoopKernel", "Sequences", "loop_kernel", "run_loop"]

Outside = Sequence[Tensor | None]


@dataclass(frozen=True)
class LoopKernel:
    """A cell's loop and what compiles it; `key` names it in operators.

    `inputs` are the indices of the loop's outside values that are given, not computed.
    """

    key: str
    loop: Loop
    compiled: Compiled
    inputs: tuple[int, ...]


@dataclass(frozen=True)
class Sequences:
    """The steps that a loop runs: how many, from which end, and of which lengths.

    `lengths` (B,) int64 end rows; with `is_packed` timed values come packed, (N, size), sorted.
    `marks` (T, B) bool tell where a segment begins with a step, in the direction of the run.
    """

    steps: int
    reverse: bool = False
    lengths: Tensor | None = None
    marks: Tensor | None = None
    is_packed: bool = False


_KERNELS: dict[str, LoopKernel] = {}


def loop_kernel(graph: Graph) -> LoopKernel:
    """The kernel of a graph's loop, made once."""
    key = f"{graph.cell}-{graph.digest()}"
    if key not in _KERNELS:
        refuse(graph)
        lowered = lower(graph)
        loop = lowered.loops["forward"]
        values = {a.value for a in lowered.affine}
        inputs = tuple(i for i in range(len(loop.outside)) if i not in values)
        _KERNELS[key] = LoopKernel(key, loop, Compiled(lowered), inputs)
    return _KERNELS[key]


def run_loop(
    kernel: LoopKernel, inputs: Sequence[Tensor], states: Sequence[Tensor], sequences: Sequences
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The first state at every step, (T, B, size) or packed (N, size), and the last states."""
    tensors = (*inputs, *states)
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    if _needs_operator(tensors):
        s = sequences
        found = torch.ops.weft.loop(
            list(inputs), list(states), s.lengths, s.marks, kernel.key, s.steps, s.reverse,
            s.is_packed, keep,
        )  # fmt: skip
        return found[0], tuple(found[1 : len(states) + 1])
    if keep:
        y, *finals = _Loop.apply(kernel, sequences, len(inputs), *tensors)
        return y, tuple(finals)
    y, found_finals, _, _ = _forward(kernel, inputs, states, sequences, keep=False)
    return y, found_finals


def _needs_operator(tensors: Sequence[Tensor]) -> bool:
    """Whether somebody traces, or must see an operator for another reason."""
    if torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack() > 0:
        return True
    return any(type(t) is not Tensor and type(t) is not torch.nn.Parameter for t in tensors)


@dataclass(frozen=True)
class _Run:
    """A run as compiled code has it: tensors laid out, ragged rows found."""

    outside: list[Tensor | None]
    steps: Steps
    rows: Rows | None
    size: int

    @property
    def before(self) -> Tensor | None:
        return None if self.rows is None else self.rows.before


def _prepare(
    kernel: LoopKernel,
    inputs: Sequence[Tensor],
    batch: int,
    sequences: Sequences,
    rows: Rows | None = None,
) -> _Run:
    marks = sequences.marks
    steps = Steps(sequences.steps, batch, sequences.reverse)
    count = sequences.steps * batch
    if sequences.lengths is not None:
        rows = rows or find_rows(
            sequences.lengths, reverse=sequences.reverse, is_packed=sequences.is_packed
        )
        marks = None if marks is None else marks.flatten()[rows.padded]
        steps = Steps(rows.count, batch, ragged=rows.ragged)
        count = len(rows)
    if marks is not None:
        steps = Steps(steps.count, batch, steps.reverse, steps.ragged, marks.contiguous())
    outside: list[Tensor | None] = [None] * len(kernel.loop.outside)
    for index, tensor in zip(kernel.inputs, inputs, strict=True):
        timed = kernel.loop.outside[index].timed
        outside[index] = _timed(tensor, rows) if timed else tensor.contiguous()
    return _Run(outside, steps, rows, count)


def _outside(kernel: LoopKernel, inputs: Sequence[Tensor]) -> list[Tensor | None]:
    """Inputs in their places among the outside values."""
    found: list[Tensor | None] = [None] * len(kernel.loop.outside)
    for index, tensor in zip(kernel.inputs, inputs, strict=True):
        found[index] = tensor
    return found


def _timed(tensor: Tensor, rows: Rows | None) -> Tensor:
    """A value of every step as the loop reads it: in place where its elements lie side by side."""
    if rows is not None and rows.index is not None:
        return tensor.flatten(0, -2).index_select(0, rows.index)
    return tensor if tensor.stride(-1) == 1 else tensor.contiguous()


def _forward(
    kernel: LoopKernel,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    sequences: Sequences,
    *,
    keep: bool,
    rows: int | None = None,
) -> tuple[Tensor, tuple[Tensor, ...], Kept, _Run]:
    """Outputs, last states, what was kept, and the run. `rows` is how many to allocate, if more."""
    run = _prepare(kernel, inputs, states[0].shape[0], sequences)
    order = None if run.rows is None else run.rows.order
    firsts = [s.contiguous() if order is None else s[order] for s in states]
    y, finals, kept = kernel.compiled.forward(
        run.outside, firsts, run.steps, run.size if rows is None else rows, keep=keep
    )
    if run.rows is None:
        shape = (sequences.steps, *states[0].shape)
        return y[: run.size].view(shape), finals, kept, run
    return _unsorted(run, y, sequences), tuple(_lasts(run.rows, f) for f in finals), kept, run


def _lasts(rows: Rows, kept: Tensor) -> Tensor:
    last = kept if len(kept) == len(rows.last) else kept[rows.last]
    return last if rows.back is None else last[rows.back]


def _unsorted(run: _Run, y: Tensor, sequences: Sequences) -> Tensor:
    """Outputs where the input's steps were, zeros after the ends."""
    assert run.rows is not None
    y, index = y[: run.size], run.rows.index
    if sequences.is_packed:
        return y if index is None else torch.empty_like(y).index_copy_(0, index, y)
    padded = y.new_zeros(sequences.steps * run.steps.batch, y.shape[1])
    return padded.index_copy_(0, run.rows.padded, y).view(sequences.steps, -1, y.shape[1])


def _backward(
    kernel: LoopKernel,
    inputs: Sequence[Tensor],
    kept: Kept,
    gradients: Sequence[Tensor],
    sequences: Sequences,
    wanted: Sequence[bool],
    rows: Rows | None = None,
) -> tuple[list[Tensor | None], list[Tensor]]:
    """Gradients of the inputs that are wanted and of the first states."""
    seed, *finals = gradients
    run = _prepare(kernel, inputs, finals[0].shape[0], sequences, rows)
    order = None if run.rows is None else run.rows.order
    adjoints = [
        g.clone(memory_format=torch.contiguous_format) if order is None else g[order]
        for g in finals
    ]
    every = [False] * len(run.outside)
    for index, flag in zip(kernel.inputs, wanted, strict=True):
        every[index] = flag
    found, first = kernel.compiled.backward(
        run.outside, kept, _timed(seed, run.rows), adjoints, run.steps, every, run.before
    )
    back = None if run.rows is None else run.rows.back
    given = [
        _placed(found[i], t, kernel.loop.outside[i].timed, run.rows)
        for i, t in zip(kernel.inputs, inputs, strict=True)
    ]
    return given, [f if back is None else f[back] for f in first]


def _placed(g: Tensor | None, like: Tensor, timed: bool, rows: Rows | None) -> Tensor | None:
    """A gradient in the shape of what it is of."""
    if g is None or not timed:
        return g
    if rows is None or rows.index is None:
        return g.view(like.shape)
    flat = g.new_zeros(like.numel() // max(1, like.shape[-1]), like.shape[-1])
    return flat.index_copy_(0, rows.index, g).view(like.shape)


def _interpreted_backward(
    kernel: LoopKernel,
    tensors: Sequence[Tensor],
    count: int,
    gradients: Sequence[Tensor],
    sequences: Sequences,
) -> list[Tensor | None]:
    """The same gradients by operations that can be derived again."""
    inputs, states = tensors[:count], tensors[count:]
    outside: list[Tensor | None] = [None] * len(kernel.loop.outside)
    for index, tensor in zip(kernel.inputs, inputs, strict=True):
        outside[index] = tensor
    y, finals = _interpreted(kernel, outside, states, sequences)
    wanted = [t for t in tensors if t.requires_grad]
    parts = torch.autograd.grad(
        [y, *finals], wanted, list(gradients), create_graph=True, allow_unused=True
    )
    found = iter(parts)
    every = [next(found) if t.requires_grad else None for t in tensors]
    return [torch.zeros_like(t) if g is None else g for t, g in zip(tensors, every, strict=True)]


def _interpreted(
    kernel: LoopKernel, outside: list[Tensor | None], states: Sequence[Tensor], s: Sequences
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The run as torch operations; packed values are padded and their outputs packed again."""
    padded = None
    if s.is_packed:
        assert s.lengths is not None
        padded = find_rows(s.lengths, reverse=False, is_packed=True).padded
        for i, (value, tensor) in enumerate(zip(kernel.loop.outside, outside, strict=True)):
            if value.timed and tensor is not None:
                flat = tensor.new_zeros(s.steps * len(s.lengths), tensor.shape[1])
                flat = flat.index_copy(0, padded, tensor)
                outside[i] = flat.view(s.steps, -1, tensor.shape[1])
    elif s.lengths is not None:
        ended = (torch.arange(s.steps).unsqueeze(-1) >= s.lengths).unsqueeze(-1)
        for i, (value, tensor) in enumerate(zip(kernel.loop.outside, outside, strict=True)):
            if value.timed and tensor is not None:
                outside[i] = tensor.masked_fill(ended, 0)
    for affine in kernel.compiled.lowered.affine:
        total: Any = sum(_given(outside[b]) for b in affine.biases)
        for matrix, vector in affine.terms:
            total = total + F.linear(_given(outside[vector]), _given(outside[matrix]))
        outside[affine.value] = total
    y, finals = interpret(
        kernel.loop, outside, states, s.steps, reverse=s.reverse, lengths=s.lengths, marks=s.marks
    )
    return (y if padded is None else y.flatten(0, 1)[padded]), finals


def _given(tensor: Tensor | None) -> Tensor:
    assert tensor is not None
    return tensor


class _Loop(torch.autograd.Function):
    """A run of a loop in plain eager code."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, kernel: LoopKernel, sequences: Sequences, count: int, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        """Outputs and last states."""
        y, finals, kept, run = _forward(
            kernel, tensors[:count], tensors[count:], sequences, keep=True
        )
        ctx.kernel, ctx.sequences, ctx.count = kernel, sequences, count
        ctx.rows = run.rows
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, *kept.states, kept.saved, *kept.news)
        ctx.shapes = [(y.shape, y.dtype), *((f.shape, f.dtype) for f in finals)]
        return y, *finals

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:
        """Gradients of inputs and first states."""
        kernel, sequences, count = ctx.kernel, ctx.sequences, ctx.count
        states = len(kernel.loop.states)
        every = ctx.saved_tensors
        tensors, rest = every[: count + states], every[count + states :]
        given = [
            torch.zeros(shape, dtype=dtype) if g is None else g
            for (shape, dtype), g in zip(ctx.shapes, gradients, strict=True)
        ]
        if torch.is_grad_enabled():
            found = _interpreted_backward(kernel, tensors, count, given, sequences)
            return None, None, None, *found
        kept = Kept(rest[:states], rest[states], rest[states + 1 :])
        wanted = ctx.needs_input_grad[3 : 3 + count]
        parts, firsts = _backward(
            kernel, tensors[:count], kept, given, sequences, wanted, ctx.rows
        )
        return None, None, None, *parts, *firsts


@torch.library.custom_op("weft::loop", mutates_args=())
def _loop(
    inputs: list[Tensor],
    states: list[Tensor],
    lengths: Tensor | None,
    marks: Tensor | None,
    key: str,
    steps: int,
    reverse: bool,
    is_packed: bool,
    keep: bool,
) -> list[Tensor]:
    kernel, sequences = _KERNELS[key], Sequences(steps, reverse, lengths, marks, is_packed)
    rows = _most_rows(kernel, inputs, states, steps, is_packed)
    y, finals, kept, _ = _forward(kernel, inputs, states, sequences, keep=keep, rows=rows)
    if not keep:
        return [y.clone(), *(f.clone() for f in finals)]
    return [y.clone(), *finals, *kept.states, kept.saved, *kept.news]


def _most_rows(
    kernel: LoopKernel, inputs: Sequence[Tensor], states: Sequence[Tensor], steps: int, packed: bool
) -> int:
    """Rows that outputs and kept values are allocated for: those of no lengths at all."""
    if not packed:
        return steps * states[0].shape[0]
    timed = (t for i, t in zip(kernel.inputs, inputs, strict=True) if kernel.loop.outside[i].timed)
    return next(timed).shape[0]


@_loop.register_fake
def _(
    inputs: list[Tensor],
    states: list[Tensor],
    lengths: Tensor | None,
    marks: Tensor | None,
    key: str,
    steps: int,
    reverse: bool,
    is_packed: bool,
    keep: bool,
) -> list[Tensor]:
    kernel = _KERNELS[key]
    rows, (batch, size) = _most_rows(kernel, inputs, states, steps, is_packed), states[0].shape
    y = states[0].new_empty((rows, size) if is_packed else (steps, batch, size))
    finals = [s.new_empty(s.shape) for s in states]
    if not keep:
        return [y, *finals]
    kept = [s.new_empty(rows + batch, s.shape[1]) for s in states]
    saved = y.new_empty(rows, kernel.compiled.saved_width(_outside(kernel, inputs), states))
    news = [s.new_empty(rows, s.shape[1]) for s in states] if marks is not None else []
    return [y, *finals, *kept, saved, *news]


@torch.library.custom_op("weft::loop_backward", mutates_args=())
def _loop_backward(
    inputs: list[Tensor],
    kept: list[Tensor],
    gradients: list[Tensor],
    lengths: Tensor | None,
    marks: Tensor | None,
    key: str,
    steps: int,
    reverse: bool,
    is_packed: bool,
) -> list[Tensor]:
    kernel, sequences = _KERNELS[key], Sequences(steps, reverse, lengths, marks, is_packed)
    states = len(kernel.loop.states)
    values = Kept(tuple(kept[:states]), kept[states], tuple(kept[states + 1 :]))
    found, firsts = _backward(
        kernel, inputs, values, gradients, sequences, [True] * len(inputs)
    )
    pairs = zip(inputs, found, strict=True)
    return [*(torch.zeros_like(t) if g is None else g for t, g in pairs), *firsts]


@_loop_backward.register_fake
def _(
    inputs: list[Tensor],
    kept: list[Tensor],
    gradients: list[Tensor],
    lengths: Tensor | None,
    marks: Tensor | None,
    key: str,
    steps: int,
    reverse: bool,
    is_packed: bool,
) -> list[Tensor]:
    firsts = [g.new_empty(g.shape) for g in gradients[1:]]
    return [t.new_empty(t.shape) for t in inputs] + firsts


def _setup(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    given, states, *ctx.rest, _ = inputs
    ctx.count, ctx.states = len(given), len(states)
    ctx.shapes = [(t.shape, t.new_empty(0)) for t in output[: len(states) + 1]]
    lengths, marks, *ctx.rest = ctx.rest
    ctx.has = lengths is not None, marks is not None
    masks = [t for t in (lengths, marks) if t is not None]
    ctx.save_for_backward(*masks, *given, *states, *output[len(states) + 1 :])


def _operator_backward(ctx: Any, gradients: list[Tensor | None]) -> tuple[Any, ...]:
    saved = list(ctx.saved_tensors)
    lengths, marks = (saved.pop(0) if has else None for has in ctx.has)
    many, few = ctx.count, ctx.states
    tensors, kept = saved[: many + few], saved[many + few :]
    given = [
        like.new_zeros(shape) if g is None else g
        for (shape, like), g in zip(ctx.shapes, gradients, strict=False)
    ]
    key, steps, reverse, is_packed = ctx.rest
    found: Sequence[Tensor | None]
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():
        sequences = Sequences(steps, reverse, lengths, marks, is_packed)
        found = _interpreted_backward(_KERNELS[key], tensors, many, given, sequences)
    else:
        found = torch.ops.weft.loop_backward(
            tensors[:many], kept, given, lengths, marks, key, steps, reverse, is_packed
        )
    return list(found[:many]), list(found[many:]), *([None] * 7)


_loop.register_autograd(_operator_backward, setup_context=_setup)
