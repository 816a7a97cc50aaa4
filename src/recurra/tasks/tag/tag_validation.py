"""The numbers that choose the best weights of a tagger while it is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from recurra.metrics.standard_error import standard_error
from recurra.tasks.inputs import Input
from recurra.tasks.inputs.collection import Part
from recurra.tasks.inputs.item_batches import TargetBatch, in_order
from recurra.tasks.tag.model import TagNet, tag_loss
from recurra.tasks.tag.sequence_tagger import best_tags
from recurra.tasks.tag.tag_layers import MISSING, TagLayer, encoded
from recurra.tasks.tag.tag_scores import StepErrors, step_errors

__all__ = ["TagValidation"]


class TagValidation:
    """Nats a step of known tag, the share of right tags, and the score with its standard error.

    The score is the mean over layers: of a layer with a scheme the F1 of its segments, of others
    the share of right tags. Tags that training lacks are errors.
    """

    def __init__(self, how: Input, layers: Sequence[TagLayer], part: Part, batch_size: int) -> None:
        self._layers = layers
        self._contents = part.contents
        self._actual = [encoded(layers, content) for content in part.contents]
        self._batches = list(in_order(how, part.contents, batch_size))

    def __call__(self, net: nn.Module) -> dict[str, float]:
        """The numbers by name."""
        assert isinstance(net, TagNet)
        nats = steps = 0.0
        errors = [[StepErrors(0, 0, 0, 0)] * len(self._actual) for _ in self._layers]
        for numbers, features in self._batches:
            actual = [self._actual[n] for n in numbers]
            batch = TargetBatch.of_steps(features, actual, MISSING)
            count = float(batch.lengths.sum())
            nats, steps = nats + float(tag_loss(net, batch, 0.0)) * count, steps + count
            for layer, predicted in enumerate(_predicted(net, self._layers, batch)):
                for place, number in enumerate(numbers):
                    own = self._layers[layer].of_content(self._contents[number])
                    errors[layer][number] = step_errors(
                        self._layers[layer], predicted[: len(own), place], own
                    )
        return {"loss": nats / steps, **_numbers(self._layers, errors)}


def _predicted(net: TagNet, layers: Sequence[TagLayer], batch: TargetBatch) -> list[Any]:
    """The tags (T, B) of each layer."""
    scores = torch.split(net(batch.features, batch.lengths), net.sizes, -1)
    found = []
    for layer, own, field, learnt in zip(layers, scores, net.fields, net.learnt, strict=True):
        free = layer.scheme is None and not learnt
        found.append(best_tags(field, own, batch.lengths, free=free).numpy())  # type: ignore[arg-type]
    return found


def _numbers(
    layers: Sequence[TagLayer], errors: Sequence[Sequence[StepErrors]]
) -> dict[str, float]:
    tables = [np.array(each, float) for each in errors]
    accuracies = [1 - table[:, 0].sum() / max(table[:, 1].sum(), 1) for table in tables]
    scores = [1 - table[:, 2].sum() / max(table[:, 3].sum(), 1) for table in tables]
    spreads = [standard_error(table[:, 2], table[:, 3]) for table in tables]
    found = {"accuracy": float(np.mean(accuracies))}
    if len(layers) > 1:
        found |= {layer.name: float(each) for layer, each in zip(layers, scores, strict=True)}
    return {
        **found,
        "score": float(np.mean(scores)),
        "score_error": float(np.mean(spreads)),
    }
