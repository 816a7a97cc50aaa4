"""The light gated recurrent unit."""

from typing import ClassVar

from recurra.cells.cell import Cell, Initial, Names
from recurra.cells.functions import norm, relu, sigmoid
from recurra.cells.symbols import Symbol

__all__ = ["LiGRU"]


class LiGRU(Cell):
    """Light GRU (Ravanelli et al. 2018): no reset gate, a relu candidate, input products normed.

    The paper normalises over batches; here it is layer normalisation over both input products at
    once, as SpeechBrain offers it, so that a step needs no other sequence. Its bias is the norm's.
    U starts orthogonal, as in the paper.
    """

    states: ClassVar[Names] = ("h",)
    gates: ClassVar[Names] = ("z", "n")
    candidate = "n"
    forget = "z"
    init: ClassVar[Initial] = {"U": "orthogonal"}
    source = (
        "M. Ravanelli et al., Light gated recurrent units for speech recognition, arXiv:1803.10225"
    )

    def step(self, x: Symbol, h: Symbol, W: Symbol, U: Symbol) -> Symbol:
        a = norm(W @ x)
        z = sigmoid(a.z + U.z @ h)
        n = relu(a.n + U.n @ h)
        return z * h + (1 - z) * n
