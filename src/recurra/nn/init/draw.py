"""Draws the parameters of a layer as its cell's `init` says."""

import torch
from torch import Tensor, nn

from recurra.ir import Init, Param

__all__ = ["draw_", "orthogonal_", "stacked_matrices"]


def stacked_matrices(value: Tensor, gates: int, blocks: int = 1) -> list[Tensor]:
    """The matrices that a stored parameter stacks, gate by gate and block by block, as views."""
    return [block for gate in value.chunk(max(1, gates)) for block in gate.chunk(blocks)]


def draw_(value: Tensor, param: Param, bound: float) -> None:
    """Draw a parameter again, in place; "uniform" draws from -bound to bound.

    Numbers of a function that the dtype has no room for are the largest that it has.
    """
    with torch.no_grad():
        _fill(value, param.init, bound, len(param.gates), param.blocks)
        for gate, init in param.gate_init:
            part = value.chunk(len(param.gates))[param.gates.index(gate)]
            _fill(part, init, bound, 1, param.blocks)


def orthogonal_(value: Tensor, gain: float = 1.0, generator: torch.Generator | None = None) -> None:
    """Make a matrix orthogonal, or its rows or columns if it isn't square, in any dtype."""
    # QR has no half precision
    wide = value.new_empty(value.shape, dtype=torch.promote_types(value.dtype, torch.float32))
    nn.init.orthogonal_(wide, gain, generator)
    value.copy_(wide)


def _fill(value: Tensor, init: Init, bound: float, gates: int, blocks: int) -> None:
    if init == "uniform":
        nn.init.uniform_(value, -bound, bound)
    elif init == "normal":
        nn.init.normal_(value, std=value.shape[-1] ** -0.5)
    elif init in ("zeros", "ones"):
        nn.init.constant_(value, float(init == "ones"))
    elif init in ("identity", "orthogonal"):
        for matrix in stacked_matrices(value, gates, blocks):
            nn.init.eye_(matrix) if init == "identity" else orthogonal_(matrix)
    elif isinstance(init, tuple):
        low, high = init
        low, high = (-bound * high, bound * high) if isinstance(low, str) else (low, high)
        nn.init.uniform_(value, low, high)
    elif isinstance(init, (int, float)):
        nn.init.constant_(value, init)
    else:
        _fill_by_function(value, init)


def _fill_by_function(value: Tensor, init: Init) -> None:
    """Fill with values of a function of draws between 0 and 1, both ends excluded."""
    assert callable(init)
    draws = torch.rand(value.numel(), dtype=torch.float64, device="cpu").clamp_(min=2.0**-53)
    values = [init(draw) for draw in draws.tolist()]
    drawn = torch.tensor(values, dtype=torch.float64, device="cpu")
    largest = torch.finfo(value.dtype).max
    value.copy_(drawn.clamp_(-largest, largest).view(value.shape))
