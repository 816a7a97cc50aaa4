"""Distributed data parallel: several processes, each with its rows of every batch.

Each rank carries the state of its own rows and draws its own dropout. Gradients are averaged over
all ranks, weighted by their tokens, so that every rank takes the same step.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recurra.errors import ConfigError
from recurra.runs import ranks
from recurra.training.protocols import Windows

__all__ = ["Averaged", "average", "seed_of_rank", "sharded", "synchronise"]


@dataclass(frozen=True)
class Averaged:
    """A step's mean loss over all tokens, and how many tokens there are."""

    loss: Tensor
    tokens: int


def sharded(windows: Windows) -> Windows:
    """The part of this rank. Raises `ConfigError` where the windows can't be divided."""
    if ranks.world_size() == 1:
        return windows
    shard = getattr(windows, "shard", None)
    if shard is None:
        raise ConfigError(
            f"{type(windows).__name__} has no shard(rank, world), so this training can't be "
            "divided between processes; start it without torchrun."
        )
    part: Windows = shard(ranks.rank(), ranks.world_size())
    return part


def seed_of_rank(seed: int) -> int:
    """The seed itself for rank 0; for others one that follows from it and the rank."""
    if ranks.rank() == 0:
        return seed
    key = f"{seed} {ranks.rank()}".encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest()) >> 1


def synchronise(model: nn.Module, *, buffers_alone: bool) -> None:
    """Give every rank the buffers of rank 0, and its parameters unless `buffers_alone`."""
    if ranks.world_size() > 1:
        weights = [] if buffers_alone else list(model.parameters())
        ranks.copy_from_first_([*weights, *model.buffers()])


def average(loss: Tensor, tokens: int, weights: Sequence[nn.Parameter]) -> Averaged:
    """Replace this rank's gradients by those of the mean loss over the tokens of all ranks."""
    if ranks.world_size() == 1:
        return Averaged(loss, tokens)
    reached = [float(weight.grad is not None) for weight in weights]
    every = ranks.numbers([float(loss.detach()) * tokens, tokens, *reached])
    loss_sum, total, *reached = (sum(column) for column in zip(*every, strict=True))
    gradients = [_gradient(w) for w, is_reached in zip(weights, reached, strict=True) if is_reached]
    torch._foreach_mul_(gradients, tokens / max(total, 1))
    ranks.add_(gradients)
    return Averaged(loss.new_tensor(loss_sum / max(total, 1)), round(total))


def _gradient(weight: nn.Parameter) -> Tensor:
    """The gradient, zeros where this rank's loss doesn't reach the parameter."""
    if weight.grad is None:
        weight.grad = torch.zeros_like(weight)
    return weight.grad
