"""Long short-term memory that looks at its input alone."""

from typing import ClassVar

from recurra.cells.cell import Cell, Names
from recurra.cells.functions import log_sigmoid, sigmoid
from recurra.cells.symbols import Symbol

__all__ = ["MinLSTM"]


class MinLSTM(Cell):
    """minLSTM (Feng et al. 2024): gates of the input alone, made to sum to one.

    The plain form, with a linear candidate; the paper's log-space form makes it positive first.
    Its normalised gates f / (f + i) and i / (f + i) of two sigmoids are 0 / 0 where both vanish;
    they are, and are computed as, sigmoid(d) and sigmoid(-d) with d = log f - log i.
    """

    states: ClassVar[Names] = ("h",)
    gates: ClassVar[Names] = ("f", "i", "n")
    candidate = "n"
    forget = "f"
    source = "L. Feng et al., Were RNNs all we needed?, arXiv:2410.01201"

    def step(self, x: Symbol, h: Symbol, W: Symbol, b: Symbol) -> Symbol:
        d = log_sigmoid(W.f @ x + b.f) - log_sigmoid(W.i @ x + b.i)
        f = sigmoid(d)
        i = sigmoid(-d)
        n = W.n @ x + b.n
        return f * h + i * n
