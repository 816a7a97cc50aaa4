"""Numbers for every step of a series while it comes, in memory that doesn't grow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from recurra.tasks.inputs.input_stream import InputStream
from recurra.tasks.inputs.step_net import StepNet
from recurra.tasks.session import Session
from recurra.tasks.shared_weights import OwnWeights

if TYPE_CHECKING:
    from recurra.tasks.regress.estimate import Estimate

__all__ = ["StepValue", "ValueSession", "ValueStream"]

Floats = np.ndarray[Any, np.dtype[np.float64]]


class ValueStream:
    """The numbers of each step, as soon as all that they are of has come.

    Raises ConfigError for a model that reads each series from its end as well.
    """

    def __init__(self, product: Estimate, weights: OwnWeights | None = None) -> None:
        self._product = product
        self.stream: InputStream = InputStream(
            product.input,
            product.nets,
            bidirectional=bool(product.config.bidirectional),
            with_steps=True,
            steps_for=(weights or OwnWeights(product.nets)).steps,
        )
        self.given: int = 0

    def feed(self, chunk: Any, **options: Any) -> Floats:
        """The numbers (n, K) of the steps that a chunk settles."""
        return self._numbers(self.stream.feed(chunk, **options))

    def finish(self) -> Floats:
        """Those of the steps that were waiting for more."""
        return self._numbers(self.stream.finish())

    @torch.inference_mode()
    def _numbers(self, outputs: list[Tensor]) -> Floats:
        """The mean of the networks, by their outputs and steps (t, size)."""
        found = []
        for net, own in zip(self._product.nets, outputs, strict=True):
            assert isinstance(net, StepNet)
            size = net.recurrent.output_size
            found.append(net.answers(own[:, :size], own[:, size:]))
        mean = torch.stack(found).mean(0)[: self.stream.steps - self.given]
        self.given += len(mean)
        return self._product.targets.restored(mean.double().numpy())


class StepValue(NamedTuple):
    """The numbers (K,) of a step, and the ends of their intervals, None without these."""

    prediction: Floats
    low: Floats | None
    high: Floats | None


class ValueSession(Session[Any, StepValue]):
    """The numbers of each step of one series while it comes.

    `feed` takes steps (n, C), or (n,) of one channel; `finish` gives those of the steps that were
    waiting for more.

    Raises ConfigError for a model that reads each series from its end as well.
    """

    def __init__(self, product: Estimate, weights: OwnWeights | None = None) -> None:
        weights = weights or OwnWeights(product.nets)
        super().__init__(weights.digest)
        self._product, self._stream = product, ValueStream(product, weights)

    def feed(self, chunk: Any, **options: Any) -> list[StepValue]:
        """Read what has come; `times` are those of the steps, where the model uses them."""
        return self._values(self._stream.feed(chunk, **options))

    def finish(self) -> list[StepValue]:
        """End the series."""
        return self._values(self._stream.finish())

    def state(self) -> dict[str, Tensor]:
        """The state of features and networks."""
        given = torch.tensor(self._stream.given)
        tensors = {**self._stream.stream.state(), "given": given}
        return {name: value.contiguous() for name, value in tensors.items()}

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave."""
        self._stream.stream.set_state(tensors)
        self._stream.given = int(tensors["given"])

    def _values(self, numbers: Floats) -> list[StepValue]:
        if not self._product.intervals:
            return [StepValue(row, None, None) for row in numbers]
        ends = self._product.bounds(numbers)
        return [StepValue(*rows) for rows in zip(numbers, *ends, strict=True)]
