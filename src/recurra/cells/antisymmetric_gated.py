"""The antisymmetric recurrent network with a gate."""

from typing import ClassVar

from recurra.cells.cell import Cell, Initial, Names
from recurra.cells.functions import sigmoid, tanh
from recurra.cells.symbols import Symbol

__all__ = ["GatedAntisymmetricRNN"]


class GatedAntisymmetricRNN(Cell):
    """Antisymmetric RNN with an input gate (Chang et al. 2019).

    Gate and candidate share the recurrent product, which keeps the Jacobian's form.
    """

    states: ClassVar[Names] = ("h",)
    gates: ClassVar[Names] = ("z", "n")
    candidate = "n"
    init: ClassVar[Initial] = {"b": "zeros"}
    source = (
        "B. Chang et al., AntisymmetricRNN: a dynamical system view on recurrent neural "
        "networks, arXiv:1902.09689"
    )

    gamma: float = 0.01
    epsilon: float = 0.1

    def step(self, x: Symbol, h: Symbol, W: Symbol, U: Symbol, b: Symbol) -> Symbol:
        a = (U - U.T) @ h - self.gamma * h
        z = sigmoid(a + W.z @ x + b.z)
        n = tanh(a + W.n @ x + b.n)
        return h + self.epsilon * z * n
