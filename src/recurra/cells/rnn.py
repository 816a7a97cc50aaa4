"""The simple recurrent network."""

from typing import ClassVar

from recurra.cells.cell import Cell, Names
from recurra.cells.functions import relu, tanh
from recurra.cells.symbols import Symbol
from recurra.ir import CellError

__all__ = ["RNN"]


class RNN(Cell):
    """Simple recurrent network (Elman 1990), with tanh or relu."""

    states: ClassVar[Names] = ("h",)
    source = "J. L. Elman, Finding structure in time, Cognitive Science 14(2), 1990"

    nonlinearity: str = "tanh"

    def __post_init__(self) -> None:
        if self.nonlinearity not in ("tanh", "relu"):
            raise CellError(
                f"RNN: nonlinearity={self.nonlinearity!r}; it must be 'tanh' or 'relu'."
            )

    def step(self, x: Symbol, h: Symbol, W: Symbol, U: Symbol, b: Symbol) -> Symbol:
        f = tanh if self.nonlinearity == "tanh" else relu
        return f(W @ x + U @ h + b)
