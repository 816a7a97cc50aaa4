"""Layers that look several steps back: dilation and time skip.

Such a layer carries one row for each step that it looks back, the oldest first: row k is read by
the k-th step to come. So a sequence may be cut into pieces at any step. A row holds the start of a
segment, zeros or the learnt state, if a new segment began since its step.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.nn.layers.recurrent import Recurrent
from recurra.nn.observe.recording import LayerRun
from recurra.nn.observe.trace import Values, traced
from recurra.nn.states import States
from recurra.ragged import within

__all__ = ["Dilated", "TimeSkip", "state_rows_of"]


class Dilated(nn.Module):
    """A layer whose step t reads the states of step t-d (dilation d; Chang et al. 2017).

    Steps that never meet form d chains, which run side by side as d times as many sequences. Each
    state has d rows for each sequence, (d, B, size), row k for the k-th step to come.
    """

    def __init__(self, layer: Recurrent, dilation: int) -> None:
        super().__init__()
        self.layer = layer
        self.dilation = dilation
        self.output_size: int = layer.output_size
        names = zip(layer.cell.states, layer.state_sizes, strict=True)
        self.state_rows: tuple[tuple[str, int, int], ...] = tuple(
            (name, dilation, size) for name, size in names
        )

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
        crossed = _crossings(resets, lengths, count)
        firsts = None if states is None else tuple(s.flatten(0, 1).unsqueeze(0) for s in states)
        y, after = self.layer(
            _fold(x, count),
            firsts,
            lengths=_chain_lengths(lengths, steps, batch, count),
            resets=None if crossed is None else _fold(crossed[:steps], count),
            return_states=return_states,
        )
        y = _unfold(y, steps, count)
        if return_states == "all":
            return y, tuple(_unfold(s[0], steps, count).unsqueeze(0) for s in after)
        ends = steps if lengths is None else lengths
        pairs = zip(after, _starts_of(self), strict=True)
        return y, tuple(
            _rows_of_chains(s.view(count, batch, -1), ends, crossed, start) for s, start in pairs
        )

    def traced(self, runs: Iterator[LayerRun], steps: int, lengths: Tensor | None) -> list[Values]:
        """Values (T, B, size) of its one direction, from recorded runs."""
        ((values,),) = traced(self.layer, runs, steps, None)
        return [{name: _unfold(v, steps, self.dilation) for name, v in values.items()}]

    def extra_repr(self) -> str:
        """The dilation."""
        return f"dilation={self.dilation}"


class TimeSkip(nn.Module):
    """A layer whose step t also reads its own output of step t-s (Zhang et al. 2016).

    The layer inside takes inputs of size I + output_size, and runs s steps at a time, so that the
    outputs they read exist. After its states come the last s outputs, (s, B, output_size), row k
    for the k-th step to come.
    """

    def __init__(self, layer: Recurrent | Dilated, time_skip: int) -> None:
        super().__init__()
        self.layer = layer
        self.time_skip = time_skip
        self.output_size: int = layer.output_size
        self.state_rows: tuple[tuple[str, int, int], ...] = (
            *state_rows_of(layer),
            ("y", time_skip, layer.output_size),
        )

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
        crossed = _crossings(resets, lengths, reach)
        past, inner = self._firsts(x, states)
        outputs, every = [past], []
        for start in range(0, steps, reach):
            piece = slice(start, min(start + reach, steps))
            read = outputs[-1][: piece.stop - start]
            if crossed is not None:
                read = read.masked_fill(crossed[piece].unsqueeze(-1), 0)
            y, inner, returned = self._piece(
                torch.cat([x[piece], read], -1),
                inner,
                None if lengths is None else (lengths - start).clamp(0, piece.stop - start),
                None if resets is None else resets[piece],
                return_states,
            )
            outputs.append(y)
            every.append(returned)
        history = torch.cat(outputs)
        if return_states == "all":
            return history[reach:], tuple(torch.cat(s, 1) for s in zip(*every, strict=True))
        ends = steps if lengths is None else lengths
        return history[reach:], (*inner, _rows_to_come(history, ends, reach, crossed))

    def _firsts(self, x: Tensor, states: States | None) -> tuple[Tensor, States]:
        if states is not None:
            return states[-1], states[:-1]
        batch, (*inner, output) = x.shape[1], self.state_rows
        firsts = tuple(
            x.new_zeros(rows, batch, size) if start is None else start.expand(rows, batch, size)
            for (_, rows, size), start in zip(inner, _starts_of(self.layer), strict=True)
        )
        return x.new_zeros(output[1], batch, output[2]), firsts

    def _piece(
        self,
        x: Tensor,
        firsts: States,
        lengths: Tensor | None,
        resets: Tensor | None,
        return_states: str,
    ) -> tuple[Tensor, States, States]:
        """Outputs, the states that the next piece reads, and those to be returned."""
        y, after = self.layer(
            x, firsts, lengths=lengths, resets=resets, return_states=return_states
        )
        if return_states == "last":
            return y, after, after
        ends = x.shape[0] if lengths is None else lengths
        crossed = _crossings(resets, lengths, firsts[0].shape[0])
        lasts = [
            _rows_to_come(torch.cat([first, s[0]]), ends, first.shape[0], crossed, start)
            for first, s, start in zip(firsts, after, _starts_of(self.layer), strict=True)
        ]
        return y, tuple(lasts), after

    def traced(self, runs: Iterator[LayerRun], steps: int, lengths: Tensor | None) -> list[Values]:
        """Values (T, B, size) of its one direction, from recorded runs."""
        reach, pieces = self.time_skip, []
        for start in range(0, steps, reach):
            ((values,),) = traced(self.layer, runs, min(reach, steps - start), None)
            pieces.append(values)
        return [{name: torch.cat([p[name] for p in pieces]) for name in pieces[0]}]

    def extra_repr(self) -> str:
        """The number of steps back to the output that is read."""
        return f"time_skip={self.time_skip}"


def state_rows_of(layer: nn.Module) -> tuple[tuple[str, int, int], ...]:
    """For each state that a layer carries: its name, its rows for each sequence, and its size."""
    if isinstance(layer, Recurrent):
        rows = layer.num_layers * (2 if layer.bidirectional else 1)
        names = zip(layer.cell.states, layer.state_sizes, strict=True)
        return tuple((name, rows, size) for name, size in names)
    state_rows: tuple[tuple[str, int, int], ...] = layer.state_rows  # type: ignore[assignment]
    return state_rows


def _starts_of(layer: nn.Module) -> tuple[Tensor | None, ...]:
    """For each state of a layer its learnt start, (1, size), or None for zeros."""
    inner = layer.layer if isinstance(layer, Dilated) else layer
    assert isinstance(inner, Recurrent)
    return inner.learnt_states() or tuple(None for _ in inner.cell.states)


def _fold(x: Tensor, count: int) -> Tensor:
    """Steps (T, B, ...) as (T/d, d*B, ...): each chain of every d-th step a sequence of its own."""
    missing = -x.shape[0] % count
    if missing:
        x = torch.cat([x, x.new_zeros(missing, *x.shape[1:])])
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


def _crossings(resets: Tensor | None, lengths: Tensor | None, reach: int) -> Tensor | None:
    """True where a segment begins at a step, or after the step `reach` before, which it reads.

    (T + reach, B): for the steps to come as well, as far as they read steps of this piece.
    """
    if resets is None:
        return None
    steps = resets.shape[0]
    if lengths is not None:
        resets = resets & within(lengths, steps, resets.device)
    padded = F.pad(resets, (0, 0, reach - 1, reach))
    return padded.unfold(0, reach, 1).any(-1)


def _rows_to_come(
    history: Tensor,
    ends: Tensor | int,
    reach: int,
    crossed: Tensor | None,
    start: Tensor | None = None,
) -> Tensor:
    """The rows (reach, B, size) that the steps after `ends` read, `ends` steps of each sequence.

    They are of a history (reach + T, B, size), which begins `reach` steps early.
    """
    return _restarted(_slices(history, ends, reach), ends, crossed, start)


def _rows_of_chains(
    chains: Tensor, ends: Tensor | int, crossed: Tensor | None, start: Tensor | None
) -> Tensor:
    """Last states (reach, B, size) of chains, in the order in which the steps to come read them.

    Chain j holds the steps j, j + reach, ...
    """
    reach = chains.shape[0]
    rows = _slices(chains.repeat(2, 1, 1), ends % reach, reach)
    return _restarted(rows, ends, crossed, start)


def _slices(values: Tensor, starts: Tensor | int, count: int) -> Tensor:
    """`count` steps of values (N, B, ...) from each sequence's start on."""
    if isinstance(starts, int):
        return values[starts : starts + count]
    steps = starts.to(values.device) + torch.arange(count, device=values.device).unsqueeze(1)
    shape = (*steps.shape, *[1] * (values.dim() - 2))
    return values.gather(0, steps.view(shape).expand(-1, -1, *values.shape[2:]))


def _restarted(
    rows: Tensor, ends: Tensor | int, crossed: Tensor | None, start: Tensor | None
) -> Tensor:
    """Rows with the start of a segment in the place of those before it."""
    if crossed is None:
        return rows
    is_before = _slices(crossed, ends, rows.shape[0]).unsqueeze(-1)
    return rows.masked_fill(is_before, 0) if start is None else torch.where(is_before, start, rows)
