"""Two layers over the same sequences, the second from each sequence's end to its start."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from recurra.nn.observe.recording import LayerRun
from recurra.nn.observe.trace import Values
from recurra.nn.stack.dilation import Dilated
from recurra.nn.stack.time_skip import TimeSkip

__all__ = ["BothWays", "turn_marks", "turn_round"]

States = tuple[Tensor, ...]


class BothWays(nn.Module):
    """Two layers, one in each direction; states hold the rows of the first and then the second's.

    The second direction's rows count in its own order: row k is for the k-th step that it would
    read next, before the sequence's start.
    """

    def __init__(self, ahead: Dilated | TimeSkip, back: Dilated | TimeSkip) -> None:
        super().__init__()
        self.ahead = ahead
        self.back = back
        self.output_size = ahead.output_size + back.output_size
        self.state_rows = tuple((name, 2 * rows, size) for name, rows, size in ahead.state_rows)

    def forward(
        self,
        x: Tensor,
        states: States | None = None,
        *,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
        return_states: str = "last",
    ) -> tuple[Tensor, States]:
        """Run x (T, B, I): outputs (T, B, output_size), states."""
        halves = [s.chunk(2) for s in states or ()]
        ahead, back = zip(*halves, strict=True) if halves else (None, None)
        y, found = self.ahead(x, ahead, lengths=lengths, resets=resets, return_states=return_states)
        marks = None if resets is None else turn_marks(resets, lengths)
        z, others = self.back(
            turn_round(x, lengths), back, lengths=lengths, resets=marks,
            return_states=return_states,
        )  # fmt: skip
        if return_states == "all":
            others = tuple(turn_round(s[0], lengths).unsqueeze(0) for s in others)
        joint = torch.cat([y, turn_round(z, lengths)], -1)
        return joint, tuple(torch.cat(pair) for pair in zip(found, others, strict=True))

    def traced(self, runs: Iterator[LayerRun], steps: int, lengths: Tensor | None) -> list[Values]:
        """Of recorded runs the values (T, B, size) of each direction."""
        ahead = self.ahead.traced(runs, steps, lengths)
        back = self.back.traced(runs, steps, lengths)
        turned = [{name: turn_round(v, lengths) for name, v in values.items()} for values in back]
        return ahead + turned


def turn_round(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Steps (T, B, ...) of each sequence from its last to its first; what is after stays there."""
    if lengths is None:
        return x.flip(0)
    steps = torch.arange(x.shape[0], device=x.device).unsqueeze(1)
    ends = lengths.to(x.device)
    places = torch.where(steps < ends, ends - 1 - steps, steps)
    shape = (*places.shape, *[1] * (x.dim() - 2))
    return x.gather(0, places.view(shape).expand_as(x))


def turn_marks(resets: Tensor, lengths: Tensor | None) -> Tensor:
    """Marks (T, B) as they are met going back, where a segment begins a step before the mark."""
    steps = torch.arange(resets.shape[0], device=resets.device).unsqueeze(1)
    inside = resets if lengths is None else resets & (steps < lengths.to(resets.device))
    before = torch.cat([inside[1:], torch.zeros_like(inside[:1])])
    return turn_round(before, lengths)
