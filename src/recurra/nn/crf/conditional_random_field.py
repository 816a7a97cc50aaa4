"""The module of a linear-chain conditional random field over the tags of a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from recurra.nn.crf.best_paths import best_paths
from recurra.nn.crf.chain_sums import ChainScores, log_partition, marginals
from recurra.nn.crf.tag_stream import TagStream
from recurra.nn.layers.arguments import check_lengths, check_whole
from recurra.ragged import within

__all__ = ["Allowed", "ConditionalRandomField"]

Allowed = tuple[Any, Any, Any]
"""Bools, as arrays or lists: first tags (K,), tag j after tag i (K, K), last tags (K,)."""

Lengths = Tensor | Sequence[int] | None

_FORBIDDEN = -1e12
"""The score of what can't be: far below that of any path, and finite, so that of paths that are all
forbidden the one that breaks the fewest rules is the best."""


class ConditionalRandomField(nn.Module):
    """Scores of paths through K tags: of each step, of neighbours, of the first and the last tag.

    J. Lafferty, A. McCallum and F. Pereira, "Conditional random fields: probabilistic models for
    segmenting and labeling sequence data", ICML 2001. The scores of steps (T, B, K) come from a
    network; `start` (K,), `transitions` (K, K), from row i to column j, and `end` (K,) are learnt,
    and 0 at first, so that a new one is a softmax at each step. Sums are float64.

    Args:
        tags: K.
        allowed: the first tags, neighbours and last tags that decoding and marginals may use.
            The loss is over all paths: what is forbidden gets unlikely, as all that is never seen.

    Raises TypeError or ValueError for other sizes, or scores, tags and lengths that don't fit.

    Example:
        >>> crf = ConditionalRandomField(2, allowed=([1, 0], [[1, 1], [1, 1]], [1, 1]))
        >>> scores = torch.tensor([[[0.0, 9.0]], [[0.0, 3.0]]])
        >>> crf.decode(scores).tolist()  # tag 1 can't be the first
        [[0], [1]]
        >>> crf(scores, torch.tensor([[1], [1]])).item() < 0.1  # but may be, in the loss
        True
    """

    forbidden_start: Tensor
    forbidden_transitions: Tensor
    forbidden_end: Tensor

    def __init__(
        self,
        tags: int,
        *,
        allowed: Allowed | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_whole(tags=tags)
        if tags < 1:
            raise ValueError(f"tags is {tags}; give at least 1")
        self.tags: int = tags
        self.start: nn.Parameter = nn.Parameter(torch.zeros(tags, device=device, dtype=dtype))
        self.transitions: nn.Parameter = nn.Parameter(
            torch.zeros(tags, tags, device=device, dtype=dtype)
        )
        self.end: nn.Parameter = nn.Parameter(torch.zeros(tags, device=device, dtype=dtype))
        forbidden = _forbidden(allowed, tags, device)
        for name, values in zip(("start", "transitions", "end"), forbidden, strict=True):
            self.register_buffer(f"forbidden_{name}", values, persistent=False)

    def extra_repr(self) -> str:
        """Sizes for `print`."""
        return str(self.tags)

    def forward(self, scores: Tensor, tags: Tensor, lengths: Lengths = None) -> Tensor:
        """Minus the log-probability of each sequence's tags, (B,), in nats, at least 0.

        A tag below 0 isn't known: the probability is that of the known ones, whatever it is.
        scores (T, B, K) and tags (T, B) beyond the lengths (B,) are ignored, whatever they are, and
        have no gradient.
        """
        chosen = self._checked(scores, lengths)
        inside = within(chosen, len(scores))
        tags = self._own_tags(tags, inside)
        chain, wide = self.chain(constrained=False), _wide(scores, inside)
        total = log_partition(wide, chain, chosen)
        if (tags < 0).any():
            others = torch.arange(self.tags, device=tags.device) != tags.unsqueeze(-1)
            out = others & (tags >= 0).unsqueeze(-1)
            own = log_partition(wide.masked_fill(out, _FORBIDDEN), chain, chosen)
        else:
            own = _path_score(wide, tags, chain, inside, chosen)
        return (total - own).clamp(min=0).to(_result_dtype(scores))

    @torch.no_grad()
    def decode(self, scores: Tensor, lengths: Lengths = None) -> Tensor:
        """The most probable tags (T, B) by what is allowed, 0 beyond the lengths."""
        chosen = self._checked(scores, lengths)
        wide = _wide(scores, within(chosen, len(scores)))
        return best_paths(wide, self.chain(), chosen)

    @torch.no_grad()
    def marginals(self, scores: Tensor, lengths: Lengths = None) -> Tensor:
        """The probability of each tag at each step (T, B, K) over what is allowed.

        Beyond the lengths it is 0.
        """
        chosen = self._checked(scores, lengths)
        wide = _wide(scores, within(chosen, len(scores)))
        return marginals(wide, self.chain(), chosen).to(_result_dtype(scores))

    def stream(self, lag: int = 0) -> TagStream:
        """Tags of steps as they come, each `lag` steps late; see `TagStream`."""
        return TagStream(self.chain(), lag)

    def chain(self, *, constrained: bool = True) -> ChainScores:
        """The learnt scores in float64, forbidden ones far below all others."""
        parts = (self.start.double(), self.transitions.double(), self.end.double())
        if constrained:
            buffers = (self.forbidden_start, self.forbidden_transitions, self.forbidden_end)
            pairs = zip(parts, buffers, strict=True)
            start, transitions, end = (part.masked_fill(out, _FORBIDDEN) for part, out in pairs)
            return ChainScores(start, transitions, end)
        return ChainScores(*parts)

    def _checked(self, scores: Tensor, lengths: Lengths) -> Tensor:
        """The lengths as a tensor on the scores' device."""
        if not scores.is_floating_point():
            raise TypeError(f"scores are of {scores.dtype}; give floats (T, B, {self.tags})")
        if scores.dim() != 3 or scores.shape[-1] != self.tags or not scores.numel():
            raise ValueError(
                f"scores have shape {tuple(scores.shape)}; give (T, B, {self.tags}), of T "
                "steps of B sequences, both at least 1"
            )
        steps, batch = scores.shape[:2]
        if lengths is None:
            return torch.full((batch,), steps, device=scores.device)
        found = check_lengths(lengths, steps, batch)
        if 0 in found:
            raise ValueError(
                f"sequence {found.tolist().index(0)} of the batch has 0 steps; leave it out"
            )
        return found.to(scores.device, torch.int64)

    def _own_tags(self, tags: Tensor, inside: Tensor) -> Tensor:
        """The tags (T, B), 0 beyond the lengths."""
        if tags.shape != inside.shape or tags.is_floating_point() or tags.dtype == torch.bool:
            raise ValueError(
                f"tags are of shape {tuple(tags.shape)} and {tags.dtype}; give whole numbers "
                f"{tuple(inside.shape)}, a tag for each step"
            )
        tags = tags.to(inside.device, torch.int64).masked_fill(~inside, 0)
        if (is_wrong := tags >= self.tags).any():
            t, b = is_wrong.nonzero()[0].tolist()
            raise ValueError(
                f"tags[{t}, {b}] is {int(tags[t, b])}; tags are 0 to {self.tags - 1}, and below 0 "
                "where they aren't known"
            )
        return tags


