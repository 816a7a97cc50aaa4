"""Long short-term memory whose hidden state is a projection of its cells."""

from typing import ClassVar

from recurra.cells.cell import Cell, Names, Sizes
from recurra.cells.functions import sigmoid, tanh
from recurra.cells.symbols import Symbol

__all__ = ["ProjectedLSTM"]


class ProjectedLSTM(Cell):
    """LSTM with a recurrent projection layer (Sak et al. 2014): h has size `proj_size`.

    As torch and cuDNN have it: without the peepholes of the paper's gates, and without its second
    projection p, which is output only and isn't fed back.
    """

    states: ClassVar[Names] = ("h", "c")
    gates: ClassVar[Names] = ("i", "f", "g", "o")
    candidate = "g"
    forget = "f"
    sizes: ClassVar[Sizes] = {"h": "proj_size"}
    source = "H. Sak et al., Long short-term memory based architectures, arXiv:1402.1128"

    proj_size: int = 64

    def step(
        self, x: Symbol, h: Symbol, c: Symbol, W: Symbol, U: Symbol, b: Symbol, R: Symbol
    ) -> tuple[Symbol, Symbol]:
        i = sigmoid(W.i @ x + U.i @ h + b.i)
        f = sigmoid(W.f @ x + U.f @ h + b.f)
        g = tanh(W.g @ x + U.g @ h + b.g)
        o = sigmoid(W.o @ x + U.o @ h + b.o)
        c = f * c + i * g
        h = R @ (o * tanh(c))
        return h, c
