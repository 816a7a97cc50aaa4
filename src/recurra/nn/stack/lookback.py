"""What a layer that looks several steps back carries from one piece of a sequence to the next.

It has one row for each step that it looks back, the oldest first: row k is read by the k-th step to
come. So a sequence may be cut anywhere. A row is zero where a new segment began since its step.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from recurra.ragged import within

__all__ = ["crossings", "rows_to_come", "take", "turn"]


def crossings(resets: Tensor | None, lengths: Tensor | None, reach: int) -> Tensor | None:
    """Whether a segment begins between a step, or at it, and the one read, `reach` before.

    (T + reach, B): also of the steps to come, as far as they read steps of this piece.
    """
    if resets is None:
        return None
    steps = resets.shape[0]
    if lengths is not None:
        resets = resets & within(lengths, steps, resets.device)
    padded = F.pad(resets, (0, 0, reach - 1, reach))
    return padded.unfold(0, reach, 1).any(-1)


def rows_to_come(history: Tensor, ends: Tensor | int, reach: int, crossed: Tensor | None) -> Tensor:
    """Of a history (reach + T, B, size), which starts `reach` steps early, what comes to be read.

    (reach, B, size), for the steps after `ends`, steps of each sequence.
    """
    return _cut(take(history, ends, reach), ends, crossed)


def turn(chains: Tensor, ends: Tensor | int, crossed: Tensor | None) -> Tensor:
    """Last states (reach, B, size) of chains, chain j holding steps j, j + reach, ..., as rows."""
    reach = chains.shape[0]
    return _cut(take(chains.repeat(2, 1, 1), ends % reach, reach), ends, crossed)


def take(values: Tensor, starts: Tensor | int, count: int) -> Tensor:
    """`count` steps of values (N, B, ...) from each sequence's start on."""
    if isinstance(starts, int):
        return values[starts : starts + count]
    places = starts.to(values.device) + torch.arange(count, device=values.device).unsqueeze(1)
    shape = (*places.shape, *[1] * (values.dim() - 2))
    return values.gather(0, places.view(shape).expand(-1, -1, *values.shape[2:]))


def _cut(rows: Tensor, ends: Tensor | int, crossed: Tensor | None) -> Tensor:
    if crossed is None:
        return rows
    return rows.masked_fill(take(crossed, ends, rows.shape[0]).unsqueeze(-1), 0)
