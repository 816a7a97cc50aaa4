"""A cell's loops as compiled code: tensors in, tensors out."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from recurra.engines.cpu.jit.llvm import host
from recurra.engines.cpu.plan.buffer_layout import (
    BufferLayout,
    SizeValues,
    TensorShapes,
    backward_layout,
    forward_layout,
    is_replaced_in_place,
)
from recurra.engines.cpu.plan.tiling import Modes, make_plan
from recurra.engines.cpu.run import workspace
from recurra.engines.cpu.run.bound_call import Bound, CallSteps, Code
from recurra.engines.cpu.run.collect_gradients import GradientCollector
from recurra.engines.cpu.run.products import ELEMENTS, Products
from recurra.ir import Loop
from recurra.passes import Lowered

__all__ = ["Compiled", "ForwardTape"]

_PACKED_FROM = 4  # steps from which re-arranging the weights costs less than it saves
_LEAST_OUTPUT = 2**24  # bytes from which outputs, too, lie in memory that is kept
_MERGED_FROM = 8  # rows a thread from which large weights are better read in the loop than outside
_LARGE = 32 * 1024  # weights that the loop reads at every step without losing time

Inputs = Sequence[Tensor | None]


@dataclass(frozen=True)
class ForwardTape:
    """Values that a forward run keeps for the backward one; R rows in all its steps, N = B + R.

    `states` (N, size): plain, those before and after each step in the order of time; ragged, the
    first ones and then those after each step. `saved` (R, width) holds the saved values side by
    side. `new_states` (R, size) are the states after each step where segments begin, as then the
    state before a step is not the one after the last; and those after a single step, whose `states`
    are just the first ones.
    """

    states: tuple[Tensor, ...]
    saved: Tensor
    new_states: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class _Forward:
    bound: Bound
    layout: BufferLayout
    in_place: tuple[bool, ...]
    is_merged: bool


class _Binding(NamedTuple):
    """Everything that a bound call depends on; the number of steps is not part of it."""

    modes: Modes
    single: bool
    reverse: bool
    batch: int
    threads: int
    dtype: torch.dtype
    shapes: TensorShapes
    strides: TensorShapes
    state_sizes: tuple[int, ...]


class Compiled:
    """The loops of a cell, compiled for sizes as they come."""

    lowered: Lowered
    loop: Loop
    states: tuple[str, ...]
    products: Products

    def __init__(self, lowered: Lowered) -> None:
        self.lowered = lowered
        self.loop = lowered.loops["forward"]
        self.states = self.loop.states
        self.products = Products(self.loop.inputs, lowered.affine)
        self._code = functools.cache(self._compile)
        self._forward = functools.lru_cache(maxsize=256)(self._bind_forward)
        self._backward = functools.lru_cache(maxsize=256)(self._bind_backward)

    def _compile(self, kind: str, sizes: SizeValues, element: str, modes: Modes) -> Code:
        loop, schedule = self.lowered.loops[kind], self.lowered.schedules[kind]
        return Code(make_plan(loop, schedule, dict(sizes), element, host(), modes))

    def forward(
        self,
        inputs: Inputs,
        states: Sequence[Tensor],
        steps: CallSteps,
        rows: int,
        *,
        keep: bool,
        every: bool = False,
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], ForwardTape]:
        """Run all steps from states (B, size): states after each (R, size), the last, what is kept.

        Of the former only the first, the output, is there without `every`.
        `inputs` has None for affine values. Without `keep` no values are saved, and the backward
        loop can't follow. `rows` is R, or more where more must be allocated. Last states of ragged
        rows are given as all of them: who knows the lengths finds them.
        """
        forward = self._forward(keep, every, self._key(self.loop, inputs, states, steps))
        if not forward.is_merged:
            inputs = self.products.add_values(inputs, dict(forward.layout.sizes))
        like = states[0]
        saved = workspace.empty(like, rows, forward.layout.saved) if keep else _NOTHING
        temporary = _some(like, steps.batch, forward.layout.temporary)
        if _is_single(steps):
            new_states = tuple([torch.empty_like(s) for s in states])
            forward.bound((*inputs, *states, saved, temporary, *new_states), steps)
            return new_states, new_states, ForwardTape(tuple(states), saved, new_states)
        pairs = zip(states, forward.in_place, strict=True)
        kept = tuple(
            s.clone() if in_place else _with_first(s, rows, steps, is_output=s is like)
            for s, in_place in pairs
        )
        marked = steps.marks is not None
        new_states = tuple(s.new_empty(rows, s.shape[1]) for s in states) if marked else ()
        forward.bound((*inputs, *kept, saved, temporary, *new_states), steps)
        after = new_states
        if not marked:
            shown = kept if every else kept[:1]
            after = tuple(k[: -steps.batch] if steps.reverse else k[steps.batch :] for k in shown)
        finals = kept
        if steps.ragged is None:
            pairs = zip(kept, forward.in_place, strict=True)
            finals = tuple(k if in_place else _last(k, steps) for k, in_place in pairs)
        return after, finals, ForwardTape(kept, saved, new_states)

    @staticmethod
    def _key(loop: Loop, inputs: Inputs, states: Sequence[Tensor], steps: CallSteps) -> _Binding:
        modes = Modes(
            ragged=steps.ragged is not None,
            marked=steps.marks is not None,
            packed=steps.count >= _PACKED_FROM,
        )
        pairs = zip(loop.inputs, inputs, strict=True)
        strides = tuple([t.stride()[:-1] if v.timed and t is not None else None for v, t in pairs])
        return _Binding(
            modes,
            _is_single(steps),
            steps.reverse,
            steps.batch,
            torch.get_num_threads(),
            states[0].dtype,
            _shapes(loop, inputs),
            strides,
            tuple([s.shape[-1] for s in states]),
        )

    def _bind_forward(self, keep: bool, every: bool, key: _Binding) -> _Forward:
        sizes, modes = self._sizes(key.shapes, key.state_sizes), key.modes
        kind = "forward" if keep else "inference"
        is_merged = self._is_merged(dict(sizes), key.batch, key.threads)
        kind = f"merged {kind}" if is_merged and self.lowered.affine else kind
        schedule = self.lowered.schedules[kind]
        in_place = tuple(
            not (keep or every or key.single or modes.marked)
            and name != self.states[0]
            and is_replaced_in_place(schedule, name)
            for name in self.states
        )
        layout = forward_layout(
            self.lowered.loops[kind], schedule, sizes, key.batch, key.strides, modes,
            single=key.single, reverse=key.reverse, in_place=in_place,
        )  # fmt: skip
        bound = self._bind(kind, sizes, key, layout, reverse=key.reverse)
        return _Forward(bound, layout, in_place, is_merged)

    def _sizes(self, shapes: TensorShapes, state_sizes: tuple[int, ...]) -> SizeValues:
        """The numbers that the loop's size names stand for, read off the tensors."""
        found: dict[str, int] = {}
        for size, length in zip(self.loop.state_sizes, state_sizes, strict=True):
            found[size.name] = length
        for value, shape in zip(self.loop.inputs, shapes, strict=False):
            if shape is not None:
                # Of a block-diagonal matrix a row holds one block's columns.
                whole = (*shape[:-1], shape[-1] * value.blocks) if shape else ()
                for size, length in zip(value.node.shape, whole, strict=True):
                    known = found.setdefault(size.name, length // size.times)
                    # Code for other sizes would read past the end of a tensor.
                    assert known * size.times == length, f"{size.name} is {known} and {length}"
        return tuple(sorted(found.items()))

    def saved_width(self, inputs: Inputs, states: Sequence[Tensor]) -> int:
        """The width of a row of saved values."""
        state_sizes = tuple(s.shape[-1] for s in states)
        sizes = dict(self._sizes(_shapes(self.loop, inputs), state_sizes))
        return sum(n.shape[0].value(sizes) for n in self.loop.saved)

    def _is_merged(self, sizes: Mapping[str, int], batch: int, threads: int) -> bool:
        elements = 0
        for affine in self.lowered.affine:
            for matrix, _ in affine.terms:
                weights = self.loop.inputs[matrix]
                rows, columns = weights.node.shape
                elements += rows.value(sizes) * columns.value(sizes) // weights.blocks
        return batch >= _MERGED_FROM * threads or elements <= _LARGE

    def backward(
        self,
        inputs: Inputs,
        kept: ForwardTape,
        seeds: Sequence[Tensor],
        adjoints: Sequence[Tensor],
        steps: CallSteps,
        wanted: Sequence[bool],
        before: Tensor | None = None,
        bptt_clip: float | None = None,
    ) -> tuple[list[Tensor | None], list[Tensor]]:
        """Gradients of the loop inputs that are `wanted`, and of the first states.

        `seeds` (R, size) come to the states after each step, `adjoints` (B, size) to the last ones;
        the latter are overwritten. `before` (R,) tells where among the kept states those before a
        ragged row lie.
        `bptt_clip` limits each element of dL/dh_t as it flows back through a step.
        """
        kind, seed = "backward", seeds[0]
        if bptt_clip is not None:
            kind, inputs = "clipped backward", [*inputs, seed.new_tensor(bptt_clip)]
            wanted = [*wanted, False]
        key = self._key(self.lowered.loops[kind], inputs, adjoints, steps)
        bound, layout = self._backward(kind, key, tuple([s.stride() for s in seeds]))
        rows = seed.numel() // max(1, seed.shape[-1])
        block = workspace.empty(seed, rows, layout.block)
        if layout.has_gaps:
            block.zero_()
        accumulators = _some(seed, torch.get_num_threads(), layout.accumulators).zero_()
        temporary = _some(seed, steps.batch, layout.temporary)
        bound(
            (*inputs, *kept.states, kept.saved, *kept.new_states, *seeds, *adjoints, block,
             accumulators, temporary),
            steps,
        )  # fmt: skip
        gradients = GradientCollector(
            self.lowered, kind, self.products, layout, block, accumulators
        )
        found = gradients.collect(inputs, kept.states, kept.saved, steps, before, wanted)
        return found[: len(self.loop.inputs)], list(adjoints)

    def _bind_backward(
        self, kind: str, key: _Binding, seed_strides: tuple[tuple[int, ...], ...]
    ) -> tuple[Bound, BufferLayout]:
        sizes = self._sizes(key.shapes, key.state_sizes)
        layout = backward_layout(
            self.lowered, kind, sizes, key.batch, key.strides, seed_strides, key.modes,
            single=key.single, reverse=key.reverse,
        )  # fmt: skip
        return self._bind(kind, sizes, key, layout, reverse=not key.reverse), layout

    def _bind(
        self, kind: str, sizes: SizeValues, key: _Binding, layout: BufferLayout, *, reverse: bool
    ) -> Bound:
        code = self._code(kind, sizes, ELEMENTS[key.dtype], key.modes)
        widths = {i: shape[-1] for i, shape in enumerate(key.shapes) if shape}
        size = key.dtype.itemsize
        return Bound(code, layout.views, widths, key.batch, size, key.threads, reverse=reverse)


def _some(like: Tensor, rows: int, width: int) -> Tensor:
    """Room for what most cells have none of; then any tensor will do."""
    return like.new_empty(rows, width) if width else _NOTHING


_NOTHING = torch.empty(0, 0)


def _shapes(loop: Loop, inputs: Inputs) -> TensorShapes:
    """Shapes of given loop inputs; those of timed ones for a single step and row."""
    pairs = zip(loop.inputs, inputs, strict=True)
    return tuple([None if t is None else t.shape[-1:] if v.timed else t.shape for v, t in pairs])


def _is_single(steps: CallSteps) -> bool:
    """True if states are read and written in place: no step comes after the first."""
    return steps.count == 1 and steps.ragged is None and steps.marks is None


def _with_first(first: Tensor, rows: int, steps: CallSteps, *, is_output: bool) -> Tensor:
    """Room for the states of all steps beside the first ones."""
    kept = workspace.empty(
        first, rows + steps.batch, first.shape[1], *([_LEAST_OUTPUT] if is_output else [])
    )
    kept[rows if steps.reverse else 0 :][: steps.batch] = first
    return kept


def _last(kept: Tensor, steps: CallSteps) -> Tensor:
    return (kept[: steps.batch] if steps.reverse else kept[-steps.batch :]).clone()
