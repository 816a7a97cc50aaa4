"""The state carried from window to window: detached, flattened for a checkpoint, and put back."""

from typing import Any, TypeAlias

import torch
from torch import Tensor

from recurra.errors import TrainingError

__all__ = ["State", "detach", "flatten", "tensors_of", "unflatten"]

State: TypeAlias = "Tensor | tuple[State, ...] | None"
"""What is carried from window to window: a tensor, None, or a tuple of such, nested at will."""


def detach(state: State) -> State:
    """`state` cut from the graph, as truncated BPTT has it; `TrainingError` for other types."""
    if state is None:
        return None
    if isinstance(state, Tensor):
        return state.detach()
    if type(state) is not tuple:
        raise TrainingError(
            f"The loss returned a state of type {type(state).__name__}; it must be a tensor, None, "
            "or a tuple of such."
        )
    return tuple(detach(part) for part in state)


def tensors_of(value: Any) -> list[Tensor]:
    """All tensors in `value`, in order, through tuples, lists and dictionaries."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, (tuple, list)):
        return [tensor for part in value for tensor in tensors_of(part)]
    return []


def flatten(state: State) -> tuple[Any, dict[str, Tensor]]:
    """The shape of `state` as JSON (null, "tensor" or a list of such) and its tensors, numbered."""
    return _shape(state), {str(at): tensor for at, tensor in enumerate(tensors_of(state))}


def unflatten(shape: Any, tensors: dict[str, Tensor], device: torch.device) -> State:
    """What `flatten` took apart, on `device`."""
    parts = iter([tensors[str(at)].to(device) for at in range(len(tensors))])

    def build(shape: Any) -> State:
        if isinstance(shape, list):
            return tuple(build(part) for part in shape)
        return None if shape is None else next(parts)

    return build(shape)


def _shape(state: State) -> Any:
    if isinstance(state, tuple):
        return [_shape(part) for part in state]
    return None if state is None else "tensor"
