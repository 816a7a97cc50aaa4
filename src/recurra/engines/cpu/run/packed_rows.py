"""Sequences of different lengths: sorted by length, their steps packed, as torch packs them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.engines.cpu.run.bound_call import RaggedSteps

__all__ = ["PackedRows", "find_rows"]


@dataclass(frozen=True)
class PackedRows:
    """The order of packed rows: B sequences, N rows in all.

    `index` (N,) tells where each row's step is in what is given, None where that is packed the same
    way; `padded` (N,) the same for a padded (T, B). `order` (B,) sorts the sequences, None where
    they are, and `back` puts them where they were. `last` (B,) and `before` (N,) are rows of the
    kept states (B first ones, then one a row): a sequence's last, and that before each row.
    """

    ragged: RaggedSteps
    count: int
    index: Tensor | None
    padded: Tensor
    order: Tensor | None
    back: Tensor | None
    last: Tensor
    before: Tensor

    def __len__(self) -> int:
        return len(self.padded)


def find_rows(lengths: Tensor, *, reverse: bool, is_packed: bool) -> PackedRows:
    """The rows of sequences of these lengths; packed ones are sorted already.

    In `reverse` each sequence is read from its own end, and runs forward from there.
    """
    batch = len(lengths)
    order = back = None
    if not is_packed:
        order = torch.argsort(lengths, descending=True, stable=True)
        back = torch.empty_like(order)
        back[order] = torch.arange(batch)
        lengths = lengths[order]
    most = int(lengths[0]) if batch else 0
    active = lengths > torch.arange(most).unsqueeze(1)
    counts = active.sum(1)
    offsets = counts.cumsum(0) - counts
    time, place = active.nonzero(as_tuple=True)
    previous_offsets = torch.cat([offsets.new_zeros(min(1, most)), batch + offsets[:-1]])
    read = lengths[place] - 1 - time if reverse else time
    padded = read * batch + (place if order is None else order[place])
    index: Tensor | None = padded
    if is_packed:
        index = offsets[read] + place if reverse else None
    ends = torch.arange(batch)
    if most:
        ends = torch.where(lengths > 0, batch + offsets[(lengths - 1).clamp(min=0)] + ends, ends)
    return PackedRows(
        RaggedSteps(offsets, previous_offsets, counts), most, index, padded, order, back, ends,
        previous_offsets[time] + place,
    )  # fmt: skip
