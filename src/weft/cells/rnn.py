"""The simple recurrent network."""

from weft.cells.cell import Cell
from weft.cells.functions import relu, tanh
from weft.cells.symbols import Symbol
from weft.ir import CellError

__all__ = ["RNN"]


class RNN(Cell):
    """Simple recurrent network (Elman 1990), with tanh or relu."""

    states = ("h",)
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
