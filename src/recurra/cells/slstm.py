"""Long short-term memory with exponential gates."""

from typing import ClassVar

from recurra.cells.cell import Cell, Initial, Names, Sizes
from recurra.cells.functions import exp, log_sigmoid, maximum, sigmoid, tanh, where_positive
from recurra.cells.symbols import Symbol

__all__ = ["sLSTM"]


class sLSTM(Cell):
    """sLSTM of the xLSTM (Beck et al. 2024): exponential input gate, normaliser n, stabiliser m.

    The form with a sigmoid forget gate. U is block-diagonal, a block for each of the `heads`. The
    states start from zeros; where n is 0 there is nothing to keep, and m starts as i, as in the
    authors' code (NX-AI/xlstm), so that n is at least 1 from the first step on. The other parts of
    the paper's block (convolution, group norm, up-projection) are layers around the cell.

    U and the biases start from zeros, as in that code, and the forget gate's bias between 3 and 6,
    its "small_init": its default depends on the place of a layer in a stack, which a cell doesn't
    know. W starts as in the other cells here, nearly as wide as the code's normal numbers of
    variance 2 / (5 input_size), and dense: it draws a block for each head.
    """

    states: ClassVar[Names] = ("h", "c", "n", "m")
    gates: ClassVar[Names] = ("i", "f", "z", "o")
    blocks: ClassVar[Sizes] = {"U": "heads"}
    candidate = "z"
    forget = "f"
    init: ClassVar[Initial] = {"U": "zeros", "b": "zeros", "b.f": (3.0, 6.0)}
    source = "M. Beck et al., xLSTM: extended long short-term memory, arXiv:2405.04517"

    heads: int = 1

    def step(
        self,
        x: Symbol,
        h: Symbol,
        c: Symbol,
        n: Symbol,
        m: Symbol,
        W: Symbol,
        U: Symbol,
        b: Symbol,
    ) -> tuple[Symbol, Symbol, Symbol, Symbol]:
        i = W.i @ x + U.i @ h + b.i
        f = W.f @ x + U.f @ h + b.f
        z = tanh(W.z @ x + U.z @ h + b.z)
        o = sigmoid(W.o @ x + U.o @ h + b.o)
        old = where_positive(n, m + log_sigmoid(f), i)
        m = maximum(old, i)
        keep = exp(old - m)
        add = exp(i - m)
        c = keep * c + add * z
        n = keep * n + add
        h = o * (c / n)
        return h, c, n, m
