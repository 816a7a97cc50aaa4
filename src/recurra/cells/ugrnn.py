"""The update gate recurrent network."""

from typing import ClassVar

from recurra.cells.cell import Cell, Initial, Names
from recurra.cells.functions import sigmoid, tanh
from recurra.cells.symbols import Symbol

__all__ = ["UGRNN"]


class UGRNN(Cell):
    """Update gate RNN (Collins et al. 2017): one gate between the state and a candidate.

    g = 1 keeps the state, and its bias starts from 1, as in TensorFlow's cell.
    """

    states: ClassVar[Names] = ("h",)
    gates: ClassVar[Names] = ("g", "n")
    candidate = "n"
    forget = "g"
    init: ClassVar[Initial] = {"b.g": 1.0}
    source = (
        "J. Collins, J. Sohl-Dickstein, D. Sussillo, Capacity and trainability in recurrent "
        "neural networks, arXiv:1611.09913"
    )

    def step(self, x: Symbol, h: Symbol, W: Symbol, U: Symbol, b: Symbol) -> Symbol:
        g = sigmoid(W.g @ x + U.g @ h + b.g)
        n = tanh(W.n @ x + U.n @ h + b.n)
        return g * h + (1 - g) * n
