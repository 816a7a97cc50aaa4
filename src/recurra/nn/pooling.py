"""From the outputs of all steps to one vector: the last one, mean, maximum, attention."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from recurra.nn.linear import Linear
from recurra.ragged import within

__all__ = ["Pooling", "PoolingKind", "PoolingStream"]

PoolingKind = Literal["last", "mean", "max", "attention"]


class Pooling(nn.Module):
    """Outputs (T, B, size) with lengths (B,) become (B, size); values beyond a length don't count.

    last: the last step's output; of `bidirectional` layers the half that reads backwards gives its
        own last one, that of the first step.
    mean, max: over the steps.
    attention: a weighted mean, weights a softmax over v · tanh(W y) (Yang et al. 2016,
        "Hierarchical attention networks"); `weights` gives them.

    Example:
        >>> pooling = Pooling("mean", 3)
        >>> pooling(torch.ones(5, 2, 3), torch.tensor([5, 2])).shape
        torch.Size([2, 3])
    """

    def __init__(self, kind: PoolingKind, size: int, *, bidirectional: bool = False) -> None:
        super().__init__()
        self.kind: PoolingKind = kind
        self.bidirectional: bool = bidirectional
        self.score: nn.Sequential | None = None
        if kind == "attention":
            inner = max(8, size // 2)
            self.score = nn.Sequential(Linear(size, inner), nn.Tanh(), Linear(inner, 1, bias=False))

    def forward(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        inside = within(lengths, len(outputs)).unsqueeze(-1)
        if self.kind == "last":
            return self._last(outputs, lengths)
        if self.kind == "mean":
            kept = torch.where(inside, outputs, 0)
            return kept.sum(0) / lengths.clamp(min=1).unsqueeze(-1)
        if self.kind == "max":
            return torch.where(inside, outputs, -torch.inf).amax(0)
        return (self.weights(outputs, lengths) * torch.where(inside, outputs, 0)).sum(0)

    def weights(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        """How much each step counts, (T, B, 1): by attention, else as the kind has it."""
        inside = within(lengths, len(outputs)).unsqueeze(-1)
        if self.score is None:
            return inside / lengths.clamp(min=1).view(1, -1, 1)
        scores: Tensor = self.score(outputs)
        return torch.where(inside, scores, -torch.inf).softmax(0)

    def along(self, outputs: Tensor) -> Tensor:
        """What `forward` gives of the first t steps, for every t: (T, B, size).

        For layers of one direction, so that outputs don't depend on later steps.
        """
        return PoolingStream(self).feed(outputs)

    def _last(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        rows = torch.arange(outputs.shape[1], device=outputs.device)
        last = outputs[lengths.clamp(min=1).to(rows.device) - 1, rows]
        if not self.bidirectional:
            return last
        half = outputs.shape[-1] // 2
        return torch.cat([last[:, :half], outputs[0, :, half:]], -1)


class PoolingStream:
    """The pooling of one stream, step by step: after each step that of all until it.

    `held` is what later steps need, by name.

    Example:
        >>> stream, outputs = PoolingStream(Pooling("mean", 3)), torch.randn(5, 2, 3)
        >>> parts = torch.cat([stream.feed(outputs[:2]), stream.feed(outputs[2:])])
        >>> torch.allclose(parts[-1], outputs.mean(0), atol=1e-6)
        True
    """

    def __init__(self, pooling: Pooling) -> None:
        self._pooling = pooling
        self.held: dict[str, Tensor] = {}

    def feed(self, outputs: Tensor) -> Tensor:
        """The pooled outputs (t, B, size) after each of these steps (t, B, size)."""
        if self._pooling.kind == "last" or not len(outputs):
            return outputs
        if self._pooling.kind == "max":
            return self._greatest(outputs)
        return self._means(outputs)

    def _greatest(self, outputs: Tensor) -> Tensor:
        before = [self.held["greatest"].unsqueeze(0)] if self.held else []
        found = torch.cat([*before, outputs]).cummax(0).values[len(before) :]
        self.held = {"greatest": found[-1]}
        return found

    def _means(self, outputs: Tensor) -> Tensor:
        """Weighted means; by attention the weights are relative to the highest score so far."""
        score = self._pooling.score
        scores = outputs.new_zeros(*outputs.shape[:-1], 1) if score is None else score(outputs)
        if not self.held:
            total, weight = torch.zeros_like(outputs[0]), torch.zeros_like(scores[0])
            self.held = {"total": total, "weight": weight, "highest": scores[0]}
        total, weight, highest = self.held["total"], self.held["weight"], self.held["highest"]
        found = []
        for output, own in zip(outputs, scores, strict=True):
            now = torch.maximum(highest, own)
            shrink, share = (highest - now).exp(), (own - now).exp()
            total, weight, highest = total * shrink + share * output, weight * shrink + share, now
            found.append(total / weight)
        self.held = {"total": total, "weight": weight, "highest": highest}
        return torch.stack(found)
