"""Lengths and resets as a batch of segments, for operations that know packed sequences alone.

A segment lies between two resets. Each is a sequence of its own, longest first, so that all of them
run in one call: layers and directions are cut at the same places. Forwards its first step, and
backwards its last, starts from zeros or from the state of its sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.engines.base import Sequences, States

__all__ = ["Segments"]


@dataclass(frozen=True)
class Segments:
    """S segments of B sequences, with N steps in all; everything lies on the CPU.

    Args:
        sizes: segments that have each step, a packed sequence's `batch_sizes`.
        index: (N,) where each packed step lies among those given, None where they are the same.
        rows: (S,) the sequence of each segment.
        fresh: (2, S) bool, forwards and backwards: segments that start from zeros.
        ends: (2, B) forwards and backwards: the segment that a sequence's last state comes from.
        is_empty: (B,) bool, sequences without a step.
        reverse: whether the first direction is the one that goes backwards.
    """

    sizes: Tensor
    index: Tensor | None
    rows: Tensor
    fresh: Tensor
    ends: Tensor
    is_empty: Tensor
    reverse: bool

    @classmethod
    def of(cls, s: Sequences, batch: int) -> Segments:
        """The segments of a run; those of a reversed one are read from their ends."""
        lengths = torch.full((batch,), s.steps) if s.lengths is None else s.lengths.cpu()
        resets = None if s.resets is None else s.resets.cpu()
        row, begin, end = _cut(s.steps, lengths, resets)
        fresh = begin > 0 if resets is None else (begin > 0) | resets[0, row]
        active = end - begin > torch.arange(s.steps).unsqueeze(1)
        sizes = active.sum(1)
        is_same = s.is_packed and resets is None and not s.reverse
        return cls(
            sizes[sizes > 0],
            None if is_same else _index(s, lengths, active, row, begin, end),
            row,
            torch.stack([fresh, end < lengths[row]]),
            torch.stack([_segments_with(row, end == lengths[row], batch),
                         _segments_with(row, begin == 0, batch)]),
            lengths == 0,
            s.reverse,
        )  # fmt: skip

    def packed(self, x: Tensor, is_packed: bool) -> Tensor:
        """The steps (N, I) of an input (T, B, I), or one packed by sequences."""
        flat = x if is_packed else x.flatten(0, 1)
        return flat if self.index is None else flat.index_select(0, self.index.to(x.device))

    def unpacked(self, y: Tensor, steps: int, is_packed: bool) -> Tensor:
        """Outputs where the input's steps were, zeros after the ends."""
        if self.index is None:
            return y
        rows = len(y) if is_packed else steps * len(self.is_empty)
        flat = y.new_zeros(rows, y.shape[1]).index_copy(0, self.index.to(y.device), y)
        return flat if is_packed else flat.view(steps, -1, y.shape[1])

    def first_states(self, states: Sequence[Tensor], directions: int) -> States:
        """States (L*D, S, size) of segments, from those (L*D, B, size) of sequences."""
        device = states[0].device
        rows, fresh = self.rows.to(device), self._by_row(self.fresh, states[0], directions)
        return tuple(s.index_select(1, rows).masked_fill(fresh.unsqueeze(-1), 0) for s in states)

    def last_states(
        self, found: Sequence[Tensor], states: Sequence[Tensor], directions: int
    ) -> States:
        """States (L*D, B, size) of sequences, from those of segments; empty ones keep theirs."""
        ends = self._by_row(self.ends, states[0], directions).unsqueeze(-1)
        is_empty = self.is_empty.to(states[0].device).unsqueeze(-1)
        return tuple(
            torch.where(is_empty, s, f.gather(1, ends.expand(-1, -1, f.shape[-1])))
            for f, s in zip(found, states, strict=True)
        )

    def _by_row(self, both: Tensor, state: Tensor, directions: int) -> Tensor:
        """Of values forwards and backwards those of each layer and direction, (L*D, ...)."""
        used = both if directions == 2 else both[1:] if self.reverse else both[:1]
        return used.repeat(state.shape[0] // directions, 1).to(state.device)


def _cut(steps: int, lengths: Tensor, resets: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Of each segment the sequence, the first step and the end; longest first."""
    begins = torch.arange(steps).unsqueeze(1) < lengths
    if resets is None:
        begins[1:] = False
    else:
        begins[1:] &= resets[1:]
    row, begin = begins.t().nonzero(as_tuple=True)
    end = lengths[row]
    if len(row):
        is_followed = row[1:] == row[:-1]
        end[:-1] = torch.where(is_followed, begin[1:], end[:-1])
    order = torch.argsort(end - begin, descending=True, stable=True)
    return row[order], begin[order], end[order]


def _index(
    s: Sequences, lengths: Tensor, active: Tensor, row: Tensor, begin: Tensor, end: Tensor
) -> Tensor:
    """Where each packed step lies among all steps, (T * B) or those of packed sequences."""
    step, segment = active.nonzero(as_tuple=True)
    time = end[segment] - 1 - step if s.reverse else begin[segment] + step
    if not s.is_packed:
        return time * len(lengths) + row[segment]
    counts = (lengths > torch.arange(s.steps).unsqueeze(1)).sum(1)
    return (counts.cumsum(0) - counts)[time] + row[segment]


def _segments_with(row: Tensor, chosen: Tensor, batch: int) -> Tensor:
    """Of each sequence the segment that is chosen; any for those that have none."""
    return torch.zeros(batch, dtype=torch.int64).index_put(
        (row[chosen],), chosen.nonzero().squeeze(1)
    )
