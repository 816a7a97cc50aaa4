"""A linear filter beside a front end: what is linear in a system needs no network to learn it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from recurra.errors import ConfigError
from recurra.nn.frontends.convolutions import Context, FrontEnd

__all__ = ["FilteredFrontEnd"]


class FilteredFrontEnd(FrontEnd):
    """A front end with what a linear filter makes of its features (T, B, F) as the last channels.

    front: gives a step for each of the features'; ConfigError for one that joins several.
    weight: (outputs, F, taps), by the time that has passed, the oldest first; `bias` (outputs,).
        Both are fixed. A sequence begins after zeros.

    Example:
        >>> from recurra.nn.frontends import Block, SequenceFrontEnd
        >>> plain = SequenceFrontEnd(1, [Block(4)], causal=True)
        >>> front = FilteredFrontEnd(plain, torch.tensor([[[1.0, 2.0]]]), torch.zeros(1))
        >>> steps, _ = front(torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1), torch.tensor([3]))
        >>> steps.shape, steps[:, 0, -1].tolist()
        (torch.Size([3, 1, 5]), [2.0, 1.0, 0.0])
    """

    def __init__(self, front: FrontEnd, weight: Tensor, bias: Tensor) -> None:
        super().__init__([], 0.0)
        if front.subsampling != 1:
            raise ConfigError(
                f"A filter answers every step, and the front end joins {front.subsampling}; give "
                "one that joins none."
            )
        self.front: FrontEnd = front
        self.weight: Tensor
        self.bias: Tensor
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.filtered: int = len(weight)
        self.output_size: int = front.output_size + len(weight)
        before = max(front.context.before, weight.shape[2] - 1)
        self.context: Context = Context(before, front.context.after)

    @property
    def convolutions(self) -> Sequence[nn.Module]:
        """Those of the front end."""
        return self.front.convolutions

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features (T, B, F) with their lengths (B,): steps (T, B, output_size), and lengths."""
        steps, lengths = self.front(features, lengths)
        return self._joined(steps, features), lengths

    def whole(self, features: Tensor) -> Tensor:
        """The steps (T, B, output_size) of features (T, B, F) whose rows are all T long."""
        return self._joined(self.front.whole(features), features)

    def _joined(self, steps: Tensor, features: Tensor) -> Tensor:
        rows = functional.pad(features.permute(1, 2, 0), (self.weight.shape[2] - 1, 0))
        filtered = functional.conv1d(rows, self.weight, self.bias).permute(2, 0, 1)
        return torch.cat([steps, filtered[: len(steps)]], -1)
