"""A cell's loop that runs whenever steps come: weights packed once, states in memory of its own."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from ctypes import memmove
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from recurra.engines.cpu.emit.frame import WORDS
from recurra.engines.cpu.plan.buffer_layout import (
    SizeValues,
    forward_layout,
    is_replaced_in_place,
)
from recurra.engines.cpu.plan.tiling import Modes
from recurra.engines.cpu.run.bound_call import Bound
from recurra.engines.cpu.run.compiled_loop import shapes_of
from recurra.engines.cpu.run.products import ELEMENTS
from recurra.engines.cpu.run.quantised_panels import quantised_panel
from recurra.engines.torch_layout import Parameters, named
from recurra.errors import EngineError

if TYPE_CHECKING:
    from recurra.engines.cpu.run.loop_code import CpuLoop
    from recurra.ir import Node

__all__ = ["CpuSteps"]

_STEPS, _BATCH, _ROWS_EACH = (WORDS.index(word) for word in ("steps", "batch", "rows_each"))
_FEW = 8
"""Steps from which one more pass over the input pays, where weights are large."""


class CpuSteps:
    """Steps of one layer in one direction, on the thread that asks for them; see `StepRun`.

    Products of a whole chunk with large weights are computed on torch's threads.
    """

    inputs: Tensor
    loop: CpuLoop
    tensors: list[Tensor | None]
    rooms: list[Tensor]
    in_place: tuple[bool, ...]

    def __init__(
        self,
        loop: CpuLoop,
        params: Parameters,
        inputs: Tensor,
        widths: Sequence[int],
        *,
        quantize: bool = False,
    ) -> None:
        self.inputs, self.loop, self._widths = inputs, loop, tuple(widths)
        self.modes: Modes = Modes(ragged=False, marked=False, packed=True, quantised=quantize)
        affine, schedules = loop.lowered.affine, loop.lowered.schedules
        kinds = ["merged inference", "inference"] if affine else ["inference"]
        _, *others = loop.loop.states
        self.in_place = (
            False,
            *(all(is_replaced_in_place(schedules[k], name) for k in kinds) for name in others),
        )
        values = [(index, loop.loop.inputs[index]) for index in loop.given]
        self._fixed = [(index, value.node) for index, value in values if not value.timed]
        self._computed = [
            (index, value.node)
            for index, value in values
            if value.timed and value.node.op != "input"
        ]
        self.tensors = [None] * len(loop.loop.inputs)
        for index, value in values:
            if value.timed and value.node.op == "input":
                self.tensors[index] = inputs
        for index, tensor in self._weights(params):
            self.tensors[index] = tensor
        sizes = loop.compiled.sizes(shapes_of(loop.loop, self.tensors), self._widths)
        for index, node in self._computed:
            width = node.shape[0].value(dict(sizes))
            self.tensors[index] = inputs.new_empty(*inputs.shape[:2], width)
        self._make_states()
        self._code = _BoundCode(self, kinds[0], sizes)
        if quantize and not self._code.has_products:
            raise EngineError(
                f"{loop.graph.cell} multiplies its input alone, before its steps, and not its "
                "states, so there is nothing to make int8; leave quantize out."
            )
        self._outside: _OutsideProducts | None = None
        is_apart = affine and not quantize  # int8 weights are small
        if is_apart and not loop.compiled.is_merged(dict(sizes), inputs.shape[1], 1):
            self._outside = _OutsideProducts(self, sizes)
        self._pack()

    def _weights(self, params: Parameters) -> list[tuple[int, Tensor]]:
        """Copies of what the parameters alone decide, by their places among the loop's inputs."""
        nothing, nodes = self.inputs[:1, :1], [node for _, node in self._fixed]
        with torch.no_grad():
            self._params = named(params, self.loop.graph)
            found = self.loop.meaning.evaluate(nodes, nothing, self._params)
        copies = [value.clone(memory_format=torch.contiguous_format) for value in found]
        return list(zip((index for index, _ in self._fixed), copies, strict=True))

    def _make_states(self) -> None:
        """Room for the states after each step beside the first ones, or for those replaced."""
        (count, batch), item = self.inputs.shape[:2], self.inputs.itemsize
        self.rooms, self._moves, self._last = list[Tensor](), list[tuple[int, int]](), 0
        for width, once in zip(self._widths, self.in_place, strict=True):
            room = self.inputs.new_zeros(batch if once else (count + 1) * batch, width)
            self.rooms.append(room)
            if not once:
                self._moves.append((room.data_ptr(), batch * width * item))

    def _pack(self) -> None:
        """Re-arrange the weights as the code reads them."""
        self._code.pack()
        if self._outside is not None:
            self._outside.code.pack()

    def refresh(self, params: Parameters) -> None:
        """Take over the parameters as they are now."""
        for index, tensor in self._weights(params):
            own = self.tensors[index]
            assert own is not None
            own.copy_(tensor)
        self._pack()

    @property
    def outputs(self) -> Tensor:
        """The first state after each step of the last run, (N, B, size), until the next."""
        count, batch = self.inputs.shape[:2]
        return self.rooms[0][batch:].view(count, batch, self._widths[0])

    @property
    def states(self) -> tuple[Tensor, ...]:
        """The states that the next step starts from, (B, size) each, in memory to be written to."""
        batch = self.inputs.shape[1]
        begin = self._last * batch
        return tuple(
            room if once else room[begin : begin + batch]
            for room, once in zip(self.rooms, self.in_place, strict=True)
        )

    def first_states(self) -> tuple[Tensor, ...]:
        """Memory for the states that the next run starts from, to be written to before it."""
        self._last = 0
        return self.states

    def run(self, steps: int) -> None:
        """Run the next `steps`, whose inputs are in the memory."""
        if self._last:
            for target, size in self._moves:
                memmove(target, target + self._last * size, size)
        for index, node in self._computed:
            self._compute(index, node, steps)
        self._last = steps
        if self._outside is not None and steps >= _FEW:
            self._outside.run(steps)
        else:
            self._code.run(steps)

    def run_rows(self, rows: int) -> None:
        """Run one step of the first `rows` alone; the states of the others are lost."""
        self._code.set_rows(rows)
        try:
            self.run(1)
        finally:
            self._code.set_rows(self.inputs.shape[1])

    def _compute(self, index: int, node: Node, steps: int) -> None:
        """A value that is computed of the input alone, outside the loop."""
        own = self.tensors[index]
        assert own is not None
        with torch.no_grad():
            (found,) = self.loop.meaning.evaluate([node], self.inputs[:steps], self._params)
        own[:steps] = found


