"""Gradients of a loop's inputs, from those that a backward loop has written row by row."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from recurra.engines.cpu.plan.buffer_layout import BufferLayout
from recurra.engines.cpu.run.products import (
    FEW_ROWS,
    OverRows,
    Products,
    WeightGradient,
    add_gradient,
)
from recurra.ir import Emission, Loop
from recurra.passes import Lowered

__all__ = ["BackwardRun", "GradientPlan", "row_stride"]

Strides = tuple[int, ...]
InputGradients = list[Tensor | None]


class BackwardRun(NamedTuple):
    """What a backward loop has read and written; R rows in all its steps.

    `begin` is the row of the kept states that lies before the first row, `before` (R,) tells where
    the states before each row lie if that is not all.
    """

    inputs: Sequence[Tensor | None]
    states: Sequence[Tensor]
    saved: Tensor
    block: Tensor
    accumulators: Tensor
    begin: int
    before: Tensor | None


@dataclass
class _Product:
    """The gradient of rows of the loop input `target`: columns of the block times an operand.

    `bias` is the number of the sum of those columns that comes with it, or -1; `adds` says that the
    rows have a gradient already.
    """

    target: int
    first: int
    rows: int
    columns: int
    column: int
    operand: _Operand
    blocks: int
    gates: int
    bias: int = -1
    adds: bool = False
    code: WeightGradient | None = None


class _Operand(NamedTuple):
    """The rows that a step's matrices were multiplied with: an input, a state, or saved values.

    `stride` is the distance between rows, 0 where that isn't all.
    """

    kind: str
    which: int
    begin: int
    stride: int


class _Sum(NamedTuple):
    """The sum of columns of the block, for biases; `alone` without a product that gives it."""

    biases: tuple[int, ...]
    column: int
    width: int
    alone: bool


class _InputGradient(NamedTuple):
    """The gradient of what affine values are products of: those values' columns, and matrices."""

    vector: int
    code: OverRows
    terms: tuple[tuple[int, int, int], ...]  # value, its matrix, where its gradient begins
    widths: tuple[int, ...]
    has_blocks: bool


