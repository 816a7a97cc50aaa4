"""One layer of a stack: what it is said to be, and the module made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from recurra.cells import Cell
from recurra.nn.layers.arguments import check_flags
from recurra.nn.layers.recurrent import Recurrent
from recurra.nn.stack.bidirectional import BothWays
from recurra.nn.stack.dilation import Dilated
from recurra.nn.stack.time_skip import TimeSkip

__all__ = ["InStack", "Layer"]

# One draw or start for all steps of a run, and a time skip makes many runs of a sequence.
_OF_WHOLE_RUNS = (
    "learn_initial_state",
    "input_dropout",
    "state_dropout",
    "output_dropout",
    "weight_drop",
)

InStack = Recurrent | Dilated | TimeSkip | BothWays


@dataclass(frozen=True)
class Layer:
    """One layer of a `Stack`.

    Args:
        cell: a `recurra.cells.Cell`, its class or its name.
        hidden_size: size H that the cell's equations call hidden_size.
        bidirectional: a second direction reads each sequence from its end.
        dilation: d: step t goes on from the states of step t-d.
        time_skip: s: step t also reads its own output of step t-s, zeros before the start; 0: none.
        options: further arguments of `recurra.nn.Recurrent`: {"bias": False}, say.

    A learnt initial state goes with neither dilation nor time_skip, and no mask that serves all
    steps of a sequence with time_skip.

    Raises ValueError for what can't be had together, for a dilation below 1 or a time_skip below 0,
    and TypeError for one that is no whole number.
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
        self._refuse_options("dilation", self.dilation > 1, ("learn_initial_state",))
        self._refuse_options("time_skip", self.time_skip > 0, _OF_WHOLE_RUNS)

    def _refuse_options(self, name: str, is_on: bool, options: tuple[str, ...]) -> None:
        found = [option for option in options if is_on and self.options.get(option)]
        if found:
            raise ValueError(
                f"A Layer with {name} can't have {', '.join(found)}, which belongs to a whole "
                f"sequence's start or run; leave one of them out"
            )

    def build(self, input_size: int, **common: Any) -> InStack:
        """The module of this layer, for inputs of that size."""
        options = {**common, **self.options}
        if self.dilation == 1 and self.time_skip == 0:
            return Recurrent(
                self.cell, input_size, self.hidden_size, bidirectional=self.bidirectional, **options
            )
        if self.bidirectional:
            return BothWays(self._jumping(input_size, options), self._jumping(input_size, options))
        return self._jumping(input_size, options)

    def _jumping(self, input_size: int, options: Mapping[str, Any]) -> Dilated | TimeSkip:
        """One direction that looks several steps back."""
        if not self.time_skip:
            layer = Recurrent(self.cell, input_size, self.hidden_size, **options)
            return Dilated(layer, self.dilation)
        sizing = {**options, "device": "meta"}
        own = Recurrent(self.cell, input_size, self.hidden_size, **sizing).output_size
        layer = Recurrent(self.cell, input_size + own, self.hidden_size, **options)
        inner = Dilated(layer, self.dilation) if self.dilation > 1 else layer
        return TimeSkip(inner, self.time_skip)
