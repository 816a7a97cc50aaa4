"""Quasi-recurrent networks: three ways to pool values of the input alone."""

from typing import ClassVar

from recurra.cells.cell import Cell, Names
from recurra.cells.functions import sigmoid, tanh
from recurra.cells.symbols import Symbol

__all__ = ["QRNNf", "QRNNfo", "QRNNifo"]


SOURCE = "J. Bradbury et al., Quasi-recurrent neural networks, arXiv:1611.01576"


class QRNNf(Cell):
    """Quasi-recurrent network (Bradbury et al. 2017) with f-pooling, for windows of one step.

    A wider window is a causal convolution before the layer.
    """

    states: ClassVar[Names] = ("h",)
    gates: ClassVar[Names] = ("z", "f")
    candidate = "z"
    forget = "f"
    source = SOURCE

    def step(self, x: Symbol, h: Symbol, W: Symbol, b: Symbol) -> Symbol:
        z = tanh(W.z @ x + b.z)
        f = sigmoid(W.f @ x + b.f)
        return f * h + (1 - f) * z


class QRNNfo(Cell):
    """Quasi-recurrent network (Bradbury et al. 2017) with fo-pooling, for windows of one step."""

    states: ClassVar[Names] = ("h", "c")
    gates: ClassVar[Names] = ("z", "f", "o")
    candidate = "z"
    forget = "f"
    source = SOURCE

    def step(self, x: Symbol, h: Symbol, c: Symbol, W: Symbol, b: Symbol) -> tuple[Symbol, Symbol]:
        z = tanh(W.z @ x + b.z)
        f = sigmoid(W.f @ x + b.f)
        o = sigmoid(W.o @ x + b.o)
        c = f * c + (1 - f) * z
        h = o * c
        return h, c


class QRNNifo(Cell):
    """Quasi-recurrent network (Bradbury et al. 2017) with ifo-pooling, for windows of one step."""

    states: ClassVar[Names] = ("h", "c")
    gates: ClassVar[Names] = ("z", "i", "f", "o")
    candidate = "z"
    forget = "f"
    source = SOURCE

    def step(self, x: Symbol, h: Symbol, c: Symbol, W: Symbol, b: Symbol) -> tuple[Symbol, Symbol]:
        z = tanh(W.z @ x + b.z)
        i = sigmoid(W.i @ x + b.i)
        f = sigmoid(W.f @ x + b.f)
        o = sigmoid(W.o @ x + b.o)
        c = f * c + i * z
        h = o * c
        return h, c
