"""The best path through a chain of tags, by Viterbi's algorithm."""

import torch
from torch import Tensor

from recurra.nn.crf.chain_sums import ChainScores
from recurra.ragged import within

__all__ = ["best_paths", "best_step", "follow_back"]


def best_paths(scores: Tensor, chain: ChainScores, lengths: Tensor) -> Tensor:
    """The tags (T, B) of the best path of each sequence, of float64 scores (T, B, K).

    lengths (B,) are at least 1; beyond them the tags are 0. A. Viterbi, "Error bounds for
    convolutional codes and an asymptotically optimum decoding algorithm", 1967.
    """
    steps, rows = len(scores), torch.arange(len(lengths), device=scores.device)
    best = torch.empty_like(scores)
    best[0] = chain.start + scores[0]
    pointers = torch.empty(scores.shape, dtype=torch.int64, device=scores.device)
    for t in range(1, steps):
        best[t], pointers[t] = best_step(best[t - 1], chain.transitions, scores[t])
    last = (best[lengths - 1, rows] + chain.end).argmax(-1)
    tags = torch.zeros(scores.shape[:2], dtype=torch.int64, device=scores.device)
    tags[lengths - 1, rows] = last
    inside = within(lengths, steps)
    for t in reversed(range(1, steps)):
        before = follow_back(pointers[t], tags[t])
        tags[t - 1] = torch.where(inside[t], before, tags[t - 1])
    return tags


def best_step(best: Tensor, transitions: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """The best score of a path to each tag (B, K), and the tag before it there.

    best (B, K) are those of the step before, scores (B, K) this step's own.
    """
    highest, pointers = (best.unsqueeze(-1) + transitions).max(1)
    return highest + scores, pointers


def follow_back(pointers: Tensor, tags: Tensor) -> Tensor:
    """The tag before each sequence's tag (B,)."""
    return pointers.gather(-1, tags.unsqueeze(-1)).squeeze(-1)
