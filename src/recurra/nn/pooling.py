"""From the outputs of all steps to one vector: the last one, mean, maximum, attention."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from recurra.ragged import within

__all__ = ["Pooling", "PoolingKind"]

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
            self.score = nn.Sequential(
                nn.Linear(size, inner), nn.Tanh(), nn.Linear(inner, 1, bias=False)
            )

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
        if self.kind == "last":
            return outputs
        if self.kind == "max":
            return outputs.cummax(0).values
        if self.score is None:
            counts = torch.arange(1, len(outputs) + 1, device=outputs.device)
            return outputs.cumsum(0) / counts.view(-1, 1, 1)
        scores = self.score(outputs)
        highest = scores.cummax(0).values
        return _running_mean(outputs, scores, highest)

    def _last(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        rows = torch.arange(outputs.shape[1], device=outputs.device)
        last = outputs[lengths.clamp(min=1).to(rows.device) - 1, rows]
        if not self.bidirectional:
            return last
        half = outputs.shape[-1] // 2
        return torch.cat([last[:, :half], outputs[0, :, half:]], -1)


def _running_mean(outputs: Tensor, scores: Tensor, highest: Tensor) -> Tensor:
    """Softmax-weighted means of the first t steps, shifted by the highest score so far."""
    total, weight, found = outputs[0] * 0, scores[0] * 0, []
    before = highest[0]
    for output, score, now in zip(outputs, scores, highest, strict=True):
        shrink, own = (before - now).exp(), (score - now).exp()
        total, weight, before = total * shrink + own * output, weight * shrink + own, now
        found.append(total / weight)
    return torch.stack(found)
