"""Long short-term memory with layer normalisation in each gate."""

from typing import ClassVar

from recurra.cells.cell import Cell, Names
from recurra.cells.functions import norm, sigmoid, tanh
from recurra.cells.symbols import Symbol

__all__ = ["LayerNormLSTM"]


class LayerNormLSTM(Cell):
    """Layer-normalised LSTM (Ba et al. 2016), with a norm for each gate.

    Input and recurrent product of every gate are normalised apart from one another and from the
    other gates, and so is the cell before its tanh. The paper's own form takes mean and variance
    over all gates at once (`lstm_layernorm_joint`); TensorFlow's cell normalises the sum of a
    gate's two products.
    """

    states: ClassVar[Names] = ("h", "c")
    gates: ClassVar[Names] = ("i", "f", "g", "o")
    candidate = "g"
    forget = "f"
    source = "J. L. Ba, J. R. Kiros, G. E. Hinton, Layer normalization, arXiv:1607.06450"

    def step(
        self, x: Symbol, h: Symbol, c: Symbol, W: Symbol, U: Symbol, b: Symbol
    ) -> tuple[Symbol, Symbol]:
        i = sigmoid(norm(W.i @ x) + norm(U.i @ h) + b.i)
        f = sigmoid(norm(W.f @ x) + norm(U.f @ h) + b.f)
        g = tanh(norm(W.g @ x) + norm(U.g @ h) + b.g)
        o = sigmoid(norm(W.o @ x) + norm(U.o @ h) + b.o)
        c = f * c + i * g
        h = o * tanh(norm(c))
        return h, c
