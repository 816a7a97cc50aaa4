"""One client's stream of a sequence: the probabilities of its classes after every step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from recurra.errors import ConfigError
from recurra.metrics.early_classification import StopWatch
from recurra.nn.pooling import PoolingStream
from recurra.tasks.classify.decider import Decider
from recurra.tasks.inputs.encoder_stream import EncoderStream
from recurra.tasks.session import Session, weights_digest

__all__ = ["ClassSession", "StepAnswer"]


class StepAnswer(NamedTuple):
    """What a classifier says after a step: the class, the probabilities (K,) of all, and whether
    the stopping rule has stopped by now.
    """

    prediction: str
    probabilities: np.ndarray[Any, np.dtype[np.float64]]
    stopped: bool


class ClassSession(Session[Any, StepAnswer]):
    """Answers to one sequence of sound, ink or numbers while it comes.

    `feed` takes samples at the model's rate, points of a stroke, or steps (T, C), as the model
    reads them; `finish` answers for the steps that were waiting for more.

    Raises ConfigError for a model that reads each sequence from its end as well, texts, or images.
    """

    def __init__(self, product: Decider) -> None:
        super().__init__(weights_digest(product.nets))
        _check(product)
        self._product = product
        self._features = product.input.stream()
        self._encoders = [EncoderStream(net.front, net.recurrent) for net in product.nets]
        self._poolings = [PoolingStream(net.pooling) for net in product.nets]
        self._watch: StopWatch | None = None if product.rule is None else product.rule.watch()

    def feed(self, chunk: Any, **options: Any) -> list[StepAnswer]:
        """Read what has come; `options` are those of the input, such as `pen_up` of ink."""
        return self._take(self._features.feed(chunk, **options))

    def finish(self) -> list[StepAnswer]:
        """End the sequence."""
        found = self._take(self._features.finish())
        return found + self._answers([encoder.finish() for encoder in self._encoders])

    def state(self) -> dict[str, Tensor]:
        """The state of features, networks, pooling and the stopping rule."""
        tensors: dict[str, Tensor] = {}
        facts: dict[str, Any] = {"features": {}, "encoders": [], "watch": _watched(self._watch)}
        for name, value in self._features.state().items():
            if isinstance(value, np.ndarray):
                tensors[f"features.{name}"] = torch.from_numpy(value.copy())
            else:
                facts["features"][name] = value
        for number, encoder in enumerate(self._encoders):
            states, about = encoder.state()
            facts["encoders"].append(about)
            tensors |= {f"{number}.{name}": value for name, value in states.items()}
            held = self._poolings[number].held
            tensors |= {f"pooling{number}.{name}": value for name, value in held.items()}
        tensors["facts"] = torch.tensor(list(json.dumps(facts).encode()), dtype=torch.uint8)
        return {name: value.contiguous() for name, value in tensors.items()}

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave."""
        facts = json.loads(bytes(tensors["facts"].tolist()))
        kept = {name: value.numpy() for name, value in _below("features.", tensors).items()}
        self._features = self._product.input.stream({**kept, **facts["features"]})
        for number, about in enumerate(facts["encoders"]):
            self._encoders[number].set_state(_below(f"{number}.", tensors), about)
            self._poolings[number].held = _below(f"pooling{number}.", tensors)
        if self._product.rule is not None:
            self._watch = self._product.rule.watch()
            for name, value in facts["watch"].items():
                setattr(self._watch, name, value)

    def _take(self, features: np.ndarray[Any, Any]) -> list[StepAnswer]:
        if not len(features):
            return []
        ready = torch.from_numpy(self._product.input.standardised(features))
        return self._answers([encoder.feed(ready) for encoder in self._encoders])

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


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}


def _check(product: Decider) -> None:
    if product.input.streams and product.config.bidirectional:
        raise ConfigError(
            "The model reads each sequence from its end as well (bidirectional = true), so it "
            "can't be streamed; train one with --no-bidirectional."
        )
