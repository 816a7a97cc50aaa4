"""Products of rows with a matrix, outside of any loop: W x + b for many x, and their gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from recurra.engines.cpu.run.products import OverRows, add_gradient

if TYPE_CHECKING:
    from recurra.engines.cpu.run.loop_code import CpuLoop

__all__ = ["CpuLinear"]


class CpuLinear:
    """The one product of a loop's input with a matrix, for sizes as they come; see `LinearMap`."""

    def __init__(self, loop: CpuLoop) -> None:
        (affine,) = loop.lowered.affine
        ((self._matrix, self._vector),) = affine.terms
        self._value, self._biases, self._affine = affine.value, affine.biases, affine
        self._count = len(loop.loop.inputs)
        self._products, self._sizes = loop.compiled.products, loop.compiled.sizes
        self._forward: dict[tuple[object, ...], OverRows] = {}
        self._backward: dict[tuple[object, ...], OverRows] = {}

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """W x + b (R, O) of rows x (R, I)."""
        key = (weight.shape, x.dtype, torch.get_num_threads())
        product = self._forward.get(key)
        if product is None:
            rows = {self._vector: x.shape[1]}
            sizes = self._known(x, weight)
            product = self._products.value(self._affine, sizes, x.dtype, rows)
            self._forward[key] = product
        made = x.new_empty(len(x), len(weight))
        addresses = [0] * (self._count + 1)
        addresses[self._vector], addresses[self._matrix] = x.data_ptr(), weight.data_ptr()
        for index in self._biases:
            assert bias is not None
            addresses[index] = bias.data_ptr()
        addresses[-1] = made.data_ptr()
        product(addresses, len(x))
        return made

    def input_gradient(self, gradient: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        """The gradient (R, I) of x from that of the result (R, O)."""
        key = (weight.shape, x.dtype, torch.get_num_threads())
        product = self._backward.get(key)
        if product is None:
            sizes = self._known(x, weight)
            product = self._products.gradient(self._vector, sizes, x.dtype, len(weight))
            self._backward[key] = product
        made = x.new_empty(len(gradient), weight.shape[1])
        addresses = [0] * (self._count + 1)
        addresses[self._value], addresses[self._matrix] = gradient.data_ptr(), weight.data_ptr()
        addresses[-1] = made.data_ptr()
        product(addresses, len(gradient))
        return made

    def weight_gradient(
        self, gradient: Tensor, x: Tensor, weight: Tensor, *, bias: bool
    ) -> tuple[Tensor, Tensor | None]:
        """The gradients of the matrix and, with `bias`, of the bias."""
        found = torch.empty_like(weight, memory_format=torch.contiguous_format)
        own = weight.new_zeros(len(weight)) if bias else None
        add_gradient(found, gradient, x, None, own)
        return found, own

    def _known(self, x: Tensor, weight: Tensor) -> tuple[tuple[str, int], ...]:
        shapes: list[tuple[int, ...] | None] = [None] * self._count
        shapes[self._vector], shapes[self._matrix] = (x.shape[1],), tuple(weight.shape)
        return self._sizes(tuple(shapes), (len(weight),))