class GradientPlan:
    """The way to the gradients of wanted loop inputs, (R, size) where these are timed."""

    loop: Loop
    places: tuple[tuple[str, int], ...]
    forward: Loop
    layout: BufferLayout
    dtype: torch.dtype
    sizes: dict[str, int]
    strides: Sequence[Strides | None]
    batch: int
    gaps: frozenset[int]

    def __init__(
        self,
        lowered: Lowered,
        kind: str,
        products: Products,
        layout: BufferLayout,
        dtype: torch.dtype,
        strides: Sequence[Strides | None],
        batch: int,
        wanted: Sequence[bool],
    ) -> None:
        self.loop, self.places = lowered.loops[kind], lowered.schedules[kind].places
        self.forward, self.layout, self.dtype = lowered.loops["forward"], layout, dtype
        self.sizes, self.strides, self.batch = dict(layout.sizes), strides, batch
        self.timed: list[tuple[int, int, int]] = []
        self.summed: list[tuple[int, int, int]] = []
        self.products: list[_Product] = []
        self.sums: list[_Sum] = []
        self.inputs: list[_InputGradient] = []
        self._parts: dict[int, set[int]] = {}
        self._direct(wanted)
        self._affine(lowered, wanted)
        for vector in products.gradients:
            if wanted[vector]:
                self._input(products, vector)
        matrices: dict[int, list[int]] = {}
        for index, emission in enumerate(self.loop.emissions):
            if emission.kind == "matrix" and wanted[emission.outer[0]]:
                matrices.setdefault(emission.outer[0], []).append(index)
        for outer, indices in matrices.items():
            self._matrix(outer, indices)
        gaps = (i for i, p in self._parts.items() if len(p) < self.loop.inputs[i].parts)
        self.gaps = frozenset(gaps)

    def _direct(self, wanted: Sequence[bool]) -> None:
        for index, (value, is_wanted) in enumerate(zip(self.loop.inputs, wanted, strict=True)):
            begin = self.layout.columns.get(f"grad:{index}")
            if not is_wanted or begin is None:
                continue
            if value.timed:
                self.timed.append((index, begin, value.node.shape[0].value(self.sizes)))
            else:
                nodes = (e.node for e in self.loop.emissions if e.outer[0] == index)
                whole = value.node if value.node.shape else next(nodes)
                self.summed.append((index, begin, whole.shape[0].value(self.sizes)))

    def _affine(self, lowered: Lowered, wanted: Sequence[bool]) -> None:
        """Gradients of what affine values are made of."""
        for affine in lowered.affine:
            column = self.layout.columns.get(f"grad:{affine.value}")
            if column is None:
                continue
            width = self.loop.inputs[affine.value].node.shape[0].value(self.sizes)
            biases = tuple(b for b in affine.biases if wanted[b])
            is_pending = bool(biases)
            for matrix, vector in affine.terms:
                if wanted[matrix]:
                    whole, strides = self.loop.inputs[matrix], self.strides[vector]
                    assert strides is not None
                    operand = _Operand("input", vector, 0, row_stride(strides, self.batch))
                    self._add_product(
                        matrix, range(whole.parts), column, width, operand, whole.parts,
                        len(self.sums) if is_pending else -1,
                    )  # fmt: skip
                    is_pending = False
            if biases:
                self.sums.append(_Sum(biases, column, width, is_pending))

    def _input(self, products: Products, vector: int) -> None:
        columns = self.layout.columns
        terms = tuple((v, m, columns[f"grad:{v}"]) for v, m in products.terms_of(vector))
        code = products.gradient(vector, self.layout.sizes, self.dtype, self.layout.block)
        widths = tuple(self.loop.inputs[v].node.shape[0].value(self.sizes) for v, _, _ in terms)
        has_blocks = any(self.loop.inputs[m].blocks > 1 for _, m, _ in terms)
        self.inputs.append(_InputGradient(vector, code, terms, widths, has_blocks))

    def _matrix(self, outer: int, indices: list[int]) -> None:
        """A matrix's gradient: neighbouring parts that lie side by side are one product."""
        for first, count, index in self._runs(indices):
            emission = self.loop.emissions[index]
            size = emission.node.shape[0].value(self.sizes)
            name, part = self.places[index]
            self._add_product(
                outer, range(first, first + count), self.layout.columns[name] + part * size,
                count * size, self._operand(emission), count * emission.node.shape[0].times,
            )  # fmt: skip

    def _add_product(
        self,
        index: int,
        parts: range,
        column: int,
        rows: int,
        operand: _Operand,
        gates: int,
        bias: int = -1,
    ) -> None:
        matrix, done = self.loop.inputs[index], self._parts.setdefault(index, set())
        columns = matrix.node.shape[1].value(self.sizes) // matrix.blocks
        self.products.append(
            _Product(
                index, rows // len(parts) * parts.start, rows, columns, column, operand,
                matrix.blocks, gates, bias, not done.isdisjoint(parts),
            )
        )  # fmt: skip
        done.update(parts)

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

    def _operand(self, emission: Emission) -> _Operand:
        node = emission.operand
        assert node is not None
        if node.op == "saved":
            assert isinstance(node.detail, int)
            widths = [n.shape[0].value(self.sizes) for n in self.forward.saved]
            return _Operand("saved", 0, sum(widths[: node.detail]), sum(widths))
        index = self.loop.states.index(str(node.detail))
        return _Operand("state", index, 0, self.loop.state_sizes[index].value(self.sizes))

    def collect(self, run: BackwardRun) -> InputGradients:
        """The gradient of each wanted loop input, None where the loop doesn't depend on it."""
        found: InputGradients = [None] * len(self.loop.inputs)
        block, item = run.block, self.dtype.itemsize
        (rows, row), begin = block.shape, block.data_ptr()
        for index, first, width in self.timed:
            found[index] = block[:, first : first + width]
        for index, first, width in self.summed:
            part = run.accumulators[:, first : first + width]
            found[index] = part.sum(0) if self.loop.inputs[index].node.shape else part.sum()
        sums = [block.new_zeros(s.width) for s in self.sums]
        for p in self.products:
            weight = found[p.target]
            if weight is None:
                like = run.inputs[p.target]
                assert like is not None
                weight = torch.zeros_like(like) if p.target in self.gaps else torch.empty_like(like)
                found[p.target] = weight
            bias = None if p.bias < 0 else sums[p.bias]
            x, start, stride, offsets = self._rows(p.operand, run)
            if rows <= FEW_ROWS or p.adds:
                _multiply(p, weight, block, (x, start, stride, offsets), bias)
                continue
            if p.code is None:
                p.code = self._compile(p)
            p.code(
                rows, begin + p.column * item, row, x.data_ptr() + start * item, stride,
                0 if offsets is None else offsets.data_ptr(),
                weight.data_ptr() + p.first * p.columns * item, p.columns,
                0 if bias is None else bias.data_ptr(),
            )  # fmt: skip
        for each, total in zip(self.sums, sums, strict=True):
            if each.alone:
                torch.sum(block[:, each.column : each.column + each.width], 0, out=total)
            for index in each.biases:
                _add(found, index, total if index == each.biases[-1] else total.clone())
        for needed in self.inputs:
            _add(found, needed.vector, _gradient_of_input(needed, run))
        return found

    def _compile(self, p: _Product) -> WeightGradient:
        threads = torch.get_num_threads()
        return WeightGradient.of(self.dtype, threads, p.rows, p.columns, p.blocks, p.gates)

    def _rows(self, operand: _Operand, run: BackwardRun) -> tuple[Tensor, int, int, Tensor | None]:
        """An operand's tensor, the element at which it begins, the distance between its rows.

        Then where each row begins, if they don't lie at one distance.
        """
        kind, index, begin, stride = operand
        if kind == "saved":
            return run.saved, begin, stride, None
        if kind == "state":
            if run.before is not None:
                return run.states[index], 0, stride, run.before * stride
            return run.states[index], run.begin * stride, stride, None
        x = run.inputs[index]
        assert x is not None
        return x, 0, stride, None if stride else _offsets(x)


