"""The gated recurrent unit, as torch and cuDNN have it."""

from typing import ClassVar

from recurra.cells.cell import Cell, Names
from recurra.cells.functions import sigmoid, tanh
from recurra.cells.symbols import Symbol

__all__ = ["GRU"]


class GRU(Cell):
    """Gated recurrent unit, reset gate after the recurrent product (Cho et al. 2014, v1)."""

    states: ClassVar[Names] = ("h",)
    gates: ClassVar[Names] = ("r", "z", "n")
    candidate = "n"
    forget = "z"
    source = "K. Cho et al., Learning phrase representations, arXiv:1406.1078v1; the form cuDNN has"

    def step(self, x: Symbol, h: Symbol, W: Symbol, U: Symbol, b: Symbol, b_h: Symbol) -> Symbol:
        r = sigmoid(W.r @ x + U.r @ h + b.r)
        z = sigmoid(W.z @ x + U.z @ h + b.z)
        n = tanh(W.n @ x + b.n + r * (U.n @ h + b_h.n))
        return (1 - z) * n + z * h
