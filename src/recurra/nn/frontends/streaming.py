"""Runs a front end over a stream of features: the same steps, whatever the chunks."""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.nn.frontends.convolutions import FrontEnd

__all__ = ["FrontEndStream"]


class FrontEndStream:
    """The steps of one stream, each as soon as all that it reads has come.

    `held` are the features that later steps read, (N, F), and `first` the number of the first of
    them; `done` output steps have been given.

    Example:
        >>> from recurra.nn.frontends import Block, SequenceFrontEnd
        >>> front = SequenceFrontEnd(2, [Block(4, steps=2)]).eval()
        >>> stream, features = FrontEndStream(front), torch.randn(9, 2)
        >>> parts = [stream.feed(features[:4]), stream.feed(features[4:]), stream.finish()]
        >>> whole, _ = front(features.unsqueeze(1), torch.tensor([9]))
        >>> torch.allclose(torch.cat(parts), whole[:, 0], atol=1e-6)
        True
    """

    def __init__(self, front: FrontEnd) -> None:
        self.front: FrontEnd = front
        self.held: Tensor | None = None
        self.first: int = 0
        self.done: int = 0

    def feed(self, features: Tensor) -> Tensor:
        """The steps (N, output_size) that the features (n, F) which have come settle."""
        self.held = features if self.held is None else torch.cat([self.held, features])
        come = self.first + len(self.held)
        settled = max(0, come - self.front.context.after) // self.front.subsampling
        return self._steps(max(settled, self.done))

    def finish(self) -> Tensor:
        """The steps that were waiting for more features."""
        if self.held is None:
            return torch.zeros(0, self.front.output_size)
        total = self.front.lengths(torch.tensor([self.first + len(self.held)]))
        return self._steps(int(total))

    def _steps(self, until: int) -> Tensor:
        assert self.held is not None
        if until == self.done:
            return self.held.new_zeros(0, self.front.output_size)
        size = self.front.subsampling
        with torch.inference_mode():
            steps = self.front.whole(self.held.unsqueeze(1))
        found: Tensor = steps[self.done - self.first // size : until - self.first // size, 0]
        self.done = until
        kept = max(0, until - -(-self.front.context.before // size)) * size
        self.held, self.first = self.held[kept - self.first :], kept
        return found
