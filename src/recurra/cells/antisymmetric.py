"""The recurrent network that discretises a stable differential equation."""

from typing import ClassVar

from recurra.cells.cell import Cell, Initial, Names
from recurra.cells.functions import tanh
from recurra.cells.symbols import Symbol

__all__ = ["AntisymmetricRNN"]


class AntisymmetricRNN(Cell):
    """Antisymmetric RNN (Chang et al. 2019): eigenvalues of U - U.T are imaginary, so it is stable.

    The form without gate. `epsilon` is the step of Euler's method, `gamma` the diffusion that
    makes up for its error.
    """

    states: ClassVar[Names] = ("h",)
    candidate = "n"
    init: ClassVar[Initial] = {"b": "zeros"}
    source = (
        "B. Chang et al., AntisymmetricRNN: a dynamical system view on recurrent neural "
        "networks, arXiv:1902.09689"
    )

    gamma: float = 0.01
    epsilon: float = 0.1

    def step(self, x: Symbol, h: Symbol, W: Symbol, U: Symbol, b: Symbol) -> Symbol:
        n = tanh(W @ x + (U - U.T) @ h - self.gamma * h + b)
        return h + self.epsilon * n
