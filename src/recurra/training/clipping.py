"""Gradients: their norm, clipping by norm and by value, and clipping inside BPTT."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recurra.config.training import TrainingConfig
from recurra.errors import ConfigError, TrainingError

__all__ = ["Measured", "clip", "measure", "set_bptt_clip"]


@dataclass(frozen=True)
class Measured:
    """One step's numbers, read from the device at one go."""

    loss: float
    norm: float
    largest: float

    @property
    def finite(self) -> bool:
        """Whether loss and gradients are."""
        return math.isfinite(self.loss) and math.isfinite(self.norm)


def measure(loss: Tensor, gradients: list[Tensor], *, largest: bool) -> Measured:
    """The loss, the norm of all gradients together and, if asked, their largest element."""
    if not gradients:
        raise TrainingError("No parameter got a gradient: the loss doesn't depend on any of them.")
    dtype = torch.promote_types(loss.dtype, torch.float32)
    numbers = [loss.detach().to(dtype).reshape(()), _norm(gradients, dtype)]
    if largest:
        numbers.append(torch.stack([_largest(gradient).to(dtype) for gradient in gradients]).max())
    values = torch.stack(numbers).tolist()
    if math.isinf(values[1]) and all(bool(gradient.isfinite().all()) for gradient in gradients):
        # The squares overflowed, not the gradients: float64 has room for them.
        values[1] = float(_norm([gradient.double() for gradient in gradients], torch.float64))
    return Measured(values[0], values[1], values[2] if largest else 0.0)


def clip(gradients: list[Tensor], measured: Measured, config: TrainingConfig) -> bool:
    """Scale gradients to `clip_norm`, then clamp to `clip_value`; whether either did anything."""
    norm, value, scale = config.clip_norm, config.clip_value, 1.0
    if norm is not None and measured.norm > norm:
        scale = norm / measured.norm
        torch._foreach_mul_(gradients, scale)
    too_large = value is not None and measured.largest > value
    if value is not None and too_large:
        torch._foreach_clamp_min_(gradients, -value)
        torch._foreach_clamp_max_(gradients, value)
    return scale < 1.0 or too_large


def set_bptt_clip(model: nn.Module, value: float) -> None:
    """Have every recurrent layer clamp dL/dh to `value` at each step; `ConfigError` if none can."""
    layers = [module for module in model.modules() if hasattr(module, "bptt_clip")]
    if not layers:
        raise ConfigError(
            f"clip_bptt = {value}, but no layer of the model has `bptt_clip`; recurra.nn's layers "
            "have: use one, or leave clip_bptt out."
        )
    for layer in layers:
        setattr(layer, "bptt_clip", value)  # noqa: B010  a Module's attributes are typed as tensors


def _norm(gradients: list[Tensor], dtype: torch.dtype) -> Tensor:
    # torch's own get_total_norm is this behind a layer of Python that takes as long again.
    norms = torch._foreach_norm(gradients)
    total: Tensor = torch.linalg.vector_norm(torch.stack([norm.to(dtype) for norm in norms]))
    return total


def _largest(gradient: Tensor) -> Tensor:
    low, high = torch.aminmax(gradient)
    return torch.maximum(-low, high)
