"""Long short-term memory."""

from typing import ClassVar

from recurra.cells.cell import Cell, Names
from recurra.cells.functions import sigmoid, tanh
from recurra.cells.symbols import Symbol

__all__ = ["LSTM"]


class LSTM(Cell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997), forget gate of Gers et al. 2000."""

    states: ClassVar[Names] = ("h", "c")
    gates: ClassVar[Names] = ("i", "f", "g", "o")
    candidate = "g"
    forget = "f"
    source = (
        "F. Gers, J. Schmidhuber, F. Cummins, Learning to forget, Neural Computation 12(10), 2000"
    )

    def step(
        self, x: Symbol, h: Symbol, c: Symbol, W: Symbol, U: Symbol, b: Symbol
    ) -> tuple[Symbol, Symbol]:
        i = sigmoid(W.i @ x + U.i @ h + b.i)
        f = sigmoid(W.f @ x + U.f @ h + b.f)
        g = tanh(W.g @ x + U.g @ h + b.g)
        o = sigmoid(W.o @ x + U.o @ h + b.o)
        c = f * c + i * g
        h = o * tanh(c)
        return h, c
