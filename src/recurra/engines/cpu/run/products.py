"""Products over all steps: those of the input before the loop, gradients after it."""

from __future__ import annotations

import functools
from array import array
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from recurra.engines.cpu.emit.weight_gradient import (
    GRADIENT_WORDS,
    GradientTiling,
    emit_gradient,
    shape_for,
)
from recurra.engines.cpu.jit.llvm import cached_addresses, host
from recurra.engines.cpu.plan.buffer_layout import SizeValues, View
from recurra.engines.cpu.plan.tiling import Modes, make_plan
from recurra.engines.cpu.run.bound_call import (
    Bound,
    CallSteps,
    Code,
    MachineCode,
    RaggedSteps,
    give,
    run_code,
    take,
    thread_functions,
)
from recurra.ir import LoopInput
from recurra.passes import Affine
from recurra.passes.projections import SinglePhase, input_gradient, input_product

__all__ = ["ELEMENTS", "FEW_ROWS", "OverRows", "Products", "WeightGradient", "add_gradient"]

ELEMENTS = {torch.float32: "float", torch.float64: "double"}
FEW_ROWS = 32
"""Rows that torch's products are good enough for."""

_ROWS = 128  # rows that a thread does while their input is in its cache


class Products:
    """The products that stand around a cell's loop, compiled for sizes as they come.

    Their memory is that of the loop inputs, and the result after them.
    """

    affine: tuple[Affine, ...]
    inputs: tuple[LoopInput, ...]
    values: dict[int, SinglePhase]
    gradients: dict[int, SinglePhase]

    def __init__(self, inputs: tuple[LoopInput, ...], affine: tuple[Affine, ...]) -> None:
        self.affine, self.inputs = affine, inputs
        self.values = {a.value: input_product(inputs, a) for a in affine}
        vectors = dict.fromkeys(v for a in affine for _, v in a.terms)
        found = ((v, input_gradient(inputs, affine, v)) for v in vectors)
        self.gradients = {v: around for v, around in found if around is not None}
        self._code = functools.cache(self._compile)

    def _compile(
        self, kind: str, index: int, sizes: SizeValues, element: str, packed: bool
    ) -> Code:
        around: SinglePhase = (self.values if kind == "value" else self.gradients)[index]
        modes = Modes(ragged=True, packed=packed)
        return Code(make_plan(*around, dict(sizes), element, host(), modes))

    def value(
        self, affine: Affine, sizes: SizeValues, dtype: torch.dtype, rows: Mapping[int, int]
    ) -> OverRows:
        """An affine value (R, size); `rows` are the distances between the vectors' rows."""
        strides = {f"outer:{v}": (v, rows[v]) for _, v in affine.terms}
        strides |= {f"outer:{b}": (b, 0) for b in affine.biases}
        width = self.inputs[affine.value].node.shape[0].value(dict(sizes))
        return OverRows(self, "value", affine.value, sizes, dtype, strides, width)

    def gradient(self, vector: int, sizes: SizeValues, dtype: torch.dtype, row: int) -> OverRows:
        """The gradient (R, size) of what affine values are products of, from their own.

        `row` is the distance between rows of the latter.
        """
        strides = {f"grad:{v}": (v, row) for v in self.values_of(vector)}
        width = self.inputs[vector].node.shape[0].value(dict(sizes))
        return OverRows(self, "gradient", vector, sizes, dtype, strides, width)

    def values_of(self, vector: int) -> list[int]:
        """The affine values that are products of a vector."""
        return [a.value for a in self.affine if any(v == vector for _, v in a.terms)]

    def terms_of(self, vector: int) -> list[tuple[int, int]]:
        """Affine values with the matrices by which they are products of a vector."""
        return [(a.value, m) for a in self.affine for m, v in a.terms if v == vector]


class OverRows:
    """A product over all rows, for sizes and strides, that gives rows of `width`."""

    products: Products
    kind: str
    index: int
    sizes: SizeValues
    dtype: torch.dtype
    strides: Mapping[str, tuple[int, int]]
    width: int
    batch: int

    def __init__(
        self,
        products: Products,
        kind: str,
        index: int,
        sizes: SizeValues,
        dtype: torch.dtype,
        strides: Mapping[str, tuple[int, int]],
        width: int,
    ) -> None:
        self.products, self.kind, self.index, self.sizes = products, kind, index, sizes
        self.dtype, self.strides, self.width = dtype, strides, width
        self.batch = _ROWS * torch.get_num_threads()
        self.bound: dict[bool, Bound] = {}

    def __call__(self, addresses: Sequence[int], rows: int) -> None:
        """Compute all rows; the last address is that of the result."""
        packed = rows >= FEW_ROWS
        bound = self.bound.get(packed) or self._bind(packed)
        pieces = _pieces(rows, self.batch)
        bound(addresses, CallSteps(len(pieces.offsets), self.batch, False, pieces))

    def _bind(self, packed: bool) -> Bound:
        inputs, known = self.products.inputs, dict(self.sizes)
        views = {name: View(slot, 0, row, row) for name, (slot, row) in self.strides.items()}
        views[self.kind] = View(len(inputs), 0, self.width, self.width)
        widths = {
            i: value.node.shape[-1].value(known) // value.blocks
            for i, value in enumerate(inputs)
            if value.node.shape
        }
        code = self.products._code(self.kind, self.index, self.sizes, ELEMENTS[self.dtype], packed)
        self.bound[packed] = Bound(
            code, views, widths, self.batch, self.dtype.itemsize, self.batch // _ROWS,
            reverse=False,
        )  # fmt: skip
        return self.bound[packed]


