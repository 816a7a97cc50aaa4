"""One client's stream of a sequence: the probabilities of its classes after every step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from recurra.metrics.early_classification import StopWatch
from recurra.nn.pooling import PoolingStream
from recurra.tasks.classify.decider import Decider
from recurra.tasks.inputs.input_stream import InputStream
from recurra.tasks.session import Session
from recurra.tasks.shared_weights import OwnWeights

__all__ = ["ClassSession", "StepAnswer"]


class StepAnswer(NamedTuple):
    """What a classifier says after a step: the class, the probabilities (K,) of all, and whether
    the stopping rule has stopped by now.
    """

    prediction: str
    probabilities: np.ndarray[Any, np.dtype[np.float64]]
    stopped: bool


class ClassSession(Session[Any, StepAnswer]):
    """Answers to one sequence of sound, ink, numbers or words while it comes.

    `feed` takes samples at `rate` or, without one, at the model's, points of a stroke, steps
    (T, C), or a list of words, as the model reads them; `finish` answers for the steps that were
    waiting for more.

    Raises ConfigError for a model that reads each sequence from its end as well, sub-words or
    characters of texts, or images.
    """

    def __init__(
        self, product: Decider, rate: int | None = None, weights: OwnWeights | None = None
    ) -> None:
        weights = weights or OwnWeights(product.nets)
        super().__init__(weights.digest)
        self._product = product
        self._stream = InputStream(
            product.input,
            product.nets,
            bidirectional=product.config.bidirectional,
            rate=rate,
            steps_for=weights.steps,
        )
        self._poolings = [PoolingStream(net.pooling) for net in product.nets]
        self._watch: StopWatch | None = None if product.rule is None else product.rule.watch()

    def feed(self, chunk: Any, **options: Any) -> list[StepAnswer]:
        """Read what has come; `options` are those of the input, such as `pen_up` of ink."""
        return self._answers(self._stream.feed(chunk, **options))

    def finish(self) -> list[StepAnswer]:
        """End the sequence."""
        return self._answers(self._stream.finish())

    def state(self) -> dict[str, Tensor]:
        """The state of features, networks, pooling and the stopping rule."""
        tensors = self._stream.state()
        for number, pooling in enumerate(self._poolings):
            tensors |= {f"pooling{number}.{name}": value for name, value in pooling.held.items()}
        watched = json.dumps(_watched(self._watch)).encode()
        tensors["watch"] = torch.tensor(list(watched), dtype=torch.uint8)
        return {name: value.contiguous() for name, value in tensors.items()}

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave."""
        self._stream.set_state(tensors)
        for number, pooling in enumerate(self._poolings):
            prefix = f"pooling{number}."
            held = {n: value for n, value in tensors.items() if n.startswith(prefix)}
            pooling.held = {n.removeprefix(prefix): value for n, value in held.items()}
        if self._product.rule is not None:
            self._watch = self._product.rule.watch()
            for name, value in json.loads(bytes(tensors["watch"].tolist())).items():
                setattr(self._watch, name, value)

    @torch.inference_mode()
    def _answers(self, outputs: list[Tensor]) -> list[StepAnswer]:
        """The answers after each step, of the outputs (t, size) of each network."""
        if not len(outputs[0]):
            return []
        nets = zip(self._product.nets, self._poolings, outputs, strict=True)
        answers = [net.head(pooling.feed(y.unsqueeze(1)))[:, 0] for net, pooling, y in nets]
        mean = torch.stack(answers).mean(0).double().numpy()
        return [self._answer(chances) for chances in self._product.temperature.apply(mean)]

    def _answer(self, chances: np.ndarray[Any, np.dtype[np.float64]]) -> StepAnswer:
        stopped = self._watch is not None and self._watch.update(chances)
        return StepAnswer(self._product.chosen(chances[None])[0], chances, stopped)


def _watched(watch: StopWatch | None) -> dict[str, Any]:
    """What a stopping rule has seen, but for the rule."""
    return {} if watch is None else {n: v for n, v in vars(watch).items() if n != "rule"}
