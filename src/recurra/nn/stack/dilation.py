"""Layers whose recurrence jumps over steps."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from recurra.nn.layers.recurrent import Recurrent
from recurra.nn.observe.recording import LayerRun
from recurra.nn.observe.trace import Values, traced
from recurra.nn.stack.lookback import crossings, turn

__all__ = ["Dilated"]

States = tuple[Tensor, ...]


class Dilated(nn.Module):
    """A layer whose step t reads the states of step t-d (dilation d; Chang et al. 2017).

    Steps that never meet form d chains, which run side by side as d times as many sequences. Each
    state has d rows for each sequence, (d, B, size), row k for the k-th step to come.
    """

    def __init__(self, layer: Recurrent, dilation: int) -> None:
        super().__init__()
        self.layer = layer
        self.dilation = dilation
        self.output_size = layer.output_size
        names = zip(layer.cell.states, layer.state_sizes, strict=True)
        self.state_rows = tuple((name, dilation, size) for name, size in names)

    def forward(
        self,
        x: Tensor,
        states: States | None = None,
        *,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
        return_states: str = "last",
    ) -> tuple[Tensor, States]:
        """Run x (T, B, I) from states (d, B, size): outputs (T, B, output_size), states."""
        steps, batch, count = x.shape[0], x.shape[1], self.dilation
        crossed = crossings(resets, lengths, count)
        firsts = None if states is None else tuple(s.flatten(0, 1).unsqueeze(0) for s in states)
        y, found = self.layer(
            _fold(x, count),
            firsts,
            lengths=_chain_lengths(lengths, steps, batch, count),
            resets=None if crossed is None else _fold(crossed[:steps], count),
            return_states=return_states,
        )
        y = _unfold(y, steps, count)
        if return_states == "all":
            return y, tuple(_unfold(s[0], steps, count).unsqueeze(0) for s in found)
        ends = steps if lengths is None else lengths
        return y, tuple(turn(s.view(count, batch, -1), ends, crossed) for s in found)

    def traced(self, runs: Iterator[LayerRun], steps: int, lengths: Tensor | None) -> list[Values]:
        """Of recorded runs the values (T, B, size) of each direction, which is one."""
        ((values,),) = traced(self.layer, runs, steps, None)
        return [{name: _unfold(v, steps, self.dilation) for name, v in values.items()}]

    def extra_repr(self) -> str:
        """The dilation."""
        return f"dilation={self.dilation}"


def _fold(x: Tensor, count: int) -> Tensor:
    """Steps (T, B, ...) as (T/d, d*B, ...): each chain of every d-th step a sequence of its own."""
    short = -x.shape[0] % count
    if short:
        x = torch.cat([x, x.new_zeros(short, *x.shape[1:])])
    return torch.unflatten(x, 0, (-1, count)).flatten(1, 2)


def _unfold(y: Tensor, steps: int, count: int) -> Tensor:
    return torch.unflatten(y, 1, (count, -1)).flatten(0, 1)[:steps]


def _chain_lengths(lengths: Tensor | None, steps: int, batch: int, count: int) -> Tensor | None:
    """Steps of each chain of each sequence, (d*B,)."""
    if lengths is None:
        if steps % count == 0:
            return None
        lengths = torch.full((batch,), steps)
    before = torch.arange(count, device=lengths.device).unsqueeze(1)
    return ((lengths - before + count - 1) // count).flatten()
