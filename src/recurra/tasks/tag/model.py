"""The network of a tagger: scores of every tag at every step, and a chain for each layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from recurra.nn.crf import ConditionalRandomField
from recurra.ragged import within
from recurra.tasks.inputs.step_net import StepNet
from recurra.tasks.network import penalised
from recurra.tasks.tag.tag_batches import TagBatch
from recurra.tasks.tag.tag_layers import UNSEEN, TagLayer

__all__ = ["TagNet", "chain_of", "tag_loss"]


class TagNet(nn.Module):
    """Scores of steps, and a conditional random field over the tags of each layer.

    `learnt`: whether the scores of neighbouring tags are; elsewhere they are 0, and the field
    keeps to what the layer's scheme allows.

    `net(features, lengths)`: features (T, B, F) with lengths (B,) give scores (T, B, K), those of
    all layers side by side.
    """

    def __init__(self, steps: StepNet, layers: Sequence[TagLayer], learnt: Sequence[bool]) -> None:
        super().__init__()
        self.steps: StepNet = steps
        self.fields: nn.ModuleList = nn.ModuleList(map(chain_of, layers))
        self.learnt: tuple[bool, ...] = tuple(learnt)
        for field, learns in zip(self.fields, learnt, strict=True):
            field.requires_grad_(learns)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        return self.steps(features, lengths)[0]

    def split(self, scores: Tensor) -> list[Tensor]:
        """The scores (T, B, K) of each layer."""
        return list(scores.split([field.tags for field in self.fields], -1))  # type: ignore[misc]


def chain_of(layer: TagLayer) -> ConditionalRandomField:
    """A field over the tags of a layer that keeps to its scheme."""
    return ConditionalRandomField(len(layer), allowed=layer.allowed)


def tag_loss(net: TagNet, batch: TagBatch, smoothing: float) -> Tensor:
    """Nats a step, the mean over layers, with the penalties' gradient.

    Tags that training lacks are left out, and of a layer with a field their whole sequences.
    """
    scores, penalty = net.steps.answered(batch.features, batch.lengths)
    losses = []
    for number, own in enumerate(net.split(scores)):
        targets, field = batch.tags[..., number], net.fields[number]
        if net.learnt[number]:
            losses.append(_field_loss(field, own, targets, batch.lengths))
        else:
            losses.append(_step_loss(own, targets, batch.lengths, smoothing))
    return penalised(torch.stack(losses).mean(), penalty)


def _field_loss(field: nn.Module, scores: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
    inside = within(lengths, len(scores))
    known = ((tags != UNSEEN) | ~inside).all(0)
    if not known.any():
        return 0 * scores.sum()
    nats: Tensor = field(scores[:, known], tags[:, known], lengths[known])
    return nats.sum() / lengths[known].sum()


def _step_loss(scores: Tensor, tags: Tensor, lengths: Tensor, smoothing: float) -> Tensor:
    known = within(lengths, len(scores)) & (tags != UNSEEN)
    if not known.any():
        return 0 * scores.sum()
    return functional.cross_entropy(scores[known], tags[known], label_smoothing=smoothing)
