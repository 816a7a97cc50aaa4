"""Sums over all paths through a chain of tags, in the logarithm, by forward-backward.

A step is log(exp(a) @ exp(A)): a product of small matrices, of values relative to their maximum.
Terms below 1e-308 of it vanish, which changes no digit of a sum above 1e-290; a smaller sum is
computed again by its own maximum. So it costs no more than a product unless scores are extreme,
and is right where they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from recurra.ragged import within

__all__ = ["ChainScores", "TransitionSums", "log_partition", "marginals"]

_LEAST = 1e-290
"""Sums of at most K terms <= 1 below it may have lost digits to underflow (at 2.2e-308)."""


@dataclass(frozen=True, eq=False)
class ChainScores:
    """Scores in float64: of the first tag (K,), of tag j after tag i (K, K), of the last (K,)."""

    start: Tensor
    transitions: Tensor
    end: Tensor


class TransitionSums:
    """Sums over the tag before: log of the sum over i of exp(a_i + A_ij).

    Example:
        >>> sums = TransitionSums(torch.zeros(2, 2, dtype=torch.float64))
        >>> sums.step(torch.zeros(1, 2, dtype=torch.float64)).exp()
        tensor([[2., 2.]], dtype=torch.float64)
    """

    def __init__(self, transitions: Tensor) -> None:
        self.transitions: Tensor = transitions
        self.shift: Tensor = transitions.max()
        self.shares: Tensor = (transitions - self.shift).exp()

    @property
    def reversed(self) -> TransitionSums:
        """The sums over the tag after: log of the sum over j of exp(A_ij + a_j)."""
        return TransitionSums(self.transitions.T.contiguous())

    def step(self, scores: Tensor) -> Tensor:
        """The sums (B, K) for scores (B, K) of the tags before."""
        highest = scores.amax(-1, keepdim=True)
        sums = (scores - highest).exp() @ self.shares
        result = sums.log().add_(highest + self.shift)
        if sums.min() < _LEAST:
            columns = (sums < _LEAST).any(0)
            paths = scores.unsqueeze(-1) + self.transitions[:, columns]
            result[:, columns] = paths.logsumexp(1)
        return result


def log_partition(scores: Tensor, chain: ChainScores, lengths: Tensor) -> Tensor:
    """The log of the sum over all paths of exp(score), (B,), of float64 scores (T, B, K).

    lengths (B,) are at least 1. Scores beyond them must be finite; they have no gradient. The
    gradient is that of forward-backward, which can't be differentiated again.
    """
    total: Tensor = _LogPartition.apply(  # type: ignore[no-untyped-call]
        scores, chain.start, chain.transitions, chain.end, lengths
    )
    return total


def marginals(scores: Tensor, chain: ChainScores, lengths: Tensor) -> Tensor:
    """The probability of each tag at each step, (T, B, K), as `log_partition` takes its scores."""
    before = _sums_from_start(scores, chain)
    after = _sums_to_end(scores, chain, lengths)
    return _marginals(before + scores, after, _total(before + scores, chain.end, lengths), lengths)


class _LogPartition(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, *chain_and_lengths: Tensor) -> Tensor:
        *parts, lengths = chain_and_lengths
        before = _sums_from_start(scores, ChainScores(*parts))
        total = _total(before + scores, parts[2], lengths)
        ctx.save_for_backward(scores, *parts, lengths, before, total)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        scores, start, transitions, end, lengths, before, total = ctx.saved_tensors
        after = _sums_to_end(scores, ChainScores(start, transitions, end), lengths)
        alphas = before + scores
        weights = _marginals(alphas, after, total, lengths) * gradient.view(1, -1, 1)
        last = weights[lengths - 1, torch.arange(len(lengths), device=lengths.device)]
        pairs = _pair_weights(alphas[:-1], before[1:], weights[1:], transitions)
        return weights, weights[0].sum(0), pairs, last.sum(0), None


def _total(alphas: Tensor, end: Tensor, lengths: Tensor) -> Tensor:
    rows = torch.arange(len(lengths), device=lengths.device)
    return (alphas[lengths - 1, rows] + end).logsumexp(-1)


def _marginals(alphas: Tensor, after: Tensor, total: Tensor, lengths: Tensor) -> Tensor:
    inside = within(lengths, len(alphas)).unsqueeze(-1)
    return torch.where(inside, (alphas + after - total.unsqueeze(-1)).exp(), 0)


def _sums_from_start(scores: Tensor, chain: ChainScores) -> Tensor:
    """Log of the sums over paths to each tag, before its own score, (T, B, K)."""
    sums = TransitionSums(chain.transitions)
    before = torch.empty_like(scores)
    before[0] = chain.start
    for t in range(1, len(scores)):
        before[t] = sums.step(before[t - 1] + scores[t - 1])
    return before


def _sums_to_end(scores: Tensor, chain: ChainScores, lengths: Tensor) -> Tensor:
    """Log of the sums over paths from each tag to the end, after its own score, (T, B, K)."""
    sums, steps = TransitionSums(chain.transitions).reversed, len(scores)
    is_last = (lengths - 1 == torch.arange(steps, device=lengths.device).unsqueeze(-1)).unsqueeze(
        -1
    )
    after = torch.empty_like(scores)
    after[-1] = torch.where(is_last[-1], chain.end, 0)
    for t in reversed(range(steps - 1)):
        onward = sums.step(scores[t + 1] + after[t + 1])
        torch.where(is_last[t], chain.end, onward, out=after[t])
    return after


def _pair_weights(alphas: Tensor, before: Tensor, weights: Tensor, transitions: Tensor) -> Tensor:
    """The weight of each transition (K, K), its sum over steps and sequences.

    alphas are of the tags before (T - 1, B, K); sums `before` and `weights` of those after. Of the
    weight of a tag each tag before has the share exp(alpha_i + A_ij - before_j).
    """
    sums = TransitionSums(transitions)
    highest = alphas.amax(-1, keepdim=True)
    log_sums = before - highest - sums.shift
    is_small = log_sums < math.log(_LEAST)
    relative = torch.where(is_small, 0, weights * (-log_sums).clamp(max=-math.log(_LEAST)).exp())
    shares = (alphas - highest).exp()
    pairs = sums.shares * (shares.flatten(0, 1).T @ relative.flatten(0, 1))
    at = (is_small & (weights != 0)).nonzero()
    if len(at):
        t, b, j = at.unbind(-1)
        own = (alphas[t, b] + transitions.T[j] - before[t, b, j].unsqueeze(-1)).exp()
        pairs.T.index_add_(0, j, own * weights[t, b, j].unsqueeze(-1))
    return pairs
