"""Long short-term memory that takes in what it forgets."""

from typing import ClassVar

from recurra.cells.cell import Cell, Names
from recurra.cells.functions import sigmoid, tanh
from recurra.cells.symbols import Symbol

__all__ = ["CoupledLSTM"]


class CoupledLSTM(Cell):
    """LSTM with coupled input and forget gates (CIFG; Greff et al. 2015): i = 1 - f.

    Without the peepholes that the paper's base line has.
    """

    states: ClassVar[Names] = ("h", "c")
    gates: ClassVar[Names] = ("f", "g", "o")
    candidate = "g"
    forget = "f"
    source = "K. Greff et al., LSTM: a search space odyssey, arXiv:1503.04069"

    def step(
        self, x: Symbol, h: Symbol, c: Symbol, W: Symbol, U: Symbol, b: Symbol
    ) -> tuple[Symbol, Symbol]:
        f = sigmoid(W.f @ x + U.f @ h + b.f)
        g = tanh(W.g @ x + U.g @ h + b.g)
        o = sigmoid(W.o @ x + U.o @ h + b.o)
        c = f * c + (1 - f) * g
        h = o * tanh(c)
        return h, c
