"""The gated recurrent network whose gate and candidate share their matrices."""

from typing import ClassVar

from recurra.cells.cell import Cell, Initial, Names, Scalars
from recurra.cells.fastrnn import STARTING_MATRIX
from recurra.cells.functions import sigmoid, tanh
from recurra.cells.symbols import Symbol

__all__ = ["FastGRNN"]


class FastGRNN(Cell):
    """FastGRNN (Kusupati et al. 2018): gate and candidate share W and U, of full rank.

    zeta and nu pass a sigmoid and start from 1 and -4, as in the authors' code; matrices are normal
    with standard deviation 0.1 and biases 1 there, too. The paper's low-rank form is
    `fastgrnn_low_rank`; its sparse and quantised forms have the same equations.
    """

    states: ClassVar[Names] = ("h",)
    gates: ClassVar[Names] = ("z", "n")
    scalars: ClassVar[Scalars] = {"zeta": 1.0, "nu": -4.0}
    candidate = "n"
    init: ClassVar[Initial] = {"W": STARTING_MATRIX, "U": STARTING_MATRIX, "b": "ones"}
    forget = "z"
    source = (
        "A. Kusupati et al., FastGRNN: a fast, accurate, stable and tiny kilobyte sized gated "
        "recurrent neural network, arXiv:1901.02358"
    )

    def step(
        self, x: Symbol, h: Symbol, W: Symbol, U: Symbol, b: Symbol, zeta: Symbol, nu: Symbol
    ) -> Symbol:
        a = W @ x + U @ h
        z = sigmoid(a + b.z)
        n = tanh(a + b.n)
        return (sigmoid(zeta) * (1 - z) + sigmoid(nu)) * n + z * h
