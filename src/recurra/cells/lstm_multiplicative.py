"""Long short-term memory whose transition depends on the input."""

from typing import ClassVar

from recurra.cells.cell import Cell, Names, Sizes
from recurra.cells.functions import sigmoid, tanh
from recurra.cells.symbols import Symbol

__all__ = ["MultiplicativeLSTM"]


class MultiplicativeLSTM(Cell):
    """Multiplicative LSTM, mLSTM (Krause et al. 2016): the gates see m, made of input and state.

    Not the matrix memory that Beck et al. 2024 call mLSTM. As in the paper the candidate g is
    linear, and the output gate stands inside the tanh; others (Radford et al. 2017) have tanh(g)
    and o * tanh(c). m has `hidden_size` values.
    """

    states: ClassVar[Names] = ("h", "c")
    gates: ClassVar[Names] = ("i", "f", "g", "o")
    sizes: ClassVar[Sizes] = {"V": "hidden_size"}
    candidate = "g"
    forget = "f"
    source = "B. Krause et al., Multiplicative LSTM for sequence modelling, arXiv:1609.07959"

    def step(
        self,
        x: Symbol,
        h: Symbol,
        c: Symbol,
        W: Symbol,
        U: Symbol,
        V: Symbol,
        R: Symbol,
        b: Symbol,
    ) -> tuple[Symbol, Symbol]:
        m = (V @ x) * (R @ h)
        i = sigmoid(W.i @ x + U.i @ m + b.i)
        f = sigmoid(W.f @ x + U.f @ m + b.f)
        g = W.g @ x + U.g @ m + b.g
        o = sigmoid(W.o @ x + U.o @ m + b.o)
        c = f * c + i * g
        h = tanh(c * o)
        return h, c
