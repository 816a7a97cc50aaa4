"""One stream of an input, through its features and the recurrent layers of networks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from recurra.errors import ConfigError
from recurra.nn import Recurrent, Stack
from recurra.nn.frontends import FrontEnd, FrontEndStream
from recurra.nn.module_steps import ModuleSteps, steps_of
from recurra.nn.states import flatten, unflatten
from recurra.tasks.inputs.input import Input

__all__ = ["InputStream"]


class _Network(Protocol):
    @property
    def front(self) -> FrontEnd: ...

    @property
    def recurrent(self) -> Recurrent | Stack: ...


class InputStream:
    """The outputs of each network for one stream: those of the whole, whatever the chunks.

    `rate` is that of what is fed, by default the model's. `steps` counts those of the features
    that have come. `with_steps` puts the steps of the front end beside the outputs. `steps_for`
    makes the steps of recurrent layers.

    Raises ConfigError for networks that read each sequence from its end as well, for an input
    that has no stream, and for a rate of what has none.
    """

    def __init__(
        self,
        how: Input,
        nets: Sequence[_Network],
        *,
        bidirectional: bool,
        rate: int | None = None,
        with_steps: bool = False,
        steps_for: Callable[[nn.Module], ModuleSteps] = steps_of,
    ) -> None:
        if how.streams and bidirectional:
            raise ConfigError(
                "The model reads each sequence from its end as well (bidirectional = true), so it "
                "can't be streamed; train one with --no-bidirectional."
            )
        self._how = how
        if rate is not None and how.rate is None:
            raise ConfigError(
                f"rate = {rate} is of sound, and this model reads {how.kind}; leave it out."
            )
        options: dict[str, Any] = {} if rate is None else {"rate": rate}
        self._features = how.stream(**options)
        self.steps: int = 0
        self._encoders = [_Encoder(net.front, steps_for(net.recurrent), with_steps) for net in nets]

    def feed(self, chunk: Any, **options: Any) -> list[Tensor]:
        """The outputs (t, size) of each network that a chunk settles; `options` are the input's."""
        return self._encoded(self._features.feed(chunk, **options))

    def finish(self) -> list[Tensor]:
        """Those that were waiting for more."""
        before = self._encoded(self._features.finish())
        last = [encoder.finish() for encoder in self._encoders]
        return [torch.cat(parts) for parts in zip(before, last, strict=True)]

    def state(self) -> dict[str, Tensor]:
        """Everything that later outputs depend on, as tensors by name."""
        tensors: dict[str, Tensor] = {}
        facts: dict[str, Any] = {"features": {}, "encoders": [], "steps": self.steps}
        for name, value in self._features.state().items():
            if isinstance(value, np.ndarray):
                tensors[f"features.{name}"] = torch.from_numpy(value.copy())
            else:
                facts["features"][name] = value
        for number, encoder in enumerate(self._encoders):
            states, about = encoder.state()
            facts["encoders"].append(about)
            tensors |= {f"{number}.{name}": value for name, value in states.items()}
        tensors["facts"] = torch.tensor(list(json.dumps(facts).encode()), dtype=torch.uint8)
        return tensors

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave."""
        facts = json.loads(bytes(tensors["facts"].tolist()))
        kept = {name: value.numpy() for name, value in _below("features.", tensors).items()}
        self._features = self._how.stream({**kept, **facts["features"]})
        self.steps = facts["steps"]
        for number, about in enumerate(facts["encoders"]):
            self._encoders[number].set_state(_below(f"{number}.", tensors), about)

    def _encoded(self, features: np.ndarray[Any, Any]) -> list[Tensor]:
        self.steps += len(features)
        ready = torch.from_numpy(self._how.standardised(features)) if len(features) else None
        return [encoder.feed(ready) for encoder in self._encoders]


class _Encoder:
    """A front end and recurrent layers over one stream, in chunks."""

    def __init__(self, front: FrontEnd, recurrent: ModuleSteps, with_steps: bool) -> None:
        self._recurrent, self._with_steps = recurrent, with_steps
        self._front = FrontEndStream(front)

    def feed(self, features: Tensor | None) -> Tensor:
        """The outputs (t, size) that features (n, F) settle; None: there are none."""
        return self._run(None if features is None else self._front.feed(features))

    def finish(self) -> Tensor:
        return self._run(self._front.finish())

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        front, (shape, tensors) = self._front, flatten(self._recurrent.state())
        if front.held is not None:
            tensors = {**tensors, "held": front.held}
        return tensors, {"first": front.first, "done": front.done, "shape": shape}

    def set_state(self, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
        own = dict(tensors)
        self._front.held = own.pop("held", None)
        self._front.first, self._front.done = about["first"], about["done"]
        self._recurrent.set_state(unflatten(about["shape"], own, torch.device("cpu")))

    def _run(self, steps: Tensor | None) -> Tensor:
        if steps is None or not len(steps):
            more = self._front.front.output_size if self._with_steps else 0
            return torch.zeros(0, self._recurrent.output_size + more)
        with torch.inference_mode():
            own = self._recurrent.feed(steps.unsqueeze(1))[:, 0]
            return torch.cat([own, steps], -1) if self._with_steps else own


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}