def _forbidden(
    allowed: Allowed | None, tags: int, device: torch.device | str | None
) -> list[Tensor]:
    """Bools (K,), (K, K) and (K,): what isn't allowed."""
    shapes = (tags,), (tags, tags), (tags,)
    if allowed is None:
        return [torch.zeros(shape, dtype=torch.bool, device=device) for shape in shapes]
    found = [torch.as_tensor(part, device=device).to(torch.bool) for part in allowed]
    if [tuple(part.shape) for part in found] != list(shapes):
        given = ", ".join(str(tuple(part.shape)) for part in found)
        raise ValueError(
            f"allowed has shapes {given}; give bools ({tags},), ({tags}, {tags}) and ({tags},): "
            "first tags, tag j after tag i, last tags"
        )
    return [~part for part in found]


def _result_dtype(scores: Tensor) -> torch.dtype:
    """That of the scores, float32 for those of 16 bits."""
    return torch.promote_types(scores.dtype, torch.float32)


def _wide(scores: Tensor, inside: Tensor) -> Tensor:
    """Scores in float64, 0 beyond the lengths."""
    return scores.double().masked_fill(~inside.unsqueeze(-1), 0)


def _path_score(
    scores: Tensor, tags: Tensor, chain: ChainScores, inside: Tensor, lengths: Tensor
) -> Tensor:
    """The score of one path of each sequence, (B,)."""
    own = scores.gather(-1, tags.unsqueeze(-1)).squeeze(-1)  # 0 beyond the lengths
    between = torch.where(inside[1:], chain.transitions[tags[:-1], tags[1:]], 0)
    last = tags[lengths - 1, torch.arange(len(lengths), device=lengths.device)]
    return own.sum(0) + chain.start[tags[0]] + between.sum(0) + chain.end[last]
