"""The language's operations as torch's: the table of those that stand for a torch function, and
products, statistics and limited gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from recurra.ir import Node

__all__ = ["RULES", "clip_gradient", "multiply", "statistic"]

RULES: dict[str, Callable[..., Tensor]] = {
    "neg": torch.neg,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "softplus": lambda a: torch.logaddexp(a, torch.zeros_like(a)),
    "abs": torch.abs,
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "transpose": lambda a: a.mT,
}


def multiply(matrix: Tensor, vector: Tensor, blocks: int, gates: int) -> Tensor:
    """matrix (gates x rows, columns / blocks) times each row of vector (..., columns)."""
    if blocks == 1:
        return F.linear(vector, matrix)
    parts = torch.unflatten(vector, -1, (blocks, -1))
    stacks = torch.unflatten(matrix, 0, (gates, blocks, -1))
    return torch.einsum("...kc,gkrc->...gkr", parts, stacks).flatten(-3)


def statistic(node: Node, vectors: Sequence[Tensor]) -> Tensor:
    """The mean over all elements, or the reciprocal of their deviation, in the shape of one."""
    whole = torch.cat([*vectors], dim=-1)
    if node.op == "mean":
        found = whole.mean(dim=-1, keepdim=True)
    else:
        assert isinstance(node.detail, float)
        found = (whole.var(dim=-1, correction=0, keepdim=True) + node.detail).rsqrt()
    return found.expand_as(vectors[0])


class _ClipGradient(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(value: Tensor, limit: float) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        ctx.limit = inputs[1]

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        return tangents[0].view_as(tangents[0])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0].clamp(-ctx.limit, ctx.limit), None


def clip_gradient(value: Tensor, limit: float) -> Tensor:
    """The value itself, whose gradient is limited element by element."""
    clipped: Tensor = _ClipGradient.apply(value, limit)  # type: ignore[no-untyped-call]
    return clipped
