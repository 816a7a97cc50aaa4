"""The product of a training: networks, their layers of tags, and how sure they are."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from recurra.metrics.temperature import Temperature
from recurra.nn.crf import ConditionalRandomField
from recurra.tasks.inputs import Input
from recurra.tasks.inputs.collection import Part
from recurra.tasks.inputs.item_batches import in_order, padded_features
from recurra.tasks.tag.config import TagConfig
from recurra.tasks.tag.model import TagNet
from recurra.tasks.tag.tag_layers import Floats, Ids, TagLayer, encoded

__all__ = ["LayerAnswer", "SequenceTagger", "best_tags", "tagging_nets"]

_LEAST = 1e-12
"""Smaller probabilities are taken for this before their logarithm is scaled."""


class LayerAnswer(NamedTuple):
    """The tags of one layer for a content: their numbers (T,), and the probability of each tag at
    each step (T, K).
    """

    ids: Ids
    probabilities: Floats


@dataclasses.dataclass(frozen=True, eq=False)
class SequenceTagger:
    """Gives each step of a content its tags, by the mean of the scores of its networks.

    `temperatures`, one a layer, divide the logarithms of probabilities, as held-out items have it.
    """

    config: TagConfig
    input: Input
    layers: Sequence[TagLayer]
    nets: Sequence[TagNet]
    temperatures: Sequence[Temperature] = ()

    def calibrated(self, part: Part) -> SequenceTagger:
        """With the temperatures that suit these items."""
        if not len(part):
            return self
        answers = self.answers(part.contents)
        actual = [encoded(self.layers, content) for content in part.contents]
        found = []
        for number in range(len(self.layers)):
            ids = np.concatenate([each[:, number] for each in actual])
            chances = np.concatenate([each[number].probabilities for each in answers])
            known = ids >= 0
            fitted = Temperature()
            if known.any():
                fitted = Temperature.fit(_logits(chances[known]), ids[known])
            found.append(fitted)
        return dataclasses.replace(self, temperatures=found)

    def answers(self, contents: Sequence[Any]) -> list[list[LayerAnswer]]:
        """The tags of each content, a LayerAnswer for each layer."""
        found: list[list[LayerAnswer]] = [[] for _ in contents]
        for numbers, features in in_order(self.input, contents, self.config.reading_batch):
            inputs, lengths = padded_features(features)
            scores = self.scores(inputs, lengths)
            for layer, own in enumerate(torch.split(scores, self.nets[0].sizes, -1)):
                for number, answer in zip(numbers, self._read(layer, own, lengths), strict=True):
                    found[number].append(answer)
        return found

    @torch.inference_mode()
    def scores(self, features: Tensor, lengths: Tensor) -> Tensor:
        """The networks' mean scores (T, B, K), those of all layers side by side."""
        return torch.stack([net(features, lengths) for net in self.nets]).mean(0)

    def calibrate(self, layer: int, probabilities: Floats) -> Floats:
        """Probabilities (..., K) of a layer by its temperature."""
        if not self.temperatures:
            return probabilities
        return self.temperatures[layer].apply(_logits(probabilities))

    def field(self, layer: int) -> ConditionalRandomField:
        """The field of a layer: its scores are the mean of the networks'."""
        fields = [net.fields[layer] for net in self.nets]
        made = copy.deepcopy(fields[0])
        with torch.no_grad():
            for name, own in made.named_parameters():
                own.copy_(torch.stack([field.get_parameter(name) for field in fields]).mean(0))
        assert isinstance(made, ConditionalRandomField)
        return made

    def _read(self, layer: int, scores: Tensor, lengths: Tensor) -> list[LayerAnswer]:
        """The answers of a batch of scores (T, B, K)."""
        field = self.field(layer)
        free = self.layers[layer].scheme is None and not self.nets[0].learnt[layer]
        ids = best_tags(field, scores, lengths, free=free)
        chances = scores.softmax(-1) if free else field.marginals(scores, lengths)
        steps = zip(lengths.tolist(), ids.unbind(1), chances.unbind(1), strict=True)
        return [
            LayerAnswer(own[:count].numpy(), self.calibrate(layer, each[:count].double().numpy()))
            for count, own, each in steps
        ]


def best_tags(
    field: ConditionalRandomField, scores: Tensor, lengths: Tensor, *, free: bool
) -> Tensor:
    """The best tags (T, B) of scores (T, B, K); where steps are `free` of one another, of each."""
    return scores.argmax(-1) if free else field.decode(scores, lengths)


def tagging_nets(models: Sequence[nn.Module]) -> tuple[TagNet, ...]:
    """The modules as what they are."""
    assert all(isinstance(model, TagNet) for model in models)
    return tuple(models)  # type: ignore[arg-type]


def _logits(probabilities: Floats) -> Floats:
    found: Floats = np.log(np.maximum(probabilities, _LEAST))
    return found