class _BoundCode:
    """The code of one kind of loop, its words filled with the addresses of a run's memory."""

    def __init__(
        self,
        steps: CpuSteps,
        kind: str,
        sizes: SizeValues,
        values: Mapping[int, Tensor] | None = None,
    ) -> None:
        loop, inputs, batch = steps.loop, steps.inputs, steps.inputs.shape[1]
        strides = tuple(
            tensor.stride()[:-1] if value.timed and tensor is not None else None
            for value, tensor in zip(loop.loop.inputs, steps.tensors, strict=True)
        )
        layout = forward_layout(
            loop.lowered.loops[kind], loop.lowered.schedules[kind], sizes, batch, strides,
            steps.modes, single=False, reverse=False, in_place=steps.in_place,
        )  # fmt: skip
        code = loop.compiled.code(kind, sizes, ELEMENTS[inputs.dtype], steps.modes)
        shapes = shapes_of(loop.loop, steps.tensors)
        widths = {index: shape[-1] for index, shape in enumerate(shapes) if shape}
        bound = Bound(code, layout.views, widths, batch, inputs.itemsize, 1, reverse=False)
        self._scratch = inputs.new_empty(batch * layout.temporary)
        self._panels = torch.empty(bound.room, dtype=torch.uint8)
        tensors = [(values or {}).get(index, tensor) for index, tensor in enumerate(steps.tensors)]
        slots = [0 if tensor is None else tensor.data_ptr() for tensor in tensors]
        slots += [room.data_ptr() for room in steps.rooms]
        slots += [0, self._scratch.data_ptr()]
        self._args = array("q", bound.template)
        for index, slot, offset in bound.pointers:
            self._args[index] = slots[slot] + offset
        for index, offset in bound.packed:
            self._args[index] = self._panels.data_ptr() + offset
        self._pointer = self._args.buffer_info()[0]
        self._pack, self._share = code.entry.phases
        self._steps, self._plan = steps, code.plan
        self._places = [offset for _, offset in bound.packed]

    @property
    def has_products(self) -> bool:
        """True if a step has products with matrices."""
        return bool(self._plan.panels)

    def pack(self) -> None:
        """Re-arrange the weights, as int8 where the code reads those."""
        if not self._plan.modes.quantised:
            self._pack(self._pointer, 0, 1, 0, 1)
            return
        for (tile, panel), begin in zip(self._plan.panels, self._places, strict=True):
            given = [self._steps.tensors[m.outer] for m in panel.matrices]
            tensors = [tensor for tensor in given if tensor is not None]
            found = quantised_panel(tile, panel, tensors, self._plan.lanes)
            self._panels[begin : begin + len(found)] = found

    def run(self, steps: int) -> None:
        """Run so many steps."""
        self._args[_STEPS] = steps
        self._share(self._pointer, 0, 1, 0, 1)

    def set_rows(self, rows: int) -> None:
        """Run so many rows from now on."""
        self._args[_BATCH] = self._args[_ROWS_EACH] = rows


class _OutsideProducts:
    """The input's products for all steps of a run at once, which read large weights once."""

    def __init__(self, steps: CpuSteps, sizes: SizeValues) -> None:
        loop, (count, batch) = steps.loop, steps.inputs.shape[:2]
        self._batch = batch
        products, values = list[tuple[int, Any]](), dict[int, Tensor]()
        for affine in loop.lowered.affine:
            rows = {}
            for _, vector in affine.terms:
                tensor = steps.tensors[vector]
                assert tensor is not None
                rows[vector] = tensor.stride(1)
            product = loop.compiled.products.value(affine, sizes, steps.inputs.dtype, rows)
            values[affine.value] = steps.inputs.new_empty(count * batch, product.width)
            products.append((affine.value, product))
        self._values = values
        addresses = [0 if tensor is None else tensor.data_ptr() for tensor in steps.tensors]
        self._products = [
            (product, [*addresses, values[index].data_ptr()]) for index, product in products
        ]
        self.code = _BoundCode(steps, "inference", sizes, values)

    def run(self, steps: int) -> None:
        """Compute the products, and run so many steps."""
        for product, addresses in self._products:
            product(addresses, steps * self._batch)
        self.code.run(steps)
