"""Layers that also read an output of their own from several steps before."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from recurra.nn.layers.recurrent import Recurrent
from recurra.nn.observe.recording import LayerRun
from recurra.nn.observe.trace import Values, traced
from recurra.nn.stack.dilation import Dilated
from recurra.nn.stack.lookback import crossings, rows_to_come

__all__ = ["TimeSkip", "rows_of"]

States = tuple[Tensor, ...]


def rows_of(layer: nn.Module) -> tuple[tuple[str, int, int], ...]:
    """Of each state that a layer carries: its name, its rows for each sequence, and its size."""
    if isinstance(layer, Recurrent):
        rows = layer.num_layers * (2 if layer.bidirectional else 1)
        names = zip(layer.cell.states, layer.state_sizes, strict=True)
        return tuple((name, rows, size) for name, size in names)
    found: tuple[tuple[str, int, int], ...] = layer.state_rows  # type: ignore[assignment]
    return found


class TimeSkip(nn.Module):
    """A layer whose step t also reads its own output of step t-s (Zhang et al. 2016).

    The layer inside takes inputs of size I + output_size, and runs s steps at a time, so that what
    they read is there. After its states stand the last s outputs, (s, B, output_size), row k for
    the k-th step to come.
    """

    def __init__(self, layer: Recurrent | Dilated, time_skip: int) -> None:
        super().__init__()
        self.layer = layer
        self.time_skip = time_skip
        self.output_size = layer.output_size
        self.state_rows = (*rows_of(layer), ("y", time_skip, layer.output_size))

    def forward(
        self,
        x: Tensor,
        states: States | None = None,
        *,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
        return_states: str = "last",
    ) -> tuple[Tensor, States]:
        """Run x (T, B, I) from states and last outputs: outputs (T, B, output_size), states."""
        reach, steps = self.time_skip, x.shape[0]
        crossed = crossings(resets, lengths, reach)
        past, inner = self._firsts(x, states)
        outputs, every = [past], []
        for start in range(0, steps, reach):
            piece = slice(start, min(start + reach, steps))
            read = outputs[-1][: piece.stop - start]
            if crossed is not None:
                read = read.masked_fill(crossed[piece].unsqueeze(-1), 0)
            y, inner, found = self._piece(
                torch.cat([x[piece], read], -1),
                inner,
                None if lengths is None else (lengths - start).clamp(0, piece.stop - start),
                None if resets is None else resets[piece],
                return_states,
            )
            outputs.append(y)
            every.append(found)
        history = torch.cat(outputs)
        if return_states == "all":
            return history[reach:], tuple(torch.cat(s, 1) for s in zip(*every, strict=True))
        ends = steps if lengths is None else lengths
        return history[reach:], (*inner, rows_to_come(history, ends, reach, crossed))

    def _firsts(self, x: Tensor, states: States | None) -> tuple[Tensor, States]:
        batch = x.shape[1]
        if states is None:
            states = tuple(x.new_zeros(rows, batch, size) for _, rows, size in self.state_rows)
        return states[-1], states[:-1]

    def _piece(
        self,
        x: Tensor,
        firsts: States,
        lengths: Tensor | None,
        resets: Tensor | None,
        return_states: str,
    ) -> tuple[Tensor, States, States]:
        """Outputs, the states to go on from, and those to be returned."""
        y, found = self.layer(
            x, firsts, lengths=lengths, resets=resets, return_states=return_states
        )
        if return_states == "last":
            return y, found, found
        ends = x.shape[0] if lengths is None else lengths
        crossed = crossings(resets, lengths, firsts[0].shape[0])
        pairs = zip(firsts, found, strict=True)
        lasts = [rows_to_come(torch.cat([f, s[0]]), ends, f.shape[0], crossed) for f, s in pairs]
        return y, tuple(lasts), found

    def traced(self, runs: Iterator[LayerRun], steps: int, lengths: Tensor | None) -> list[Values]:
        """Of recorded runs the values (T, B, size) of each direction, which is one."""
        reach, pieces = self.time_skip, []
        for start in range(0, steps, reach):
            ((values,),) = traced(self.layer, runs, min(reach, steps - start), None)
            pieces.append(values)
        return [{name: torch.cat([p[name] for p in pieces]) for name in pieces[0]}]

    def extra_repr(self) -> str:
        """How many steps back the output lies that is read."""
        return f"time_skip={self.time_skip}"
