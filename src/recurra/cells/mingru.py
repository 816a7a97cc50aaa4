"""The gated recurrent unit that looks at its input alone."""

from typing import ClassVar

from recurra.cells.cell import Cell, Names
from recurra.cells.functions import sigmoid
from recurra.cells.symbols import Symbol

__all__ = ["MinGRU"]


class MinGRU(Cell):
    """minGRU (Feng et al. 2024): gate and candidate depend on the input alone.

    The plain form, with a linear candidate; the paper's log-space form makes it positive first.
    z = 1 takes the candidate.
    """

    states: ClassVar[Names] = ("h",)
    gates: ClassVar[Names] = ("z", "n")
    candidate = "n"
    forget = "1 - z"
    source = "L. Feng et al., Were RNNs all we needed?, arXiv:2410.01201"

    def step(self, x: Symbol, h: Symbol, W: Symbol, b: Symbol) -> Symbol:
        z = sigmoid(W.z @ x + b.z)
        n = W.n @ x + b.n
        return (1 - z) * h + z * n