def row_stride(strides: Strides, batch: int) -> int:
    """The distance between rows of (R, size) or (T, B, size), given all strides but the last.

    0 where those of the latter don't lie at one distance.
    """
    if len(strides) == 1:
        return strides[0]
    step, row = strides
    if batch == 1:
        return step
    return row if step == batch * row else 0


def _offsets(x: Tensor) -> Tensor:
    """The elements at which rows of (T, B, size) begin."""
    (steps, batch, _), (step, row, _) = x.shape, x.stride()
    return ((torch.arange(steps) * step).unsqueeze(1) + torch.arange(batch) * row).flatten()


def _multiply(
    product: _Product,
    weight: Tensor,
    block: Tensor,
    operand: tuple[Tensor, int, int, Tensor | None],
    bias: Tensor | None,
) -> None:
    """A product of tensors, added to what is there if need be."""
    x, begin, stride, offsets = operand
    p, rows = product, block.shape[0]
    if offsets is None:
        width = p.columns * p.blocks
        x = x.as_strided((rows, width), (stride, 1), x.storage_offset() + begin)
    target = weight[p.first : p.first + p.rows]
    result = torch.empty_like(target) if p.adds else target
    g = block[:, p.column : p.column + p.rows]
    add_gradient(result, g, x, offsets, bias, p.blocks, p.gates)
    if p.adds:
        target += result


def _gradient_of_input(needed: _InputGradient, run: BackwardRun) -> Tensor:
    block, rows = run.block, run.block.shape[0]
    if rows <= FEW_ROWS and not needed.has_blocks:
        parts = []
        for (_, matrix, begin), width in zip(needed.terms, needed.widths, strict=True):
            weight = run.inputs[matrix]
            assert weight is not None
            parts.append(block[:, begin : begin + width] @ weight)
        return functools.reduce(torch.add, parts)
    result = block.new_empty(rows, needed.code.width)
    addresses = [0 if t is None else t.data_ptr() for t in run.inputs]
    addresses = addresses[: len(needed.code.products.inputs)]
    for value, _, begin in needed.terms:
        addresses[value] = block.data_ptr() + begin * block.element_size()
    needed.code([*addresses, result.data_ptr()], rows)
    return result


def _key(emission: Emission) -> str:
    assert emission.operand is not None
    return f"{emission.operand.op} {emission.operand.detail}"


def _add(found: InputGradients, index: int, more: Tensor) -> None:
    known = found[index]
    found[index] = more if known is None else known + more
