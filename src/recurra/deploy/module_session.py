"""Streams of runs and of modules: one step after another, as long as they come."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recurra.errors import ConfigError
from recurra.nn.module_steps import ModuleSteps, steps_of
from recurra.nn.states import State, flatten, unflatten
from recurra.tasks.estimator import Estimator
from recurra.tasks.registry import load
from recurra.tasks.session import Resumable, Session, weights_digest

__all__ = ["ModuleSession", "state_from", "state_tensors", "stream"]

_SHAPE = "shape"


def stream(
    source: str | os.PathLike[str] | Estimator[Any, Any] | nn.Module,
    *,
    quantize: bool = False,
    **options: Any,
) -> Session[Any, Any] | ModuleSession:
    """A stream of one client, from its beginning.

    source: the directory of a run, a trained estimator, or a recurrent module. options: those of
    the task's session (`rate` of sound, say); none for a module. quantize: a module's matrices as
    int8, as `ModuleSession` says.

    Raises:
        ConfigError: the model reads from the end as well, or has no stream; or `quantize` is asked
            of a run, or of a module that can't have it.
        RunError: the run can't be read.

    Example:
        >>> import recurra
        >>> layer = recurra.nn.LSTM(3, 8)
        >>> session = recurra.stream(layer)
        >>> session.step(torch.zeros(3)).shape, session.feed(torch.zeros(5, 3)).shape
        (torch.Size([8]), torch.Size([5, 8]))
    """
    if isinstance(source, nn.Module):
        if options:
            raise ConfigError(
                f"{', '.join(options)}: a module's stream has no options; leave them out."
            )
        return ModuleSession(source, quantize=quantize)
    if quantize:
        raise ConfigError(
            "quantize is for the stream of a module, and this is one of a run; leave it out, or "
            "export the run: recurra export RUN --to c --weights int8."
        )
    model = source if isinstance(source, Estimator) else load(source)
    return model.session(**options)


class ModuleSession(Resumable):
    """A recurrent module whose steps come one after another.

    module: one of Recurra's or torch's recurrent layers, a `Stack`, or any module with `input_size`
    that is called with (input (T, B, I), states) and gives outputs and states. It is copied, in
    evaluation mode: `refresh` takes over weights that have changed.
    quantize: matrices are int8 with a scale for each row, and the vectors that they multiply are
    rounded to int8 at each step; all else stays float32. Outputs are those of rounded weights.

    Raises ConfigError for a bidirectional module; with `quantize`, for one that isn't a float32
    layer run by the CPU engine.
    """

    def __init__(self, module: nn.Module, *, quantize: bool = False) -> None:
        self._module, self._steps = module, steps_of(module, quantize=quantize)
        self._digest = weights_digest([self._steps.module])

    @property
    def digest(self) -> str:
        """That of the weights."""
        return self._digest

    def step(self, x: Tensor | np.ndarray[Any, Any]) -> Tensor:
        """The output (O,) of the next step (I,).

        Raises ValueError for another shape or dtype.
        """
        return self._steps.step(torch.as_tensor(x).unsqueeze(0))[0]

    def feed(self, chunk: Tensor | np.ndarray[Any, Any]) -> Tensor:
        """The outputs (T, O) of the next steps (T, I), whatever their number.

        Raises ValueError for another shape or dtype.
        """
        return self._steps.feed(torch.as_tensor(chunk).unsqueeze(1))[:, 0]

    def finish(self) -> Tensor:
        """The outputs that were waiting for more, (0, O): a module answers every step at once."""
        steps = self._steps
        return torch.empty(0, steps.output_size, dtype=steps.dtype, device=steps.device)

    def reset(self) -> None:
        """Go back to the beginning: the next step is the first of another stream."""
        self._steps.reset()

    def refresh(self) -> None:
        """Take over the module's weights as they are now; the states stay."""
        self._steps.refresh(self._module)
        self._digest = weights_digest([self._steps.module])

    def state(self) -> dict[str, Tensor]:
        """The states that the next step starts from, as tensors by name."""
        return state_tensors(self._steps.state())

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave."""
        self._steps.set_state(state_from(tensors, self._steps))


def state_tensors(state: State) -> dict[str, Tensor]:
    """States as named tensors, with their form among them."""
    shape, tensors = flatten(state)
    form = torch.frombuffer(bytearray(json.dumps(shape).encode()), dtype=torch.uint8)
    return {_SHAPE: form, **tensors}


def state_from(tensors: Mapping[str, Tensor], steps: ModuleSteps) -> State:
    """The states that `state_tensors` gave."""
    shape = json.loads(bytes(tensors[_SHAPE].tolist()))
    rest = {name: tensor for name, tensor in tensors.items() if name != _SHAPE}
    return unflatten(shape, rest, steps.device)
