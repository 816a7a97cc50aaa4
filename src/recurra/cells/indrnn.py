"""The independently recurrent network."""

from typing import ClassVar

from recurra.cells.cell import Cell, Initial, Names
from recurra.cells.functions import relu
from recurra.cells.symbols import Symbol

__all__ = ["IndRNN"]


class IndRNN(Cell):
    """Independently recurrent network (Li et al. 2018): a unit sees no state but its own.

    With relu. u starts uniformly between 0 and 1; the paper's bound for T steps, 2^(1/T), is a
    little above that.
    """

    states: ClassVar[Names] = ("h",)
    init: ClassVar[Initial] = {"u": (0.0, 1.0)}
    source = (
        "S. Li et al., Independently recurrent neural network (IndRNN): building a longer and "
        "deeper RNN, arXiv:1803.04831"
    )

    def step(self, x: Symbol, h: Symbol, W: Symbol, u: Symbol, b: Symbol) -> Symbol:
        return relu(W @ x + u * h + b)
