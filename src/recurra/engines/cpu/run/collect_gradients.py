"""Gradients of a loop's inputs, from those that a backward loop has written row by row."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from recurra.engines.cpu.plan.buffer_layout import BufferLayout
from recurra.engines.cpu.run.bound_call import CallSteps
from recurra.engines.cpu.run.products import Products, add_gradient
from recurra.ir import Emission, Loop, Node
from recurra.passes import Lowered

__all__ = ["GradientCollector"]

InputGradients = list[Tensor | None]


class GradientCollector:
    """Gradients of loop inputs, (R, size) where these are timed."""

    lowered: Lowered
    products: Products
    layout: BufferLayout
    loop: Loop
    places: tuple[tuple[str, int], ...]
    sizes: dict[str, int]
    block: Tensor
    accumulators: Tensor

    def __init__(
        self,
        lowered: Lowered,
        kind: str,
        products: Products,
        layout: BufferLayout,
        block: Tensor,
        accumulators: Tensor,
    ) -> None:
        self.lowered, self.products, self.layout = lowered, products, layout
        self.loop, self.places = lowered.loops[kind], lowered.schedules[kind].places
        self.sizes = dict(layout.sizes)
        self.block, self.accumulators = block, accumulators

    def collect(
        self,
        inputs: Sequence[Tensor | None],
        states: Sequence[Tensor],
        saved: Tensor,
        steps: CallSteps,
        before: Tensor | None,
        wanted: Sequence[bool],
    ) -> InputGradients:
        """The gradient of each wanted loop input, None where the loop doesn't depend on it."""
        found: InputGradients = [None] * len(inputs)
        for index, tensor in enumerate(inputs):
            name = f"grad:{index}"
            if tensor is not None and wanted[index] and name in self.layout.columns:
                if self.loop.inputs[index].timed:
                    found[index] = self._buffer(name)
                else:
                    found[index] = self._folded(name, tensor)
        self._around(inputs, found, wanted)
        matrices: dict[int, list[int]] = {}
        for index, emission in enumerate(self.loop.emissions):
            if emission.kind == "matrix" and wanted[emission.outer[0]]:
                matrices.setdefault(emission.outer[0], []).append(index)
        operands = _Operands(self.lowered, self.sizes, states, saved, steps, before)
        for outer, indices in matrices.items():
            tensor = inputs[outer]
            assert tensor is not None
            _add(found, outer, self._matrix(tensor, outer, indices, operands))
        return found

    def _buffer(self, name: str) -> Tensor:
        """The gradient of a value of every step, (R, size)."""
        begin = self.layout.columns[name]
        size = self.loop.inputs[int(name.removeprefix("grad:"))].node.shape[0]
        return self.block[:, begin : begin + size.value(self.sizes)]

    def _folded(self, name: str, like: Tensor) -> Tensor:
        begin = self.layout.columns[name]
        if like.dim():
            return self.accumulators[:, begin : begin + len(like)].sum(0)
        (emission,) = (e for e in self.loop.emissions if f"grad:{e.outer[0]}" == name)
        size = emission.node.shape[0].value(self.sizes)
        return self.accumulators[:, begin : begin + size].sum()

    def _around(
        self, inputs: Sequence[Tensor | None], found: InputGradients, wanted: Sequence[bool]
    ) -> None:
        """Gradients of what affine values are made of."""
        values: dict[int, Tensor] = {}
        for affine in self.lowered.affine:
            if f"grad:{affine.value}" not in self.layout.columns:
                continue
            g = values[affine.value] = self._buffer(f"grad:{affine.value}")
            biases = [b for b in affine.biases if wanted[b]]
            bias = g.new_zeros(g.shape[1]) if biases else None
            pending = bias
            for matrix, vector in affine.terms:
                weight, x = inputs[matrix], inputs[vector]
                assert weight is not None
                assert x is not None
                if wanted[matrix]:
                    gradient = torch.empty_like(weight)
                    given = self.loop.inputs[matrix]
                    add_gradient(gradient, g, *_rows(x), pending, given.blocks, given.parts)
                    _add(found, matrix, gradient)
                    pending = None
            if pending is not None:
                torch.sum(g, 0, out=pending)
            for index in biases:
                assert bias is not None
                _add(found, index, bias if index == biases[-1] else bias.clone())
        for vector in self.products.gradients:
            if wanted[vector]:
                _add(found, vector, self.products.gradient(vector, inputs, self.sizes, values))

    def _matrix(
        self, tensor: Tensor, outer: int, indices: list[int], operands: _Operands
    ) -> Tensor:
        """A matrix's gradient: neighbouring parts that lie side by side are one product."""
        runs = self._runs(indices)
        covered = [p for first, count, _ in runs for p in range(first, first + count)]
        has_gaps = len(set(covered)) < self.loop.inputs[outer].parts
        total = torch.zeros_like(tensor) if has_gaps else torch.empty_like(tensor)
        done: set[int] = set()
        for first, count, index in runs:
            g, whole = self._gradient(index, count), self.loop.emissions[index].node.shape[0]
            size = whole.value(self.sizes)
            target = total[first * size : (first + count) * size]
            x, offsets = operands.rows(self.loop.emissions[index])
            parts = set(range(first, first + count))
            product = torch.empty_like(target) if parts & done else target
            blocks = self.loop.inputs[outer].blocks
            add_gradient(product, g, x, offsets, None, blocks, count * whole.times)
            if parts & done:
                target += product
            done |= parts
        return total

    def _gradient(self, index: int, count: int) -> Tensor:
        """The gradients of `count` products side by side, the first that of an emission."""
        size = self.loop.emissions[index].node.shape[0].value(self.sizes)
        name, part = self.places[index]
        begin = self.layout.columns[name] + part * size
        return self.block[:, begin : begin + count * size]

    def _runs(self, indices: list[int]) -> list[tuple[int, int, int]]:
        """(first part, count, first emission) of parts that follow one another everywhere."""
        emissions = self.loop.emissions
        order = sorted(indices, key=lambda i: (_key(emissions[i]), emissions[i].outer[1] or 0))
        runs: list[tuple[int, int, int]] = []
        for index in order:
            part, (buffer, place) = emissions[index].outer[1] or 0, self.places[index]
            if runs:
                first, count, other = runs[-1]
                begin = self.places[other]
                same = _key(emissions[other]) == _key(emissions[index]) and begin[0] == buffer
                if same and (first + count, begin[1] + count) == (part, place):
                    runs[-1] = (first, count + 1, other)
                    continue
            runs.append((part, 1, index))
        return runs


