"""Named tensors as bytes and back, through safetensors: nothing is ever unpickled."""

from collections.abc import Mapping

import safetensors
import safetensors.torch
from torch import Tensor

from recurra.errors import RunError

__all__ = ["from_bytes", "to_bytes"]


def to_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """The tensors in the format of safetensors; any device, any strides, shared storage or not."""
    # Tied weights share storage, which safetensors refuses: each name gets a copy of its own.
    copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    return safetensors.torch.save(copies)


def from_bytes(data: bytes, where: str) -> dict[str, Tensor]:
    """The tensors, on the CPU; `RunError` where `data` (found at `where`) isn't safetensors."""
    try:
        views = safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise RunError(f"{where} is no safetensors file: {error}.") from error
    # The views lie in `data` wherever the format put them: a copy is aligned, as bit-identical
    # arithmetic wants it, and writable.
    return {name: view.clone() for name, view in views.items()}
