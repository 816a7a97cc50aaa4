"""The simple recurrent unit."""

from typing import ClassVar

from recurra.cells.cell import Cell, Initial, Names, Sizes
from recurra.cells.functions import sigmoid
from recurra.cells.symbols import Symbol

__all__ = ["SRU"]


class SRU(Cell):
    """Simple recurrent unit (Lei et al. 2018): gates see the input and their own unit's c alone.

    The form with v (versions 3 and later of the paper); h is output only, a highway past c that
    takes x itself, so the input must have `hidden_size` values. `scale` is the paper's correction
    of the highway's variance, sqrt(1 + 2 exp(b.r)), at biases of zero, from which it starts. W and
    v start as in the authors' code: W.z with a variance of 1 / hidden_size and v with 1, both
    halved for the gates, so that the signal keeps its size through many layers.
    """

    states: ClassVar[Names] = ("h", "c")
    gates: ClassVar[Names] = ("z", "f", "r")
    sizes: ClassVar[Sizes] = {"x": "hidden_size"}
    candidate = "z"
    forget = "f"
    init: ClassVar[Initial] = {
        "W": ("uniform", 1.5**0.5),
        "W.z": ("uniform", 3**0.5),
        "v": (-(1.5**0.5), 1.5**0.5),
        "b": "zeros",
    }
    source = (
        "T. Lei et al., Simple recurrent units for highly parallelizable recurrence, "
        "arXiv:1709.02755"
    )

    scale: float = 3**0.5

    def step(
        self, x: Symbol, h: Symbol, c: Symbol, W: Symbol, v: Symbol, b: Symbol
    ) -> tuple[Symbol, Symbol]:
        z = W.z @ x
        f = sigmoid(W.f @ x + v.f * c + b.f)
        r = sigmoid(W.r @ x + v.r * c + b.r)
        c = f * c + (1 - f) * z
        h = r * c + (1 - r) * (self.scale * x)
        return h, c
