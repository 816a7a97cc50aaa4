"""The product of a training: networks, their classes, and the temperature of their answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recurra.metrics.early_classification import StoppingRule
from recurra.metrics.temperature import Temperature
from recurra.tasks.classify.class_names import Labels
from recurra.tasks.classify.config import ClassifyConfig
from recurra.tasks.inputs import Input
from recurra.tasks.inputs.collection import Part
from recurra.tasks.inputs.item_batches import in_order, padded_features
from recurra.tasks.inputs.pooled_net import PooledNet

__all__ = ["Decider"]

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclasses.dataclass(frozen=True, eq=False)
class Decider:
    """Gives each content the probabilities of its classes, by the mean of its networks.

    `temperature` divides their answers, and `rule` says when enough of a sequence is read, as the
    held-out items have it; networks of both directions read the whole.
    """

    config: ClassifyConfig
    input: Input
    labels: Labels
    nets: Sequence[PooledNet]
    temperature: Temperature = dataclasses.field(default_factory=Temperature)
    rule: StoppingRule | None = None

    @property
    def several(self) -> bool:
        """Whether an item may have several classes, or none."""
        return self.labels.several

    def calibrated(self, part: Part) -> Decider:
        """With the temperature that suits these items."""
        if not len(part):
            return self
        known = self.known(part)
        if not known:
            return self
        contents = [part.contents[n] for n in known]
        actual = self.labels.encode([part.texts[n] for n in known])
        found = Temperature.fit(self.answers(contents), actual, independent=self.several)
        made = dataclasses.replace(self, temperature=found)
        if self.several or self.config.bidirectional:
            return made
        return dataclasses.replace(made, rule=StoppingRule.fit(list(made.along(contents)), actual))

    def known(self, part: Part) -> list[int]:
        """The numbers of the items whose labels training had."""
        return [n for n, text in enumerate(part.texts) if not self.labels.unknown_in([text])]

    def answers(self, contents: Sequence[Any]) -> Floats:
        """The networks' mean answers (N, K), before they become probabilities."""
        found = np.zeros((len(contents), len(self.labels)))
        for numbers, features in in_order(self.input, contents, self.config.reading_batch):
            found[numbers] = self._mean(*padded_features(features)).double().numpy()
        return found

    def probabilities(self, contents: Sequence[Any]) -> Floats:
        """The probabilities (N, K): of rows that add up to 1, or of each class by itself."""
        return self.temperature.apply(self.answers(contents))

    def classes_of(self, probabilities: Floats) -> list[tuple[str, ...]]:
        """The likeliest class of each row, or all that are likelier than not."""
        names = self.labels.names
        if not self.several:
            return [(names[number],) for number in probabilities.argmax(1)]
        return [tuple(names[k] for k in np.flatnonzero(row >= 0.5)) for row in probabilities]

    def chosen(self, probabilities: Floats) -> list[str]:
        """The same in a text each, several classes joined."""
        return [self.config.separator.join(names) for names in self.classes_of(probabilities)]

    @torch.inference_mode()
    def _mean(self, features: Tensor, lengths: Tensor) -> Tensor:
        return torch.stack([net(features, lengths) for net in self.nets]).mean(0)

    @torch.inference_mode()
    def attention(self, content: Any) -> list[float] | None:
        """How much each step of the layers counts for the answer, the most for 1; None without."""
        if self.config.pooling != "attention":
            return None
        features, lengths = padded_features([self.input.features(content)])
        mean = torch.stack([net.weights(features, lengths)[:, 0] for net in self.nets]).mean(0)
        steps = int(self.nets[0].front.lengths(lengths))
        return (mean[:steps] / mean[:steps].max()).tolist()

    @torch.inference_mode()
    def along(self, contents: Sequence[Any]) -> Iterator[Floats]:
        """The probabilities after every step of each content, (T, K) of its own steps.

        For networks of one direction.
        """
        for content in contents:
            features, lengths = padded_features([self.input.features(content)])
            found = [net.along(features, lengths) for net in self.nets]
            answers = torch.stack([each for each, _ in found]).mean(0)[: int(found[0][1]), 0]
            yield self.temperature.apply(answers.double().numpy())


def deciding_nets(models: Sequence[nn.Module]) -> tuple[PooledNet, ...]:
    """The modules as what they are."""
    assert all(isinstance(model, PooledNet) for model in models)
    return tuple(models)  # type: ignore[arg-type]