class _Operands:
    """The rows that a step's matrices were multiplied with."""

    def __init__(
        self,
        lowered: Lowered,
        sizes: dict[str, int],
        states: Sequence[Tensor],
        saved: Tensor,
        steps: CallSteps,
        before: Tensor | None,
    ) -> None:
        self.loop, self.sizes = lowered.loops["forward"], sizes
        self.states, self.saved, self.steps, self.before = states, saved, steps, before

    def rows(self, emission: Emission) -> tuple[Tensor, Tensor | None]:
        """An emission's operand, and the elements where its rows begin if not side by side."""
        node = emission.operand
        assert node is not None
        if node.op == "saved":
            return self._saved(node), None
        states = self.states[self.loop.states.index(str(node.detail))]
        if self.before is not None:
            return states, self.before * states.shape[1]
        batch = self.steps.batch
        if len(states) == batch:
            return states, None
        return (states[batch:] if self.steps.reverse else states[: len(states) - batch]), None

    def _saved(self, node: Node) -> Tensor:
        assert isinstance(node.detail, int)
        widths = [n.shape[0].value(self.sizes) for n in self.loop.saved]
        begin = sum(widths[: node.detail])
        return self.saved[:, begin : begin + widths[node.detail]]


def _key(emission: Emission) -> str:
    assert emission.operand is not None
    return f"{emission.operand.op} {emission.operand.detail}"


def _add(found: InputGradients, index: int, more: Tensor) -> None:
    known = found[index]
    found[index] = more if known is None else known + more


def _rows(x: Tensor) -> tuple[Tensor, Tensor | None]:
    """x (R, size), or (T, B, size) as rows: where they are, and where each begins if need be."""
    if x.dim() == 2:
        return x, None
    steps, batch, size = x.shape
    if x.is_contiguous():
        return x.view(-1, size), None
    step, row, _ = x.stride()
    offsets = (torch.arange(steps) * step).unsqueeze(1) + torch.arange(batch) * row
    return x, offsets.flatten()
