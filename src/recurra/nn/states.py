"""States of recurrent layers, as `Recurrent` and `Stack` return and take them.

A state is carried from window to window of a training and from step to step of a stream: detached,
flattened into named tensors for a file, restored from them, its rows selected and put together.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from recurra.errors import TrainingError

__all__ = [
    "State",
    "States",
    "concatenate",
    "detach",
    "flatten",
    "reorder",
    "tensors_of",
    "unflatten",
]

State: TypeAlias = "Tensor | tuple[State, ...] | None"
"""A tensor, None, or a tuple of such, nested at will: one layer's states, or a stack's."""

States = tuple[Tensor, ...]
"""The states of one layer: a tensor for each state of its cell."""


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


def reorder(state: State, rows: Tensor) -> State:
    """The states of these rows (N,) of the batch, in this order; a row may come several times.

    `state` is that of recurrent layers, whose second axis is the batch. A beam search keeps the
    best rows this way, and a sampler repeats one for many samples.

    >>> h, c = torch.arange(3.0).view(1, 3, 1), torch.zeros(1, 3, 1)
    >>> reorder((h, c), torch.tensor([2, 2]))[0].flatten()
    tensor([2., 2.])
    """
    if state is None:
        return None
    if isinstance(state, Tensor):
        return state.index_select(1, rows)
    return tuple(reorder(part, rows) for part in state)


def concatenate(states: Sequence[State]) -> State:
    """States of several batches as those of one: the inverse of `reorder` to single rows.

    >>> h = torch.arange(3.0).view(1, 3, 1)
    >>> concatenate([reorder(h, torch.tensor([row])) for row in (2, 0)]).flatten()
    tensor([2., 0.])
    """
    first = states[0]
    if first is None:
        return None
    if isinstance(first, Tensor):
        return torch.cat([state for state in states if isinstance(state, Tensor)], 1)
    return tuple(concatenate(parts) for parts in zip(*states, strict=True))


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
    """The state that `flatten` took apart, on `device`."""
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
