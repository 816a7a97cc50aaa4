"""Sequences of different lengths side by side: which of their steps are there."""

import torch
from torch import Tensor

__all__ = ["padded", "within"]


def within(lengths: Tensor, steps: int, device: torch.device | None = None) -> Tensor:
    """Bools (T, B): each of `steps` steps comes before its sequence's end.

    They are on `device`, or where the lengths (B,) are.

    Example:
        >>> within(torch.tensor([2, 1]), 2).tolist()
        [[True, True], [True, False]]
    """
    device = device or lengths.device
    return torch.arange(steps, device=device).unsqueeze(-1) < lengths.to(device)


def padded(packed: Tensor, active: Tensor) -> Tensor:
    """Packed rows (N, ...) at the N steps (T, B) that are active, zeros at the others."""
    zeros = packed.new_zeros(*active.shape, *packed.shape[1:])
    places = active.to(packed.device).view(*active.shape, *[1] * (packed.dim() - 1))
    return zeros.masked_scatter(places, packed)
