"""FastGRNN with matrices of low rank."""

from typing import ClassVar

from recurra.cells.cell import Cell, Initial, Names, Scalars, Sizes
from recurra.cells.fastrnn import STARTING_MATRIX
from recurra.cells.functions import sigmoid, tanh
from recurra.cells.symbols import Symbol

__all__ = ["LowRankFastGRNN"]


class LowRankFastGRNN(Cell):
    """FastGRNN (Kusupati et al. 2018) with W = W1 W2 and U = U1 U2 of rank `rank`.

    Scalars, matrices and biases start as those of `fastgrnn`, each factor like a whole matrix.
    """

    states: ClassVar[Names] = ("h",)
    gates: ClassVar[Names] = ("z", "n")
    sizes: ClassVar[Sizes] = {"W2": "rank", "U2": "rank"}
    scalars: ClassVar[Scalars] = {"zeta": 1.0, "nu": -4.0}
    candidate = "n"
    init: ClassVar[Initial] = {
        **dict.fromkeys(("W1", "W2", "U1", "U2"), STARTING_MATRIX),
        "b": "ones",
    }
    forget = "z"
    source = (
        "A. Kusupati et al., FastGRNN: a fast, accurate, stable and tiny kilobyte sized gated "
        "recurrent neural network, arXiv:1901.02358"
    )

    rank: int = 16

    def step(
        self,
        x: Symbol,
        h: Symbol,
        W1: Symbol,
        W2: Symbol,
        U1: Symbol,
        U2: Symbol,
        b: Symbol,
        zeta: Symbol,
        nu: Symbol,
    ) -> Symbol:
        a = W1 @ (W2 @ x) + U1 @ (U2 @ h)
        z = sigmoid(a + b.z)
        n = tanh(a + b.n)
        return (sigmoid(zeta) * (1 - z) + sigmoid(nu)) * n + z * h
