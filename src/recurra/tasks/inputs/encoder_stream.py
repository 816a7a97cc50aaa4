"""A front end and recurrent layers over one stream, in chunks, with its state as tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from recurra.nn import Recurrent, Stack
from recurra.nn.frontends import FrontEnd, FrontEndStream
from recurra.nn.states import State, flatten, unflatten

__all__ = ["EncoderStream"]


class EncoderStream:
    """The layers' outputs for one stream: those of the whole, whatever the chunks."""

    def __init__(self, front: FrontEnd, recurrent: Recurrent | Stack) -> None:
        self._recurrent = recurrent
        self.front: FrontEndStream = FrontEndStream(front)
        self.states: State = None

    def feed(self, features: Tensor) -> Tensor:
        """The outputs (t, size) that the features (n, F) settle."""
        return self._run(self.front.feed(features))

    def finish(self) -> Tensor:
        """Those that were waiting for more."""
        return self._run(self.front.finish())

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The state as tensors by name, and what else there is to know of it, as JSON."""
        front, (shape, tensors) = self.front, flatten(self.states)
        if front.held is not None:
            tensors = {**tensors, "held": front.held}
        return tensors, {"first": front.first, "done": front.done, "shape": shape}

    def set_state(self, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
        """Put back what `state` gave."""
        own = dict(tensors)
        self.front.held = own.pop("held", None)
        self.front.first, self.front.done = about["first"], about["done"]
        self.states = unflatten(about["shape"], own, torch.device("cpu"))

    def _run(self, steps: Tensor) -> Tensor:
        if not len(steps):
            return torch.zeros(0, self._recurrent.output_size)
        with torch.inference_mode():
            outputs, self.states = self._recurrent(steps.unsqueeze(1), self.states)
            own: Tensor = outputs[:, 0]
            return own
