"""torch's linear layer, whose products are compiled where the engine of recurrent layers can."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.nn.execute import Kernel, LinearMap, kernel

__all__ = ["Linear"]

_LEAST = 1_000_000
"""Multiplications from which a call of compiled code costs less than it saves."""


class _Row(Cell):
    """A matrix and a bias: the output of a step is that of its input alone."""

    states = ("h",)

    def step(self, x: Any, h: Any, W: Any, b: Any) -> Any:
        return W @ x + b


_ROW = _Row()


class Linear(nn.Linear):
    """torch.nn.Linear, which it replaces: the same parameters, draws, results and derivatives.

    Large products of float32 and float64 on the CPU are compiled, as those of recurrent layers are;
    the others, and what is traced or under autocast, are torch's, as all are where RECURRA_ENGINE
    names an engine that compiles none.

    Example:
        >>> Linear(256, 1000)(torch.randn(64, 256)).shape
        torch.Size([64, 1000])
    """

    def forward(self, input: Tensor) -> Tensor:
        """W x + b of an input (..., I): (..., O)."""
        weight, bias = self.weight, self.bias
        code = None
        if input.numel() * self.out_features >= _LEAST and input.shape[-1] == self.in_features:
            given = (input, weight) if bias is None else (input, weight, bias)
            found = kernel(_ROW, bias=bias is not None, engine="auto")
            code = found.linear(given) if isinstance(found, Kernel) else None
        if code is None:
            return super().forward(input)
        rows = input.reshape(-1, self.in_features)
        made: Tensor = _Products.apply(rows, weight, bias, code)  # type: ignore[no-untyped-call]
        return made.view(*input.shape[:-1], self.out_features)


class _Products(torch.autograd.Function):
    """Compiled products, whose gradients are compiled as well; second gradients are torch's."""

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor | None, code: LinearMap
    ) -> Tensor:
        rows, weight = rows.contiguous(), weight.contiguous()
        ctx.code, ctx.has_bias = code, bias is not None
        ctx.save_for_backward(rows, weight)
        return code.forward(rows, weight, None if bias is None else bias.contiguous())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (gradient,), (rows, weight) = gradients, ctx.saved_tensors
        of_rows, of_weight = ctx.needs_input_grad[:2]
        of_bias = ctx.has_bias and ctx.needs_input_grad[2]
        if torch.is_grad_enabled():
            return (
                gradient @ weight if of_rows else None,
                gradient.t() @ rows if of_weight else None,
                gradient.sum(0) if of_bias else None,
                None,
            )
        gradient = gradient.contiguous()
        found = ctx.code.input_gradient(gradient, rows, weight) if of_rows else None
        matrix = own = None
        if of_weight:
            matrix, own = ctx.code.weight_gradient(gradient, rows, weight, bias=of_bias)
        elif of_bias:
            own = gradient.sum(0)
        return found, matrix, own, None
