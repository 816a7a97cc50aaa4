"""Random states: of torch's CPU generator and of each CUDA device's, once CUDA is in use.

Python's `random` and NumPy's generators take no part in training, so they are not saved.
"""

import contextlib
import logging
from collections.abc import Iterator

import torch
from torch import Tensor, nn

__all__ = ["Before", "evaluating", "random_states", "restore_random_states"]


def random_states() -> dict[str, Tensor]:
    """The state of every generator of torch that is in use, by device: cpu, cuda:0, ..."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        for index in range(torch.cuda.device_count()):
            states[f"cuda:{index}"] = torch.cuda.get_rng_state(index)
    return states


def restore_random_states(states: dict[str, Tensor]) -> None:
    """Set the generators to what `random_states` gave."""
    available = torch.cuda.device_count() if len(states) > 1 else 0
    for name, state in states.items():
        if name == "cpu":
            torch.set_rng_state(state)
        elif torch.device(name).index < available:
            torch.cuda.set_rng_state(state, name)
        else:
            logging.getLogger("recurra").warning(
                "The random state of %s can't be restored: there is no such device here.", name
            )


class Before:
    """Random states and buffers before a step: all that it changes besides the weights."""

    def __init__(self, model: nn.Module) -> None:
        self._random = random_states()
        self._buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]

    def restore(self) -> None:
        """Undo a step that came no further than its backward pass."""
        restore_random_states(self._random)
        with torch.no_grad():
            for buffer, before in self._buffers:
                buffer.copy_(before)


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode, no gradients; random states and each module's mode are restored afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    states = random_states()
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        restore_random_states(states)
        for module, mode in modes:
            module.training = mode
