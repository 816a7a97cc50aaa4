"""One client's stream of a sequence: the tags of its steps as they come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from recurra.nn.crf import StreamedTags, TagStream
from recurra.tasks.inputs.input_stream import InputStream
from recurra.tasks.session import Session
from recurra.tasks.shared_weights import OwnWeights
from recurra.tasks.tag.sequence_tagger import SequenceTagger
from recurra.tasks.tag.tag_layers import Floats

__all__ = ["StepTags", "TagSession"]


class StepTags(NamedTuple):
    """What a tagger says of a step (from 0): by layer its tag, and the chances (K,) of all."""

    step: int
    tags: Mapping[str, str]
    probabilities: Mapping[str, Floats]


class TagSession(Session[Any, StepTags]):
    """Tags of one sequence while it comes, each `lag` steps late; the last ones by `finish`.

    `feed` takes tokens of a text, or steps (T, C) of series, as the model reads them. Of a layer
    whose tags depend on one another a larger lag is more accurate: with the whole sequence as the
    lag the tags are those of `predict`; where they don't, they always are.

    Raises ConfigError for a model that reads each sequence from its end as well.
    """

    def __init__(
        self, product: SequenceTagger, lag: int, weights: OwnWeights | None = None
    ) -> None:
        weights = weights or OwnWeights(product.nets)
        super().__init__(weights.digest)
        self._product, self._lag = product, lag
        self._stream = InputStream(
            product.input,
            product.nets,
            bidirectional=product.config.bidirectional,
            steps_for=weights.steps,
        )
        self._chains = self._new_chains()
        self._scored = self._given = 0

    def feed(self, chunk: Any, **options: Any) -> list[StepTags]:
        """Read what has come; `options` are those of the input, such as `times` of series."""
        return self._settled(self._stream.feed(chunk, **options))

    def finish(self) -> list[StepTags]:
        """End the sequence: the tags that were waiting for more."""
        found = self._settled(self._stream.finish())
        if self._chains[0].held and self._lag:
            found += self._answers([chain.finish() for chain in self._chains])
        self._chains = self._new_chains()
        return found

    def state(self) -> dict[str, Tensor]:
        """The state of features, networks and chains."""
        tensors = self._stream.state()
        for number, chain in enumerate(self._chains):
            tensors |= {f"chain{number}.{name}": value for name, value in chain.held.items()}
        tensors["counts"] = torch.tensor([self._scored, self._given])
        return {name: value.contiguous() for name, value in tensors.items()}

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave."""
        self._stream.set_state(tensors)
        for number, chain in enumerate(self._chains):
            prefix = f"chain{number}."
            held = {n: value for n, value in tensors.items() if n.startswith(prefix)}
            chain.held = {n.removeprefix(prefix): value for n, value in held.items()}
        self._scored, self._given = tensors["counts"].tolist()

    def _settled(self, outputs: list[Tensor]) -> list[StepTags]:
        pairs = zip(self._chains, self._scores(outputs), strict=True)
        return self._answers([chain.feed(own) for chain, own in pairs])

    def _new_chains(self) -> list[TagStream]:
        layers = range(len(self._product.layers))
        return [self._product.field(layer).stream(self._lag) for layer in layers]

    @torch.inference_mode()
    def _scores(self, outputs: list[Tensor]) -> list[Tensor]:
        """The scores (t, 1, K) of each layer, of the outputs (t, size) of each network."""
        nets = self._product.nets
        answers = [net.answers(own, own[:, :0]) for net, own in zip(nets, outputs, strict=True)]
        mean = torch.stack(answers).mean(0).unsqueeze(1)[: self._stream.steps - self._scored]
        self._scored += len(mean)
        return list(torch.split(mean, nets[0].sizes, -1))

    def _answers(self, settled: list[StreamedTags]) -> list[StepTags]:
        layers, product = self._product.layers, self._product
        chances = [
            product.calibrate(number, each.probabilities[:, 0].double().numpy())
            for number, each in enumerate(settled)
        ]
        found = []
        for place in range(len(settled[0].tags)):
            tags = {
                layer.name: layer.tags[int(each.tags[place, 0])]
                for layer, each in zip(layers, settled, strict=True)
            }
            own: dict[str, np.ndarray[Any, Any]] = {
                layer.name: each[place] for layer, each in zip(layers, chances, strict=True)
            }
            found.append(StepTags(self._given, tags, own))
            self._given += 1
        return found
