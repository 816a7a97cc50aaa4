"""A cell's loops as compiled code: tensors in, tensors out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from ctypes import memmove, memset
from math import prod
from typing import Any, NamedTuple

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
from recurra.engines.cpu.run.bound_call import Bound, CallSteps, Code, give, take
from recurra.engines.cpu.run.collect_gradients import BackwardRun, GradientPlan, row_stride
from recurra.engines.cpu.run.products import ELEMENTS, OverRows, Products
from recurra.ir import Loop
from recurra.passes import Lowered

__all__ = ["Binding", "Compiled", "ForwardTape", "Gradients", "shapes_of"]

_PACKED_FROM = 4  # steps from which re-arranging the weights costs less than it saves
_LEAST_OUTPUT = 2**24  # bytes from which outputs, too, lie in memory that is kept
_MERGED_FROM = 8  # rows a thread from which large weights are better read in the loop than outside
_LARGE = 32 * 1024  # weights that the loop reads at every step without losing time
_MOST_BINDINGS = 256  # of one cell; then the oldest goes
_MOST_SEEDS = 32  # of a binding: strides of gradients that come back

Inputs = Sequence[Tensor | None]
_Read = tuple[list[Tensor | None], list[int], list[Any]]
"""Loop inputs as code reads them, their addresses, and all else of them that it depends on."""


class ForwardTape(NamedTuple):
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


class Gradients(NamedTuple):
    """What comes back to a run: to the states after each step, and to the last ones (B, size).

    `strides` are the distances between steps and rows of (T, B, size), or between rows of (R, size)
    `seeds`; 0 repeats what is there. None is zeros.
    """

    seeds: Sequence[Tensor]
    strides: tuple[tuple[int, ...], ...]
    last: Sequence[Tensor | None]


class _Forward(NamedTuple):
    """A forward run bound to sizes; `values` are computed before it: number, vector, product.

    `saved` is the width of saved values, `temporary` are bytes. `copied` are vectors whose rows
    those products can't read where they are.
    """

    bound: Bound
    saved: int
    temporary: int
    in_place: tuple[bool, ...]
    values: tuple[tuple[int, int, OverRows], ...]
    copied: frozenset[int]


class _Backward(NamedTuple):
    """A backward run bound to sizes; `temporary` and, with adjoints, `scratch` are bytes."""

    bound: Bound
    layout: BufferLayout
    gradients: GradientPlan
    temporary: int
    scratch: int


class Binding:
    """Everything that bound code depends on, and the code; the number of steps is not part of it.

    `shapes` and `strides` (without the last) are those of loop inputs; of what is given with each
    step the shape is that of one step and row.
    """

    modes: Modes
    arrangement: list[Any]
    single: bool
    reverse: bool
    batch: int
    threads: int
    dtype: torch.dtype
    shapes: TensorShapes
    strides: TensorShapes
    widths: tuple[int, ...]
    item: int
    bytes: int
    sizes: SizeValues

    def __init__(
        self, compiled: Compiled, read: _Read, states: Sequence[Tensor], steps: CallSteps
    ) -> None:
        inputs, _, self.arrangement = read
        pairs = list(zip(compiled.loop.inputs, inputs, strict=True))
        self.modes = Modes(
            ragged=steps.ragged is not None,
            marked=steps.marks is not None,
            packed=steps.number >= _PACKED_FROM,
        )
        self.single, self.reverse, self.batch = _is_single(steps), steps.reverse, steps.batch
        self.threads, self.dtype = torch.get_num_threads(), states[0].dtype
        self.shapes = shapes_of(compiled.loop, inputs)
        self.strides = tuple(
            t.stride()[:-1] if v.timed and t is not None else None for v, t in pairs
        )
        self.widths = tuple(s.shape[-1] for s in states)
        self.item = self.dtype.itemsize
        self.bytes = sum(self.batch * width * self.item for width in self.widths)
        self.sizes = compiled.sizes(self.shapes, self.widths)
        self.forward: dict[tuple[bool, bool], _Forward] = {}
        self.backward: dict[tuple[object, ...], _Backward] = {}


class Compiled:
    """The loops of a cell, compiled for sizes as they come."""

    lowered: Lowered
    loop: Loop
    states: tuple[str, ...]
    products: Products
    given: tuple[int, ...]
    code: Callable[[str, SizeValues, str, Modes], Code]

    def __init__(self, lowered: Lowered) -> None:
        self.lowered = lowered
        self.loop = lowered.loops["forward"]
        self.states = self.loop.states
        self.products = Products(self.loop.inputs, lowered.affine)
        values = {a.value for a in lowered.affine}
        self.given = tuple(i for i in range(len(self.loop.inputs)) if i not in values)
        self._given = [(i, self.loop.inputs[i].timed) for i in self.given]
        self._count = len(self.loop.inputs)
        self.code = functools.cache(self._compile)
        self._bindings: dict[tuple[object, ...], Binding] = {}

    def _compile(self, kind: str, sizes: SizeValues, element: str, modes: Modes) -> Code:
        loop, schedule = self.lowered.loops[kind], self.lowered.schedules[kind]
        return Code(make_plan(loop, schedule, dict(sizes), element, host(), modes))

    def _read(self, given: Sequence[Tensor]) -> _Read:
        """Given inputs as code reads them."""
        inputs: list[Tensor | None] = [None] * self._count
        addresses = [0] * self._count
        arrangement: list[Any] = []
        for (index, timed), tensor in zip(self._given, given, strict=True):
            if timed:
                if tensor.stride()[-1] != 1:
                    tensor = tensor.contiguous()
                arrangement.append((tensor.stride(), tensor.shape[-1]))
            else:
                tensor = tensor.contiguous()
                arrangement.append(tensor.shape)
            inputs[index] = tensor
            addresses[index] = tensor.data_ptr()
        return inputs, addresses, arrangement

    def _find(self, read: _Read, states: Sequence[Tensor], steps: CallSteps) -> Binding:
        """The binding of a call with these tensors."""
        key = (
            steps.reverse, steps.batch, steps.ragged is None, steps.marks is None,
            min(steps.number, _PACKED_FROM), torch.get_num_threads(), states[0].dtype, *read[2],
            *[s.shape[-1] for s in states],
        )  # fmt: skip
        found = self._bindings.get(key)
        if found is None:
            found = Binding(self, read, states, steps)
            _remember(self._bindings, key, found, _MOST_BINDINGS)
        return found

    def forward(
        self,
        given: Sequence[Tensor],
        states: Sequence[Tensor],
        steps: CallSteps,
        rows: int,
        *,
        keep: bool,
        every: bool = False,
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], ForwardTape, Binding]:
        """Run all steps from states (..., B, size): those after each step, the last, what is kept.

        The former are (T, B, size), and (R, size) if ragged; without `every` the first alone, the
        output. `given` are loop inputs without affine values. Without `keep` no values are saved,
        and the backward loop can't follow. `rows` is R, or more where more must be allocated. Last
        states of ragged rows are given as all of them: who knows the lengths finds them.
        """
        read = inputs, addresses, _ = self._read(given)
        binding = self._find(read, states, steps)
        run = binding.forward.get((keep, every)) or self._bind_forward(binding, keep, every)
        made = self._values(run, inputs, addresses) if run.values else None
        saved = _room(states[0], rows, run.saved) if keep else _NOTHING
        scratch = take(run.temporary) if run.temporary else _NOTHING
        is_single = binding.single
        new_states: tuple[Tensor, ...] = ()
        if is_single:
            kept, new_states = tuple(states), tuple([torch.empty_like(s) for s in states])
        else:
            kept = self._begin(binding, run, states, rows, keep=keep)
            if steps.marks is not None:
                new_states = tuple([_room(s, rows, s.shape[-1]) for s in states])
        run.bound([*addresses, *map(_address, (*kept, saved, scratch, *new_states))], steps)
        if run.temporary:
            give(scratch)
        del made
        tape = ForwardTape(kept, saved, new_states)
        last = kept
        if is_single:
            last = tuple([s.clone() for s in new_states]) if keep else new_states
        elif steps.ragged is None:
            last = _last(binding, run, states, kept, rows)
        return _after(binding, tape, steps, every, apart=keep or is_single), last, tape, binding

    @staticmethod
    def _begin(
        binding: Binding, run: _Forward, states: Sequence[Tensor], rows: int, *, keep: bool
    ) -> tuple[Tensor, ...]:
        """Room for the states of all steps beside the first ones; for one where it is replaced."""
        kept, least = [], workspace.LEAST if keep else _LEAST_OUTPUT
        for state, width, in_place in zip(states, binding.widths, run.in_place, strict=True):
            size = binding.batch * width * binding.item
            if in_place:
                room, start = torch.empty_like(state), 0
            else:
                room = _room(state, rows + binding.batch, width, least=least)
                start = rows * width * binding.item if binding.reverse else 0
            memmove(room.data_ptr() + start, state.data_ptr(), size)
            kept.append(room)
            least = workspace.LEAST
        return tuple(kept)

    def _values(self, run: _Forward, inputs: Inputs, addresses: list[int]) -> Sequence[Tensor]:
        """Compute affine values, (R, size), and find their addresses; what must live on comes."""
        made, given = [], addresses[:]
        for index in run.copied:
            made.append(_given(inputs[index]).contiguous())
            given[index] = made[-1].data_ptr()
        for index, vector, value in run.values:
            x = _given(inputs[vector])
            rows = x.numel() // max(1, x.shape[-1])
            made.append(_room(x, rows, value.width))
            addresses[index] = made[-1].data_ptr()
            value([*given, addresses[index]], rows)
        return made

    def _bind_forward(self, binding: Binding, keep: bool, every: bool) -> _Forward:
        modes, sizes, affine = binding.modes, binding.sizes, self.lowered.affine
        kind = "forward" if keep else "inference"
        is_merged = self.is_merged(dict(sizes), binding.batch, binding.threads)
        kind = f"merged {kind}" if is_merged and affine else kind
        schedule = self.lowered.schedules[kind]
        in_place = tuple(
            not (keep or every or binding.single or modes.marked)
            and name != self.states[0]
            and is_replaced_in_place(schedule, name)
            for name in self.states
        )
        layout = forward_layout(
            self.lowered.loops[kind], schedule, sizes, binding.batch, binding.strides, modes,
            single=binding.single, reverse=binding.reverse, in_place=in_place,
        )  # fmt: skip
        bound = self._bind(kind, binding, layout, reverse=binding.reverse)
        rows, copied = {}, set()
        for each in () if is_merged else affine:
            for _, vector in each.terms:
                strides, shape = binding.strides[vector], binding.shapes[vector]
                assert strides is not None
                assert shape is not None
                rows[vector] = row_stride(strides, binding.batch)
                if not rows[vector]:
                    copied.add(vector)
                    rows[vector] = shape[-1]
        values = tuple(
            (each.value, each.terms[0][1], self.products.value(each, sizes, binding.dtype, rows))
            for each in (() if is_merged else affine)
        )
        temporary = binding.batch * layout.temporary * binding.item
        made = _Forward(bound, layout.saved, temporary, in_place, values, frozenset(copied))
        binding.forward[keep, every] = made
        return made

    def sizes(self, shapes: TensorShapes, state_sizes: tuple[int, ...]) -> SizeValues:
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
        sizes = dict(self.sizes(shapes_of(self.loop, inputs), state_sizes))
        return sum(n.shape[0].value(sizes) for n in self.loop.saved)

    def is_merged(self, sizes: Mapping[str, int], batch: int, threads: int) -> bool:
        """Whether products of the input are better computed in the loop than before it."""
        elements = 0
        for affine in self.lowered.affine:
            for matrix, _ in affine.terms:
                weights = self.loop.inputs[matrix]
                rows, columns = weights.node.shape
                elements += rows.value(sizes) * columns.value(sizes) // weights.blocks
        return batch >= _MERGED_FROM * threads or elements <= _LARGE

    def backward(
        self,
        given: Sequence[Tensor],
        tape: ForwardTape,
        gradients: Gradients,
        steps: CallSteps,
        wanted: tuple[bool, ...],
        before: Tensor | None = None,
        bptt_clip: float | None = None,
        binding: Binding | None = None,
    ) -> tuple[list[Tensor | None], list[Tensor | None]]:
        """Gradients of loop inputs, and of the first states; `wanted` of those given, and of these.

        `before` (R,) tells where among the kept states those before a ragged row lie. `bptt_clip`
        limits each element of dL/dh_t as it flows back through a step. `binding` is the forward
        run's.
        """
        read = inputs, addresses, arrangement = self._read(given)
        # Hooks that keep tensors elsewhere give them back in another arrangement.
        if binding is None or arrangement != binding.arrangement:
            binding = self._find(read, tape.states, steps)
        key = bptt_clip is None, gradients.strides, wanted
        run = binding.backward.get(key) or self._bind_backward(binding, key)
        like, layout = tape.states[0], run.layout
        rows = steps.number * steps.batch if steps.ragged is None else len(_given(before))
        limit = None
        if bptt_clip is not None:
            limit = like.new_full((), bptt_clip)
            addresses.append(limit.data_ptr())
        block = _room(like, rows, layout.block)
        if layout.has_gaps:
            block.zero_()
        accumulators = _NOTHING
        if layout.accumulators:
            accumulators = like.new_zeros(binding.threads, layout.accumulators)
        read_back = (*tape.states, tape.saved, *tape.new_states, *gradients.seeds)
        addresses += map(_address, read_back)
        firsts: list[Tensor | None] = [None] * len(self.states)
        scratch = take(run.scratch)
        room = temporary = scratch.data_ptr()
        room += run.temporary
        for i, (last, width) in enumerate(zip(gradients.last, binding.widths, strict=True)):
            size, address = binding.batch * width * binding.item, room
            if wanted[i - len(firsts)]:
                first = firsts[i] = like.new_empty(binding.batch, width)
                address = first.data_ptr()
            if last is None:
                memset(address, 0, size)
            else:
                memmove(address, last.data_ptr(), size)
            addresses.append(address)
            room += size
        addresses += block.data_ptr(), accumulators.data_ptr(), temporary
        run.bound(addresses, steps)
        give(scratch)
        begin = steps.batch if steps.reverse and not binding.single else 0
        done = BackwardRun(inputs, tape.states, tape.saved, block, accumulators, begin, before)
        return run.gradients.collect(done), firsts

    def _bind_backward(self, binding: Binding, key: tuple[bool, Any, Any]) -> _Backward:
        is_plain, seed_strides, wanted = key
        kind, loose = "backward" if is_plain else "clipped backward", () if is_plain else (None,)
        strides = (*binding.strides, *loose)
        layout = backward_layout(
            self.lowered, kind, binding.sizes, binding.batch, strides, seed_strides, binding.modes,
            single=binding.single, reverse=binding.reverse,
        )  # fmt: skip
        flags = [False] * len(strides)
        for index, flag in zip(self.given, wanted, strict=False):
            flags[index] = flag
        gradients = GradientPlan(
            self.lowered, kind, self.products, layout, binding.dtype, strides, binding.batch, flags
        )
        bound = self._bind(kind, binding, layout, reverse=not binding.reverse)
        temporary = binding.batch * layout.temporary * binding.item
        made = _Backward(bound, layout, gradients, temporary, temporary + binding.bytes)
        _remember(binding.backward, key, made, _MOST_SEEDS)
        return made

    def _bind(self, kind: str, binding: Binding, layout: BufferLayout, *, reverse: bool) -> Bound:
        code = self.code(kind, binding.sizes, ELEMENTS[binding.dtype], binding.modes)
        widths = {i: shape[-1] for i, shape in enumerate(binding.shapes) if shape}
        return Bound(
            code, layout.views, widths, binding.batch, binding.item, binding.threads,
            reverse=reverse,
        )  # fmt: skip


def _last(
    binding: Binding, run: _Forward, states: Sequence[Tensor], kept: Sequence[Tensor], rows: int
) -> tuple[Tensor, ...]:
    """The states after the last step, in memory of their own."""
    last, item = [], binding.item
    for state, room, width, in_place in zip(
        states, kept, binding.widths, run.in_place, strict=True
    ):
        if in_place:
            last.append(room)
            continue
        begin = room.data_ptr() + (0 if binding.reverse else rows * width * item)
        own = torch.empty_like(state)
        memmove(own.data_ptr(), begin, binding.batch * width * item)
        last.append(own)
    return tuple(last)


def _after(
    binding: Binding, tape: ForwardTape, steps: CallSteps, every: bool, *, apart: bool
) -> tuple[Tensor, ...]:
    """The states after each step, (T, B, size), or (R, size) of ragged rows.

    `apart` copies those that aren't ragged, so that whoever gets them may change them; a copy is no
    view, which autograd wouldn't let change.
    """
    shown, batch, rows = tape.states, binding.batch, steps.number * binding.batch
    skipped = 0 if binding.reverse else batch
    if tape.new_states:
        shown, skipped = tape.new_states, 0
    if not every:
        shown = shown[:1]
    if steps.ragged is not None:
        return tuple([s[skipped:] for s in shown])
    found = []
    for s in shown:
        width = s.shape[-1]
        shape, begin = (steps.number, batch, width), skipped * width
        if not apart or rows * width * s.itemsize >= workspace.LEAST:
            view = s.as_strided(shape, (batch * width, width, 1), s.storage_offset() + begin)
            # Of large ones torch copies parts on several threads.
            found.append(_room(s, *shape, least=_LEAST_OUTPUT).copy_(view) if apart else view)
            continue
        own = s.new_empty(shape)
        memmove(own.data_ptr(), s.data_ptr() + begin * s.itemsize, own.nbytes)
        found.append(own)
    return tuple(found)


def _remember(known: dict[Any, Any], key: object, value: object, most: int) -> None:
    """Add to what is known, without the oldest where that were more than `most`."""
    if len(known) >= most:
        known.pop(next(iter(known)), None)
    known[key] = value


def _room(like: Tensor, *shape: int, least: int = workspace.LEAST) -> Tensor:
    """A tensor of that shape, not initialised; one of at least `least` bytes in kept memory."""
    if prod(shape) * like.itemsize < least:
        return like.new_empty(shape)
    return workspace.empty(like, *shape)


_NOTHING = torch.empty(0, 0)


_address = Tensor.data_ptr


def _given(tensor: Tensor | None) -> Tensor:
    assert tensor is not None
    return tensor


def shapes_of(loop: Loop, inputs: Inputs) -> TensorShapes:
    """Shapes of given loop inputs; those of timed ones for a single step and row."""
    pairs = zip(loop.inputs, inputs, strict=True)
    return tuple([None if t is None else t.shape[-1:] if v.timed else t.shape for v, t in pairs])


def _is_single(steps: CallSteps) -> bool:
    """True if states are read and written in place: no step comes after the first."""
    return steps.number == 1 and steps.ragged is None and steps.marks is None
