"""The operators `recurra::loop` and `recurra::loop_backward`, as tracers and modes see a run.

They are registered piece by piece: `torch.library.custom_op` loads the whole of torch._dynamo at
its first call. Operations are counted as torch counts them: two for a multiplication with its
addition, products alone, and every step of a padded sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from recurra.engines.cpu.run.compiled_loop import ForwardTape
from recurra.errors import EngineError
from recurra.ir import in_order
from recurra.operator import runs
from recurra.operator.interpreted import interpreted_backward, is_interpreted
from recurra.operator.loop_kernel import LoopKernel, Sequences, kernel_of

__all__ = ["LIBRARY", "LOOP", "LOOP_BACKWARD", "backward_flops", "call", "forward_flops"]

LIBRARY: Any = torch.library.Library("recurra", "FRAGMENT")  # type: ignore[no-untyped-call]
LIBRARY.define(
    "loop(Tensor[] inputs, Tensor[] states, Tensor? lengths, Tensor? marks, str key, SymInt steps, "
    "bool reverse, bool is_packed, float? bptt_clip, bool keep) -> Tensor[]"
)
LIBRARY.define(
    "loop_backward(Tensor[] inputs, Tensor[] kept, Tensor[] gradients, Tensor? lengths, "
    "Tensor? marks, str key, SymInt steps, bool reverse, bool is_packed, float? bptt_clip) "
    "-> Tensor[]"
)
LOOP: Any = torch.ops.recurra.loop
LOOP_BACKWARD: Any = torch.ops.recurra.loop_backward


def call(
    kernel: LoopKernel,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    s: Sequences,
    *,
    keep: bool,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """A run through the operator: outputs and last states."""
    found = LOOP(
        list(inputs), list(states), s.lengths, s.marks, kernel.key, s.steps, s.reverse,
        s.is_packed, s.bptt_clip, keep,
    )  # fmt: skip
    return found[0], tuple(found[1 : len(states) + 1])


def _loop(
    inputs: list[Tensor],
    states: list[Tensor],
    lengths: Tensor | None,
    marks: Tensor | None,
    key: str,
    steps: int,
    reverse: bool,
    is_packed: bool,
    bptt_clip: float | None,
    keep: bool,
) -> list[Tensor]:
    """Outputs and last states; with `keep` also kept states, saved values and new states."""
    kernel, sequences = kernel_of(key), Sequences(steps, reverse, lengths, marks, is_packed)
    rows = _most_rows(kernel, inputs, states, steps, is_packed)
    (y,), finals, kept, _ = runs.forward(kernel, inputs, states, sequences, keep=keep, rows=rows)
    rest = (*kept.states, kept.saved, *kept.new_states) if keep else ()
    return _apart([y, *finals, *rest], [*inputs, *states])


def _apart(found: Sequence[Tensor], given: Sequence[Tensor]) -> list[Tensor]:
    """Tensors each in memory of its own, as an operator must return them.

    Of two that share, the later stays: what is kept is larger than the outputs inside it.
    """
    seen = {t.untyped_storage().data_ptr() for t in given}
    apart: list[Tensor] = []
    for tensor in reversed(found):
        address = tensor.untyped_storage().data_ptr()
        shares = address in seen or tensor.storage_offset() > 0
        apart.append(tensor.clone() if shares else tensor)
        seen.add(address)
    return apart[::-1]


def _most_rows(
    kernel: LoopKernel, inputs: Sequence[Tensor], states: Sequence[Tensor], steps: int, packed: bool
) -> int:
    """Rows that outputs and kept values are allocated for: those of no lengths at all."""
    if not packed:
        return steps * states[0].shape[0]
    timed = (t for i, t in zip(kernel.given, inputs, strict=True) if kernel.loop.inputs[i].timed)
    return next(timed).shape[0]


def _fake_loop(
    inputs: list[Tensor],
    states: list[Tensor],
    lengths: Tensor | None,
    marks: Tensor | None,
    key: str,
    steps: int,
    reverse: bool,
    is_packed: bool,
    bptt_clip: float | None,
    keep: bool,
) -> list[Tensor]:
    kernel = kernel_of(key)
    rows, (batch, size) = _most_rows(kernel, inputs, states, steps, is_packed), states[0].shape
    y = states[0].new_empty((rows, size) if is_packed else (steps, batch, size))
    finals = [s.new_empty(s.shape) for s in states]
    if not keep:
        return [y, *finals]
    single = lengths is None and marks is None and steps == 1
    kept = [s.new_empty(batch if single else rows + batch, s.shape[1]) for s in states]
    saved = y.new_empty(rows, kernel.compiled.saved_width(kernel.placed(inputs), states))
    has_news = single or marks is not None
    news = [s.new_empty(rows, s.shape[1]) for s in states] if has_news else []
    return [y, *finals, *kept, saved, *news]


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
    bptt_clip: float | None,
) -> list[Tensor]:
    """Gradients of all inputs, then of the first states."""
    kernel = kernel_of(key)
    sequences = Sequences(steps, reverse, lengths, marks, is_packed, bptt_clip)
    few = len(kernel.loop.states)
    values = ForwardTape(tuple(kept[:few]), kept[few], tuple(kept[few + 1 :]))
    wanted = [True] * len(inputs)
    found, firsts = runs.backward(kernel, inputs, values, gradients, sequences, wanted)
    pairs = zip(inputs, found, strict=True)
    every = [*(torch.zeros_like(t) if g is None else g for t, g in pairs), *firsts]
    return _apart(every, [*inputs, *kept, *gradients])


def _fake_loop_backward(
    inputs: list[Tensor], kept: list[Tensor], gradients: list[Tensor], *_: object
) -> list[Tensor]:
    return [t.new_empty(t.shape) for t in (*inputs, *gradients[1:])]


def _keep_for_backward(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    given, states, lengths, marks, *ctx.rest, _ = inputs
    ctx.count, ctx.states = len(given), len(states)
    ctx.shapes = [(t.shape, t.new_empty(0)) for t in output[: len(states) + 1]]
    ctx.has = lengths is not None, marks is not None
    masks = [t for t in (lengths, marks) if t is not None]
    ctx.save_for_backward(*masks, *given, *states, *output[len(states) + 1 :])


def _derivative(ctx: Any, gradients: list[Tensor | None]) -> tuple[Any, ...]:
    saved = list(ctx.saved_tensors)
    lengths, marks = (saved.pop(0) if has else None for has in ctx.has)
    many, few = ctx.count, ctx.states
    inputs, states, kept = saved[:many], saved[many : many + few], saved[many + few :]
    given = [
        like.new_zeros(shape) if g is None else g
        for (shape, like), g in zip(ctx.shapes, gradients, strict=False)
    ]
    key, steps, reverse, is_packed, bptt_clip = ctx.rest
    found: Sequence[Tensor | None]
    if is_interpreted(given):
        sequences = Sequences(steps, reverse, lengths, marks, is_packed, bptt_clip)
        found = interpreted_backward(kernel_of(key), inputs, states, given, sequences)
    else:
        found = LOOP_BACKWARD(
            inputs, kept, given, lengths, marks, key, steps, reverse, is_packed, bptt_clip
        )
    return list(found[:many]), list(found[many:]), *([None] * 8)


def _no_derivative(ctx: Any, gradients: list[Tensor | None]) -> None:
    raise EngineError(
        "recurra::loop_backward has no derivative of its own; second gradients are those of "
        "recurra::loop, differentiated with create_graph=True."
    )


LIBRARY.impl("loop", _loop, "CPU")
LIBRARY.impl("loop_backward", _loop_backward, "CPU")
torch.library.register_fake("recurra::loop", _fake_loop, lib=LIBRARY)
torch.library.register_fake("recurra::loop_backward", _fake_loop_backward, lib=LIBRARY)
torch.library.register_autograd(
    "recurra::loop", _derivative, setup_context=_keep_for_backward, lib=LIBRARY
)
torch.library.register_autograd("recurra::loop_backward", _no_derivative, lib=LIBRARY)


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
    outside, loops = kernel.placed(inputs), kernel.compiled.lowered.loops
    loop = loops.get("merged forward", kernel.loop)
    total = 0
    for node in in_order(loop.results):
        if node.op == "product":
            where = in_order(node.args[:1])[0].detail
            assert isinstance(where, tuple)
            index, part = where
            matrix = outside[index]
            assert matrix is not None
            total += matrix.numel() // (1 if part is None else loop.inputs[index].parts)
    return total
