"""The simple recurrent network with a skip connection in time."""

from statistics import NormalDist
from typing import ClassVar

from recurra.cells.cell import Cell, Initial, Names, Scalars
from recurra.cells.functions import sigmoid, tanh
from recurra.cells.symbols import Symbol

__all__ = ["STARTING_MATRIX", "FastRNN"]


STARTING_MATRIX = NormalDist(0.0, 0.1).inv_cdf
"""Initial values of the matrices of FastRNN and FastGRNN."""


class FastRNN(Cell):
    """FastRNN (Kusupati et al. 2018): a residual connection in time, weighed by two scalars.

    The scalars pass a sigmoid and start from -3 and 3, as in the authors' code: most of the state
    is kept at first. So do the rest: matrices normal with standard deviation 0.1, biases at 1.
    """

    states: ClassVar[Names] = ("h",)
    scalars: ClassVar[Scalars] = {"alpha": -3.0, "beta": 3.0}
    candidate = "n"
    init: ClassVar[Initial] = {"W": STARTING_MATRIX, "U": STARTING_MATRIX, "b": "ones"}
    source = (
        "A. Kusupati et al., FastGRNN: a fast, accurate, stable and tiny kilobyte sized gated "
        "recurrent neural network, arXiv:1901.02358"
    )

    def step(
        self,
        x: Symbol,
        h: Symbol,
        W: Symbol,
        U: Symbol,
        b: Symbol,
        alpha: Symbol,
        beta: Symbol,
    ) -> Symbol:
        n = tanh(W @ x + U @ h + b)
        return sigmoid(alpha) * n + sigmoid(beta) * h
