"""The linear recurrent network whose recurrent matrix turns pairs of units."""

import math
from typing import ClassVar

from recurra.cells.cell import Cell, Initial, Names
from recurra.cells.symbols import Symbol

__all__ = ["RotationRNN"]

_SLOWNESS = 100.0


def _tangent(draw: float) -> float:
    """The tangent of half an angle drawn uniformly from the circle, in units of a."""
    return _SLOWNESS * math.tan(math.pi * (draw - 0.5))


class RotationRNN(Cell):
    """Linear recurrent network with an orthogonal matrix of rotations: nothing fades or grows.

    Unit k of h and of g are turned together by the angle 2 atan(a_k / slowness), which is the
    Cayley transform of a skew-symmetric matrix (Helfrich et al. 2018) in blocks of two, or a
    diagonal linear recurrence (Orvieto et al. 2023) of complex numbers on the unit circle. The
    angles start evenly around the circle; a is kept large and divided by `slowness`, so that one
    learning rate serves all parameters while the spectrum moves slowly. The output is h alone.
    """

    states: ClassVar[Names] = ("h", "g")
    gates: ClassVar[Names] = ("h", "g")
    init: ClassVar[Initial] = {"a": _tangent}
    source = (
        "K. Helfrich, D. Willmott, Q. Ye, Orthogonal recurrent neural networks with scaled Cayley "
        "transform, arXiv:1707.09520; A. Orvieto et al., Resurrecting recurrent neural networks "
        "for long sequences, arXiv:2303.06349"
    )

    slowness: float = _SLOWNESS

    def step(self, x: Symbol, h: Symbol, g: Symbol, W: Symbol, a: Symbol) -> tuple[Symbol, Symbol]:
        tangent = a / self.slowness
        scale = 1 / (1 + tangent**2)
        cosine = (1 - tangent**2) * scale
        sine = 2 * tangent * scale
        return cosine * h - sine * g + W.h @ x, sine * h + cosine * g + W.g @ x
