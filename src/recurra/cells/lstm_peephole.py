"""Long short-term memory whose gates see the cell."""

from typing import ClassVar

from recurra.cells.cell import Cell, Names
from recurra.cells.functions import sigmoid, tanh
from recurra.cells.symbols import Symbol

__all__ = ["PeepholeLSTM"]


class PeepholeLSTM(Cell):
    """LSTM with peephole connections (Gers, Schraudolph & Schmidhuber 2002).

    Each unit's gates see its own cell alone (p is a vector): the input and forget gates the old c,
    the output gate the new one. The output passes a tanh, as in Graves 2013; in the paper it is
    the bare cell.
    """

    states: ClassVar[Names] = ("h", "c")
    gates: ClassVar[Names] = ("i", "f", "g", "o")
    candidate = "g"
    forget = "f"
    source = (
        "F. Gers, N. Schraudolph, J. Schmidhuber, Learning precise timing with LSTM recurrent "
        "networks, JMLR 3, 2002"
    )

    def step(
        self, x: Symbol, h: Symbol, c: Symbol, W: Symbol, U: Symbol, p: Symbol, b: Symbol
    ) -> tuple[Symbol, Symbol]:
        i = sigmoid(W.i @ x + U.i @ h + p.i * c + b.i)
        f = sigmoid(W.f @ x + U.f @ h + p.f * c + b.f)
        g = tanh(W.g @ x + U.g @ h + b.g)
        c = f * c + i * g
        o = sigmoid(W.o @ x + U.o @ h + p.o * c + b.o)
        h = o * tanh(c)
        return h, c
