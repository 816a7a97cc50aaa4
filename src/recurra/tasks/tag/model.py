"""The network of a tagger: scores of every tag at every step, and a chain for each layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from recurra.config.sequence_config import SequenceConfig
from recurra.nn.crf import ConditionalRandomField
from recurra.nn.frontends import FrontEnd
from recurra.tasks.inputs.item_batches import TargetBatch
from recurra.tasks.inputs.step_net import StepNet
from recurra.tasks.network import penalised
from recurra.tasks.tag.tag_layers import TagLayer

__all__ = ["TagNet", "field_of", "tag_loss"]


class TagNet(StepNet):
    """Scores of steps, and a conditional random field over the tags of each layer.

    `learnt`: whether the scores of neighbouring tags are; else they are 0, and the field keeps to
    what the layer's scheme allows.

    `net(features, lengths)`: features (T, B, F) with lengths (B,) give scores (T, B, K), those of
    all layers side by side.
    """

    def __init__(
        self,
        config: SequenceConfig,
        front: FrontEnd,
        layers: Sequence[TagLayer],
        learnt: Sequence[bool],
    ) -> None:
        super().__init__(config, front, sum(map(len, layers)))
        self.fields: nn.ModuleList = nn.ModuleList(map(field_of, layers))
        self.sizes: list[int] = list(map(len, layers))
        self.learnt: tuple[bool, ...] = tuple(learnt)
        for field, learns in zip(self.fields, learnt, strict=True):
            field.requires_grad_(learns)


def field_of(layer: TagLayer) -> ConditionalRandomField:
    """A field over the tags of a layer that keeps to its scheme."""
    return ConditionalRandomField(len(layer), allowed=layer.allowed)


def tag_loss(net: TagNet, batch: TargetBatch, smoothing: float) -> Tensor:
    """Nats a step, the mean over layers, with the penalties' gradient.

    Steps without a tag, or with one that training lacks, count for nothing: a field sums over all
    that they may be.
    """
    scores, penalty = net.answered(batch.features, batch.lengths)
    losses = []
    for number, own in enumerate(torch.split(scores, net.sizes, -1)):
        tags, known = batch.targets[..., number], batch.targets[..., number] >= 0
        if net.learnt[number]:
            nats = net.fields[number](own, tags, batch.lengths).sum()
            losses.append(nats / known.sum().clamp(min=1))
        else:
            losses.append(_step_loss(own, tags, known, smoothing))
    return penalised(torch.stack(losses).mean(), penalty)


def _step_loss(scores: Tensor, tags: Tensor, known: Tensor, smoothing: float) -> Tensor:
    if not known.any():
        return 0 * scores.sum()
    return functional.cross_entropy(scores[known], tags[known], label_smoothing=smoothing)
