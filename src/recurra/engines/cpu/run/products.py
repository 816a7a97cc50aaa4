"""Products over all steps: those of the input before the loop, gradients after it."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.engines.cpu.emit.weight_gradient import (
    GRADIENT_WORDS,
    GradientTiling,
    emit_gradient,
    shape_for,
)
from recurra.engines.cpu.jit.llvm import cached_addresses, host
from recurra.engines.cpu.plan.buffer_layout import View
from recurra.engines.cpu.plan.tiling import Modes, make_plan
from recurra.engines.cpu.run import workspace
from recurra.engines.cpu.run.bound_call import (
    Bound,
    CallSteps,
    Code,
    RaggedSteps,
    run_code,
    thread_functions,
)
from recurra.ir import LoopInput
from recurra.passes import Affine
from recurra.passes.projections import SinglePhase, input_gradient, input_product

__all__ = ["ELEMENTS", "Products", "add_gradient"]

ELEMENTS = {torch.float32: "float", torch.float64: "double"}
_FEW = 32  # rows that torch's products are good enough for
_ROWS = 128  # rows that a thread does while their input is in its cache


class Products:
    """The products that stand around a cell's loop, compiled for sizes as they come."""

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
        self._bound = functools.lru_cache(maxsize=256)(self._bind)
        self._code = functools.cache(self._compile)

    def _compile(
        self, kind: str, index: int, sizes: tuple[tuple[str, int], ...], element: str, packed: bool
    ) -> Code:
        around: SinglePhase = (self.values if kind == "value" else self.gradients)[index]
        modes = Modes(ragged=True, packed=packed)
        return Code(make_plan(*around, dict(sizes), element, host(), modes))

    def add_values(
        self, inputs: Sequence[Tensor | None], sizes: Mapping[str, int]
    ) -> list[Tensor | None]:
        """The loop inputs with the affine ones computed, each (R, size)."""
        found = list(inputs)
        for affine in self.affine:
            given = list(inputs)
            for _, vector in affine.terms:
                given[vector] = _given(inputs[vector]).flatten(0, -2)
            x = _given(given[affine.terms[0][1]])
            width = self.inputs[affine.value].node.shape[0].value(sizes)
            found[affine.value] = workspace.empty(x, len(x), width)
            rows = {f"outer:{v}": (v, _given(given[v]).stride(0)) for _, v in affine.terms}
            whole = tuple(f"outer:{b}" for b in affine.biases)
            self._run("value", affine.value, given, sizes, _given(found[affine.value]), rows, whole)
        return found

    def gradient(
        self,
        vector: int,
        inputs: Sequence[Tensor | None],
        sizes: Mapping[str, int],
        gradients: Mapping[int, Tensor],
    ) -> Tensor:
        """The gradient (R, size) of what affine values are products of, from their own."""
        values = [a.value for a in self.affine if any(v == vector for _, v in a.terms)]
        given = list(inputs)
        for value in values:
            given[value] = gradients[value]
        like = gradients[values[0]]
        pairs = [(a.value, m) for a in self.affine for m, v in a.terms if v == vector]
        if len(like) <= _FEW and all(self.inputs[m].blocks == 1 for _, m in pairs):
            parts = [gradients[value] @ _given(inputs[matrix]) for value, matrix in pairs]
            return functools.reduce(torch.add, parts)
        result = like.new_empty(len(like), self.inputs[vector].node.shape[0].value(sizes))
        rows = {f"grad:{v}": (v, gradients[v].stride(0)) for v in values}
        self._run("gradient", vector, given, sizes, result, rows, ())
        return result

    def _run(
        self,
        kind: str,
        index: int,
        given: list[Tensor | None],
        sizes: Mapping[str, int],
        result: Tensor,
        rows: Mapping[str, tuple[int, int]],
        whole: tuple[str, ...],
    ) -> None:
        threads = torch.get_num_threads()
        pieces = _pieces(len(result), _ROWS * threads)
        bound = self._bound(
            kind, index, tuple(sorted(sizes.items())), ELEMENTS[result.dtype], len(result) >= 32,
            threads, tuple(rows.items()), whole, result.shape[1],
        )  # fmt: skip
        bound((*given, result), CallSteps(len(pieces.offsets), _ROWS * threads, ragged=pieces))

    def _bind(
        self,
        kind: str,
        index: int,
        sizes: tuple[tuple[str, int], ...],
        element: str,
        packed: bool,
        threads: int,
        rows: tuple[tuple[str, tuple[int, int]], ...],
        whole: tuple[str, ...],
        width: int,
    ) -> Bound:
        code = self._code(kind, index, sizes, element, packed)
        views = {name: View(slot, 0, row, row) for name, (slot, row) in rows}
        views |= {name: View(int(name.partition(":")[2]), 0, 0, 0) for name in whole}
        views[kind] = View(len(self.inputs), 0, width, width)
        known = dict(sizes)
        widths = {
            i: value.node.shape[-1].value(known) // value.blocks
            for i, value in enumerate(self.inputs)
            if value.node.shape
        }
        size = 4 if element == "float" else 8
        return Bound(code, views, widths, _ROWS * threads, size, threads, reverse=False)


