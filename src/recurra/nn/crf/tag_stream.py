"""Tags of a stream, step by step: the best path and probabilities, with a fixed lag."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from recurra.nn.crf.best_paths import best_step, follow_back
from recurra.nn.crf.chain_sums import ChainScores, TransitionSums
from recurra.nn.layers.arguments import check_whole

__all__ = ["StreamedTags", "TagStream"]


class StreamedTags(NamedTuple):
    """Tags (n, B) of the next n steps, and float64 probabilities of every tag there (n, B, K)."""

    tags: Tensor
    probabilities: Tensor


class TagStream:
    """Settles the tag of a step when `lag` more steps are read; a tag that is given stays.

    A tag is that of the best path so far which has all tags that were given before, so that what is
    forbidden never comes out. Probabilities are those given all steps read until then: with a lag
    of 0 forward (filtered) ones. `finish` gives the last `lag` steps, with the scores of the end.

    `held` is what later steps need, by name: tensors, to be saved and set again.

    Example:
        >>> from recurra.nn.crf import ConditionalRandomField
        >>> stream = ConditionalRandomField(2).stream(lag=1)
        >>> scores = torch.tensor([[[0.0, 1.0]], [[2.0, 0.0]]])
        >>> stream.feed(scores).tags.tolist(), stream.finish().tags.tolist()
        ([[1]], [[0]])
    """

    def __init__(self, chain: ChainScores, lag: int) -> None:
        check_whole(lag=lag)
        if lag < 0:
            raise ValueError(f"lag is {lag}; give 0 or more steps")
        self.lag: int = lag
        parts = (chain.start, chain.transitions, chain.end)
        self._chain = ChainScores(*(part.detach() for part in parts))
        self._forward = TransitionSums(self._chain.transitions)
        self._backward = self._forward.reversed
        self.held: dict[str, Tensor] = {}

    @torch.no_grad()
    def feed(self, scores: Tensor) -> StreamedTags:
        """The steps that scores (t, B, K) settle, perhaps none."""
        settled = [
            self._settle(torch.zeros_like(own)) for own in scores.double() if self._read(own)
        ]
        return _joined(settled, scores)

    @torch.no_grad()
    def finish(self) -> StreamedTags:
        """The steps that are left, at the end of the stream, which then begins anew."""
        if not self.held:
            raise ValueError("the stream has read no step; feed it scores (t, B, K) first")
        left = self.held["scores"]
        self.held["best"] = self.held["best"] + self._chain.end
        settled = [self._settle(self._chain.end.expand_as(left[0])) for _ in left]
        self.held = {}
        return _joined(settled, left)

    def _read(self, own: Tensor) -> bool:
        """Take in the scores (B, K) of a step; whether a step is settled by it."""
        if not self.held:
            pointers = torch.zeros_like(own, dtype=torch.int64)
            sums = best = self._chain.start + own
            window = {"scores": own, "sums": sums, "pointers": pointers}
            self.held = {name: values.unsqueeze(0) for name, values in window.items()}
        else:
            best, pointers = best_step(self.held["best"], self._chain.transitions, own)
            sums = _relative(self._forward.step(self.held["newest"]) + own)
            window = {"scores": own, "sums": sums, "pointers": pointers}
            for name, values in window.items():
                self.held[name] = torch.cat([self.held[name], values.unsqueeze(0)])
        self.held |= {"best": _relative(best), "newest": sums}
        return len(self.held["scores"]) > self.lag

    def _settle(self, after: Tensor) -> tuple[Tensor, Tensor]:
        """The tag (B,) of the oldest step, and probabilities (B, K); it leaves what is held.

        after: scores (B, K) of what follows the newest step.
        """
        best = self.held["best"]
        origins = torch.arange(best.shape[-1], device=best.device).expand_as(best)
        for pointers in self.held["pointers"][1:].flip(0):
            origins = pointers.gather(-1, origins)
        tags = follow_back(origins, best.argmax(-1))
        self.held["best"] = torch.where(origins == tags.unsqueeze(-1), best, -torch.inf)
        for scores in self.held["scores"][1:].flip(0):
            after = self._backward.step(scores + after)
        probabilities = (self.held["sums"][0] + after).softmax(-1)
        for name in ("scores", "sums", "pointers"):
            self.held[name] = self.held[name][1:]
        return tags, probabilities


def _relative(scores: Tensor) -> Tensor:
    """Scores relative to the highest, so that long streams lose no digits."""
    return scores - scores.amax(-1, keepdim=True)


def _joined(settled: list[tuple[Tensor, Tensor]], like: Tensor) -> StreamedTags:
    if not settled:
        empty = like.new_zeros(0, *like.shape[1:], dtype=torch.float64)
        return StreamedTags(empty[..., 0].long(), empty)
    tags, probabilities = zip(*settled, strict=True)
    return StreamedTags(torch.stack(tags), torch.stack(probabilities))
