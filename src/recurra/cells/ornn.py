"""The simple recurrent network whose recurrent matrix starts orthogonal."""

from typing import ClassVar

from recurra.cells.cell import Cell, Initial, Names
from recurra.cells.functions import relu
from recurra.cells.symbols import Symbol

__all__ = ["OrthogonalRNN"]


class OrthogonalRNN(Cell):
    """Recurrent network with modReLU whose U starts orthogonal.

    The start is that of Henaff et al. 2016, whose transition is linear; the modReLU is that of
    Arjovsky et al. 2016, who have complex states. Of a real a it is sign(a) relu(|a| + b), which
    for b <= 0 is relu(a + b) - relu(b - a): the form here, b starting from zeros. For b > 0 the two
    differ where |a| < b: this one is 2 a there, modReLU jumps from -b to b. U doesn't stay
    orthogonal in training unless `torch.nn.utils.parametrizations.orthogonal(layer, "U_l0")` is
    applied.
    """

    states: ClassVar[Names] = ("h",)
    source = (
        "M. Henaff, A. Szlam, Y. LeCun, Recurrent orthogonal networks and long-memory tasks, "
        "arXiv:1602.06662; modReLU: M. Arjovsky et al., arXiv:1511.06464"
    )
    init: ClassVar[Initial] = {"U": "orthogonal", "b": "zeros"}

    def step(self, x: Symbol, h: Symbol, W: Symbol, U: Symbol, b: Symbol) -> Symbol:
        a = W @ x + U @ h
        return relu(a + b) - relu(b - a)
