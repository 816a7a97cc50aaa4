"""Skip connections in depth: how a layer's output joins what came from below."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["SKIPS", "Dense", "Highway", "Plain", "Residual"]


class Plain(nn.Module):
    """No skip connection: the output y of a layer alone goes up."""

    def __init__(self, below: int, output_size: int, **options: Any) -> None:
        super().__init__()
        self.width = output_size

    def forward(self, x: Tensor, y: Tensor, norm: nn.Module) -> Tensor:
        """What goes up, (..., width), of x from below and the layer's output y."""
        up: Tensor = norm(y)
        return up


class Residual(Plain):
    """x + y; where their sizes differ, x is projected by a learnt matrix without bias."""

    def __init__(self, below: int, output_size: int, **options: Any) -> None:
        super().__init__(below, output_size)
        fits = below == output_size
        self.projection = (
            nn.Identity() if fits else nn.Linear(below, output_size, bias=False, **options)
        )

    def forward(self, x: Tensor, y: Tensor, norm: nn.Module) -> Tensor:
        """What goes up, (..., width), of x from below and the layer's output y."""
        up: Tensor = norm(self.projection(x) + y)
        return up


class Highway(Residual):
    """y t + x (1 - t), t = sigmoid(linear(x)), whose bias starts at -1 (Srivastava et al. 2015)."""

    def __init__(self, below: int, output_size: int, **options: Any) -> None:
        super().__init__(below, output_size, **options)
        self.gate = nn.Linear(below, output_size, **options)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the gate's parameters anew; its bias starts at -1, which lets most of x pass."""
        self.gate.reset_parameters()
        nn.init.constant_(self.gate.bias, -1.0)

    def forward(self, x: Tensor, y: Tensor, norm: nn.Module) -> Tensor:
        """What goes up, (..., width), of x from below and the layer's output y."""
        through = torch.sigmoid(self.gate(x))
        up: Tensor = norm(y * through + self.projection(x) * (1 - through))
        return up


class Dense(Plain):
    """x beside y: each layer reads the input and every output below (Huang et al. 2017)."""

    def __init__(self, below: int, output_size: int, **options: Any) -> None:
        super().__init__(below, output_size)
        self.width = below + output_size

    def forward(self, x: Tensor, y: Tensor, norm: nn.Module) -> Tensor:
        """What goes up, (..., width), of x from below and the layer's output y."""
        return torch.cat([x, norm(y)], -1)


SKIPS: dict[str | None, type[Plain]] = {
    None: Plain,
    "residual": Residual,
    "highway": Highway,
    "dense": Dense,
}
