"""Long short-term memory with a forget gate alone."""

from typing import ClassVar

from recurra.cells.cell import Cell, Names
from recurra.cells.functions import sigmoid, tanh
from recurra.cells.symbols import Symbol

__all__ = ["JANET"]


class JANET(Cell):
    """Just another network: an LSTM's forget gate alone (van der Westhuizen & Lasenby 2018).

    The form with beta: what comes in is shifted, 1 - sigmoid(s - beta), so that somewhat more is
    taken in than is forgotten; the paper sets beta to 1. It is written sigmoid(beta - s), which
    keeps its digits where s is large. The paper starts its biases by chrono initialisation, which
    needs the length of the sequences: `recurra.nn.init.chrono_`.
    """

    states: ClassVar[Names] = ("h",)
    gates: ClassVar[Names] = ("s", "g")
    candidate = "g"
    forget = "s"
    source = (
        "J. van der Westhuizen, J. Lasenby, The unreasonable effectiveness of the forget gate, "
        "arXiv:1804.04849"
    )

    beta: float = 1.0

    def step(self, x: Symbol, h: Symbol, W: Symbol, U: Symbol, b: Symbol) -> Symbol:
        s = W.s @ x + U.s @ h + b.s
        g = tanh(W.g @ x + U.g @ h + b.g)
        return sigmoid(s) * h + sigmoid(self.beta - s) * g
