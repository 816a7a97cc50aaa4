"""The gated recurrent unit with one gate."""

from typing import ClassVar

from recurra.cells.cell import Cell, Names
from recurra.cells.functions import sigmoid, tanh
from recurra.cells.symbols import Symbol

__all__ = ["MGU"]


class MGU(Cell):
    """Minimal gated unit (Zhou et al. 2016): the forget gate resets and updates.

    f = 1 replaces the state by the candidate, as in the paper, and so it forgets; the gate acts on
    the state before the recurrent product.
    """

    states: ClassVar[Names] = ("h",)
    gates: ClassVar[Names] = ("f", "n")
    candidate = "n"
    forget = "1 - f"
    source = "G.-B. Zhou et al., Minimal gated unit for recurrent neural networks, arXiv:1603.09420"

    def step(self, x: Symbol, h: Symbol, W: Symbol, U: Symbol, b: Symbol) -> Symbol:
        f = sigmoid(W.f @ x + U.f @ h + b.f)
        n = tanh(W.n @ x + U.n @ (f * h) + b.n)
        return (1 - f) * h + f * n
