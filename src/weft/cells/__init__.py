"""The cells: each a file of equations, and the words to write one's own.

`CELLS` names every built-in cell; `load` finds one by name, or a user's own by
`package.module:Class`.
"""

from weft.cells.cell import Cell
from weft.cells.functions import (
    exp,
    log,
    maximum,
    minimum,
    norm,
    relu,
    sigmoid,
    softplus,
    sqrt,
    tanh,
)
from weft.cells.gru import GRU
from weft.cells.gru_original import OriginalGRU
from weft.cells.lstm import LSTM
from weft.cells.lstm_projected import ProjectedLSTM
from weft.cells.registry import CELLS, load
from weft.cells.rnn import RNN
from weft.cells.symbols import Symbol

__all__ = [
    "CELLS",
    "GRU",
    "LSTM",
    "RNN",
    "Cell",
    "OriginalGRU",
    "ProjectedLSTM",
    "Symbol",
    "exp",
    "load",
    "log",
    "maximum",
    "minimum",
    "norm",
    "relu",
    "sigmoid",
    "softplus",
    "sqrt",
    "tanh",
]
