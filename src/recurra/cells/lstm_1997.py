"""Long short-term memory as first published."""

from typing import ClassVar

from recurra.cells.cell import Cell, Names
from recurra.cells.functions import sigmoid, tanh
from recurra.cells.symbols import Symbol

__all__ = ["LSTM1997"]


class LSTM1997(Cell):
    """Long short-term memory without forget gate (Hochreiter & Schmidhuber 1997).

    One cell a memory block, and tanh for both squashing functions; the paper stretches the
    logistic function to (-2, 2) for the candidate and to (-1, 1) for the output.
    """

    states: ClassVar[Names] = ("h", "c")
    gates: ClassVar[Names] = ("i", "g", "o")
    candidate = "g"
    source = "S. Hochreiter, J. Schmidhuber, Long short-term memory, Neural Computation 9(8), 1997"

    def step(
        self, x: Symbol, h: Symbol, c: Symbol, W: Symbol, U: Symbol, b: Symbol
    ) -> tuple[Symbol, Symbol]:
        i = sigmoid(W.i @ x + U.i @ h + b.i)
        g = tanh(W.g @ x + U.g @ h + b.g)
        o = sigmoid(W.o @ x + U.o @ h + b.o)
        c = c + i * g
        h = o * tanh(c)
        return h, c
