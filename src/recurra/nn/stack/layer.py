"""One layer of a stack: its description, and the module made of it in one or both directions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.nn.layers.arguments import check_flags
from recurra.nn.layers.recurrent import Recurrent
from recurra.nn.observe.recording import LayerRun
from recurra.nn.observe.trace import Values
from recurra.nn.stack.lookback import Dilated, TimeSkip
from recurra.nn.states import States

__all__ = ["Bidirectional", "Layer", "StackLayer"]

# Each is drawn once for all steps of a run, and a time skip runs a sequence in many pieces.
_DRAWN_ONCE = (
    "input_dropout",
    "state_dropout",
    "output_dropout",
    "weight_drop",
)


@dataclass(frozen=True)
class Layer:
    """One layer of a `Stack`.

    Args:
        cell: a `recurra.cells.Cell`, its class or its name.
        hidden_size: size H that the cell's equations call hidden_size.
        bidirectional: a second direction reads each sequence from its end.
        dilation: d: step t reads the states of step t-d.
        time_skip: s: step t also reads its own output of step t-s, zeros before the start; 0: none.
        options: further arguments of `recurra.nn.Recurrent`: {"bias": False}, say.

    A layer with time_skip can't have a mask that is the same for all steps of a sequence.

    Raises ValueError for options that exclude one another, for a dilation below 1 or a time_skip
    below 0, and TypeError for one that isn't a whole number.
    """

    cell: Cell | type[Cell] | str
    hidden_size: int
    bidirectional: bool = False
    dilation: int = 1
    time_skip: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_flags(bidirectional=self.bidirectional)
        for name, value, least in (
            ("dilation", self.dilation, 1),
            ("time_skip", self.time_skip, 0),
        ):
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{name} should be of type int, got: {type(value).__name__}")
            if value < least:
                raise ValueError(f"{name} is {value}; it must be {least} or more")
        for name in ("num_layers", "batch_first", "dropout", "bidirectional"):
            if name in self.options:
                raise ValueError(
                    f"Layer options can't hold {name}, which the Stack or the Layer itself takes"
                )
        drawn_once = [name for name in _DRAWN_ONCE if self.time_skip and self.options.get(name)]
        if drawn_once:
            raise ValueError(
                f"A Layer with time_skip can't have {', '.join(drawn_once)}, which is drawn once "
                "for a whole sequence; leave one of them out"
            )

    def build(self, input_size: int, **common: Any) -> StackLayer:
        """The module of this layer, for inputs of that size."""
        options = {**common, **self.options}
        if self.dilation == 1 and self.time_skip == 0:
            return Recurrent(
                self.cell, input_size, self.hidden_size, bidirectional=self.bidirectional, **options
            )
        if self.bidirectional:
            directions = [self._direction(input_size, options) for _ in range(2)]
            return Bidirectional(*directions)
        return self._direction(input_size, options)

    def _direction(self, input_size: int, options: Mapping[str, Any]) -> Dilated | TimeSkip:
        """One direction of a layer that looks several steps back."""
        if not self.time_skip:
            layer = Recurrent(self.cell, input_size, self.hidden_size, **options)
            return Dilated(layer, self.dilation)
        sizing = {**options, "device": "meta"}
        own = Recurrent(self.cell, input_size, self.hidden_size, **sizing).output_size
        layer = Recurrent(self.cell, input_size + own, self.hidden_size, **options)
        inner = Dilated(layer, self.dilation) if self.dilation > 1 else layer
        return TimeSkip(inner, self.time_skip)


class Bidirectional(nn.Module):
    """Two layers over the same sequences, the second from each sequence's end to its start.

    States hold the rows of the first direction and then of the second, which count in its own
    order: row k is for the k-th step that it would read next, before the sequence's start.
    """

    def __init__(self, ahead: Dilated | TimeSkip, back: Dilated | TimeSkip) -> None:
        super().__init__()
        self.ahead = ahead
        self.back = back
        self.output_size: int = ahead.output_size + back.output_size
        self.state_rows: tuple[tuple[str, int, int], ...] = tuple(
            (name, 2 * rows, size) for name, rows, size in ahead.state_rows
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
        """Run x (T, B, I): outputs (T, B, output_size), states."""
        halves = [s.chunk(2) for s in states or ()]
        ahead, back = zip(*halves, strict=True) if halves else (None, None)
        y, after = self.ahead(x, ahead, lengths=lengths, resets=resets, return_states=return_states)
        z, after_back = self.back(
            _reversed_steps(x, lengths),
            back,
            lengths=lengths,
            resets=None if resets is None else _reversed_resets(resets, lengths),
            return_states=return_states,
        )
        if return_states == "all":
            after_back = tuple(_reversed_steps(s[0], lengths).unsqueeze(0) for s in after_back)
        outputs = torch.cat([y, _reversed_steps(z, lengths)], -1)
        return outputs, tuple(torch.cat(pair) for pair in zip(after, after_back, strict=True))

    def traced(self, runs: Iterator[LayerRun], steps: int, lengths: Tensor | None) -> list[Values]:
        """Values (T, B, size) of each direction, from recorded runs."""
        ahead = self.ahead.traced(runs, steps, lengths)
        back = self.back.traced(runs, steps, lengths)
        turned = [{k: _reversed_steps(v, lengths) for k, v in values.items()} for values in back]
        return ahead + turned


def _reversed_steps(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Steps (T, B, ...) of each sequence from its last to its first; padding stays in place."""
    if lengths is None:
        return x.flip(0)
    steps = torch.arange(x.shape[0], device=x.device).unsqueeze(1)
    ends = lengths.to(x.device)
    sources = torch.where(steps < ends, ends - 1 - steps, steps)
    shape = (*sources.shape, *[1] * (x.dim() - 2))
    return x.gather(0, sources.view(shape).expand_as(x))


def _reversed_resets(resets: Tensor, lengths: Tensor | None) -> Tensor:
    """Marks (T, B) for reversed steps, where a segment begins a step before the mark."""
    steps = torch.arange(resets.shape[0], device=resets.device).unsqueeze(1)
    inside = resets if lengths is None else resets & (steps < lengths.to(resets.device))
    before = torch.cat([inside[1:], torch.zeros_like(inside[:1])])
    return _reversed_steps(before, lengths)


StackLayer = Recurrent | Dilated | TimeSkip | Bidirectional
