"""The linear recurrent unit with gates."""

import math
from typing import ClassVar

from recurra.cells.cell import Cell, Initial, Names, Sizes
from recurra.cells.functions import bounded_sqrt, exp, expm1, sigmoid, softplus
from recurra.cells.symbols import Symbol

__all__ = ["RGLRU"]


_POWER = 8.0


def _decay(share: float) -> float:
    """The decay for which sigmoid(decay)^8 lies that far between 0.9 and 0.999."""
    kept = (0.9 + share * 0.099) ** (1 / _POWER)
    return math.log(kept / (1 - kept))


class RGLRU(Cell):
    """Real-gated linear recurrent unit of Griffin (De et al. 2024): the input gates the decay.

    h keeps a^(8 r) of itself, where a = sigmoid(decay) is learnt for each unit and starts such that
    a^8 is uniform between 0.9 and 0.999. The input must have `hidden_size` values. W is
    block-diagonal, a block for each of the `heads`; it starts normal with variance 1 / (columns of
    a block), and the biases from zeros, as in the authors' code (recurrentgemma).

    The paper's sqrt(1 - a^(16 r)) is computed without loss where a^(16 r) is near 1; its slope,
    which is infinite at 1, is 0 within 1e-24 of it. Two things differ from the authors' code on
    purpose. It draws a itself, not a^8, between 0.9 and 0.999, uniformly over the area of a ring:
    the paper's text is followed, whose units remember eight times as long. And it takes the first
    input of a document without the factor sqrt(1 - a^(16 r)): here every step is scaled alike,
    since a step knows its state and not its position, and a sequence read in parts must give what
    it gives as a whole.
    """

    states: ClassVar[Names] = ("h",)
    gates: ClassVar[Names] = ("r", "i")
    sizes: ClassVar[Sizes] = {"x": "hidden_size"}
    blocks: ClassVar[Sizes] = {"W": "heads"}
    candidate = "n"
    init: ClassVar[Initial] = {"W": "normal", "b": "zeros", "decay": _decay}
    source = (
        "S. De et al., Griffin: mixing gated linear recurrences with local attention for "
        "efficient language models, arXiv:2402.19427"
    )

    heads: int = 1

    def step(self, x: Symbol, h: Symbol, W: Symbol, b: Symbol, decay: Symbol) -> Symbol:
        r = sigmoid(W.r @ x + b.r)
        i = sigmoid(W.i @ x + b.i)
        n = i * x
        log_a = -_POWER * r * softplus(-decay)
        return exp(log_a) * h + bounded_sqrt(-expm1(2 * log_a)) * n
