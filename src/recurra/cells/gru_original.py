"""The gated recurrent unit as it was published."""

from typing import ClassVar

from recurra.cells.cell import Cell, Names
from recurra.cells.functions import sigmoid, tanh
from recurra.cells.symbols import Symbol

__all__ = ["OriginalGRU"]


class OriginalGRU(Cell):
    """Gated recurrent unit (Cho et al. 2014, v3): reset gate before the recurrent product."""

    states: ClassVar[Names] = ("h",)
    gates: ClassVar[Names] = ("r", "z", "n")
    candidate = "n"
    forget = "z"
    source = "K. Cho et al., Learning phrase representations, arXiv:1406.1078v3"

    def step(self, x: Symbol, h: Symbol, W: Symbol, U: Symbol, b: Symbol) -> Symbol:
        r = sigmoid(W.r @ x + U.r @ h + b.r)
        z = sigmoid(W.z @ x + U.z @ h + b.z)
        n = tanh(W.n @ x + U.n @ (r * h) + b.n)
        return (1 - z) * n + z * h