@functools.lru_cache(maxsize=64)
def _pieces(rows: int, each: int) -> RaggedSteps:
    """All rows as steps of so many."""
    offsets = torch.arange(0, rows, each)
    return RaggedSteps(offsets, offsets, (rows - offsets).clamp(max=each))


def _add_few(
    weight: Tensor, g: Tensor, x: Tensor, offsets: Tensor | None, blocks: int, gates: int
) -> None:
    """The same for so few rows that copying them would cost more than the product."""
    columns = weight.shape[1]
    if offsets is not None:
        length = x.untyped_storage().nbytes() // x.element_size() - x.storage_offset()
        elements = offsets.unsqueeze(1) + torch.arange(blocks * columns)
        x = x.as_strided((length,), (1,))[elements]
    if blocks == 1:
        torch.mm(g.t(), x, out=weight)
        return
    parts = torch.unflatten(g, 1, (gates, blocks, -1)), torch.unflatten(x, 1, (blocks, columns))
    weight.copy_(torch.einsum("rgbm,rbn->gbmn", *parts).flatten(0, 2))


def add_gradient(
    weight: Tensor,
    g: Tensor,
    x: Tensor,
    offsets: Tensor | None,
    bias: Tensor | None,
    blocks: int = 1,
    gates: int = 1,
) -> None:
    """weight (m, n) becomes g' x of g (R, m) and x (R, n); bias (m,) grows by g's sum over rows.

    `offsets` (R,) int64 tells how many elements behind the first one a row of x begins. With
    `blocks` each of the `gates` has a block-diagonal matrix, and weight is (m, n / blocks).
    """
    rows, (m, n) = len(g), weight.shape
    if rows <= FEW_ROWS:
        _add_few(weight, g, x, offsets, blocks, gates)
        if bias is not None:
            bias += g.sum(0)
        return
    product = WeightGradient.of(g.dtype, torch.get_num_threads(), m, n, blocks, gates)
    product(
        rows, g.data_ptr(), g.stride(0), x.data_ptr(), x.stride(0),
        0 if offsets is None else offsets.data_ptr(), weight.data_ptr(), weight.stride(0),
        0 if bias is None else bias.data_ptr(),
    )  # fmt: skip


_ROWS_WORD, _G, _G_STRIDE, _X, _X_STRIDE, _OFFSETS, _W, _W_STRIDE, _BIAS, _ROOM = map(
    GRADIENT_WORDS.index,
    ["rows", "g", "g_stride", "x", "x_stride", "row_offsets", "w", "w_stride", "bias", "room"],
)


class WeightGradient(NamedTuple):
    """The product for an m and an n: its code, its threads, the words that stay the same."""

    code: MachineCode
    threads: int
    room: int
    template: array[int]

    @staticmethod
    @functools.lru_cache(maxsize=256)
    def of(
        dtype: torch.dtype, available: int, m: int, n: int, blocks: int, gates: int
    ) -> WeightGradient:
        """The product that gives a weight (m, n)."""
        if blocks == 1:
            gates = 1  # without blocks all gates are one matrix
        m //= blocks * gates
        shape = shape_for(ELEMENTS[dtype], host())
        used = max(1, min(available, -(-m // shape.tile) * blocks * gates))
        functions = thread_functions()
        words = dict.fromkeys(GRADIENT_WORDS, 0) | {
            "thread_number": functions["thread_number"],
            "team_size": functions["team_size"],
            "m": m,
            "n": n,
            "room_stride": shape.room(n),
            "blocks": blocks,
            "gates": gates,
            "gate": m * blocks,
        }
        template = array("q", (words[name] for name in GRADIENT_WORDS))
        return WeightGradient(_entry(shape), used, used * shape.room(n) * dtype.itemsize, template)

    def __call__(
        self,
        rows: int,
        g: int,
        g_stride: int,
        x: int,
        x_stride: int,
        offsets: int,
        weight: int,
        weight_stride: int,
        bias: int,
    ) -> None:
        """Run it: addresses, and the distances between rows; 0 for offsets and a bias if none."""
        args = self.template[:]
        args[_ROWS_WORD], args[_OFFSETS], args[_BIAS] = rows, offsets, bias
        args[_G], args[_G_STRIDE], args[_X], args[_X_STRIDE] = g, g_stride, x, x_stride
        args[_W], args[_W_STRIDE] = weight, weight_stride
        memory = take(self.room)
        args[_ROOM] = memory.data_ptr()
        run_code(self.code, args.buffer_info()[0], self.threads)
        give(memory)


@functools.cache
def _entry(shape: GradientTiling) -> MachineCode:
    names = ("gradient.team", "gradient.alone", "gradient.share")
    return MachineCode(*cached_addresses(repr(shape), lambda: emit_gradient(shape), names, host()))
