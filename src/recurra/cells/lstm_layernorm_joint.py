"""Long short-term memory with layer normalisation over all gates at once."""

from typing import ClassVar

from recurra.cells.cell import Cell, Names
from recurra.cells.functions import norm, sigmoid, tanh
from recurra.cells.symbols import Symbol

__all__ = ["JointLayerNormLSTM"]


class JointLayerNormLSTM(Cell):
    """Layer-normalised LSTM as published (Ba et al. 2016): one norm over all gates at once.

    Mean and variance of the input product are taken over the gates together, those of the
    recurrent product likewise (equations 20 to 22 of the supplement); the cell is normalised
    before its tanh.
    """

    states: ClassVar[Names] = ("h", "c")
    gates: ClassVar[Names] = ("i", "f", "g", "o")
    candidate = "g"
    forget = "f"
    source = "J. L. Ba, J. R. Kiros, G. E. Hinton, Layer normalization, arXiv:1607.06450"

    def step(
        self, x: Symbol, h: Symbol, c: Symbol, W: Symbol, U: Symbol, b: Symbol
    ) -> tuple[Symbol, Symbol]:
        a = norm(W @ x) + norm(U @ h) + b
        i = sigmoid(a.i)
        f = sigmoid(a.f)
        g = tanh(a.g)
        o = sigmoid(a.o)
        c = f * c + i * g
        h = o * tanh(norm(c))
        return h, c