def _given(tensor: Tensor | None) -> Tensor:
    assert tensor is not None
    return tensor


@functools.lru_cache(maxsize=64)
def _pieces(rows: int, each: int) -> RaggedSteps:
    """All rows as steps of so many."""
    offsets = torch.arange(0, rows, each)
    return RaggedSteps(offsets, offsets, (rows - offsets).clamp(max=each))


@functools.cache
def _entries(shape: GradientTiling) -> tuple[int, ...]:
    names = ("gradient", "gradient.share")
    return cached_addresses(repr(shape), lambda: emit_gradient(shape), names, host())


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
    if rows <= _FEW:
        _add_few(weight, g, x, offsets, blocks, gates)
        if bias is not None:
            bias += g.sum(0)
        return
    if blocks == 1:
        gates = 1  # without blocks all gates are one matrix
    m //= blocks * gates
    kernel = _gradient(ELEMENTS[g.dtype], torch.get_num_threads(), m, n, blocks, gates)
    room = g.new_empty(kernel.room)
    args = type(kernel.template).from_buffer_copy(kernel.template)
    args[_ROWS_WORD] = rows
    args[_G], args[_G + 1] = g.data_ptr(), g.stride(0)
    args[_X], args[_X + 1] = x.data_ptr(), x.stride(0)
    args[_OFFSETS] = 0 if offsets is None else offsets.data_ptr()
    args[_W], args[_W + 1] = weight.data_ptr(), weight.stride(0)
    args[_BIAS] = 0 if bias is None else bias.data_ptr()
    args[_ROOM] = room.data_ptr()
    run_code(kernel.team, kernel.share, args, kernel.threads, kernel.threads)


_ROWS_WORD, _G, _X, _OFFSETS, _W, _BIAS, _ROOM = (
    GRADIENT_WORDS.index(w) for w in ("rows", "g", "x", "row_offsets", "w", "bias", "room")
)


@dataclass(frozen=True)
class _BoundGradient:
    """The product for an m and an n: its functions, its threads, the words that stay the same."""

    team: int
    share: int
    threads: int
    room: int
    template: ctypes.Array[ctypes.c_int64]


@functools.lru_cache(maxsize=256)
def _gradient(
    element: str, available: int, m: int, n: int, blocks: int, gates: int
) -> _BoundGradient:
    shape = shape_for(element, host())
    team, share = _entries(shape)
    used = max(1, min(available, -(-m // shape.tile) * blocks * gates))
    number, size, _ = thread_functions()
    words = dict.fromkeys(GRADIENT_WORDS, 0) | {
        "thread_number": number,
        "team_size": size,
        "m": m,
        "n": n,
        "room_stride": shape.room(n),
        "blocks": blocks,
        "gates": gates,
        "gate": m * blocks,
    }
    template = (ctypes.c_int64 * len(words))(*(words[name] for name in GRADIENT_WORDS))
    return _BoundGradient(team, share, used, used * shape.room(n), template)
