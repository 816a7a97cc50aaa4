"""The cells: each a file of equations, and the words to write one's own.

`CELLS` names every built-in cell; `load` finds one by name, or a user's own by
`package.module:Class`.
"""

import difflib
import importlib

from recurra.cells.antisymmetric import AntisymmetricRNN
from recurra.cells.antisymmetric_gated import GatedAntisymmetricRNN
from recurra.cells.cell import Cell
from recurra.cells.fastgrnn import FastGRNN
from recurra.cells.fastgrnn_low_rank import LowRankFastGRNN
from recurra.cells.fastrnn import FastRNN
from recurra.cells.functions import (
    bounded_sqrt,
    exp,
    expm1,
    log,
    log1p,
    log_sigmoid,
    maximum,
    minimum,
    norm,
    relu,
    sigmoid,
    softplus,
    sqrt,
    tanh,
    where_positive,
)
from recurra.cells.gru import GRU
from recurra.cells.gru_original import OriginalGRU
from recurra.cells.indrnn import IndRNN
from recurra.cells.irnn import IRNN
from recurra.cells.janet import JANET
from recurra.cells.ligru import LiGRU
from recurra.cells.lstm import LSTM
from recurra.cells.lstm_1997 import LSTM1997
from recurra.cells.lstm_coupled import CoupledLSTM
from recurra.cells.lstm_layernorm import LayerNormLSTM
from recurra.cells.lstm_layernorm_joint import JointLayerNormLSTM
from recurra.cells.lstm_multiplicative import MultiplicativeLSTM
from recurra.cells.lstm_peephole import PeepholeLSTM
from recurra.cells.lstm_projected import ProjectedLSTM
from recurra.cells.mgu import MGU
from recurra.cells.mingru import MinGRU
from recurra.cells.minlstm import MinLSTM
from recurra.cells.ornn import OrthogonalRNN
from recurra.cells.qrnn import QRNNf, QRNNfo, QRNNifo
from recurra.cells.rglru import RGLRU
from recurra.cells.rnn import RNN
from recurra.cells.rotation import RotationRNN
from recurra.cells.slstm import sLSTM
from recurra.cells.sru import SRU
from recurra.cells.symbols import Symbol
from recurra.cells.ugrnn import UGRNN
from recurra.errors import ConfigError

__all__ = [
    "CELLS",
    "GRU",
    "IRNN",
    "JANET",
    "LSTM",
    "LSTM1997",
    "MGU",
    "RGLRU",
    "RNN",
    "SRU",
    "UGRNN",
    "AntisymmetricRNN",
    "Cell",
    "CoupledLSTM",
    "FastGRNN",
    "FastRNN",
    "GatedAntisymmetricRNN",
    "IndRNN",
    "JointLayerNormLSTM",
    "LayerNormLSTM",
    "LiGRU",
    "LowRankFastGRNN",
    "MinGRU",
    "MinLSTM",
    "MultiplicativeLSTM",
    "OriginalGRU",
    "OrthogonalRNN",
    "PeepholeLSTM",
    "ProjectedLSTM",
    "QRNNf",
    "QRNNfo",
    "QRNNifo",
    "RotationRNN",
    "Symbol",
    "bounded_sqrt",
    "exp",
    "expm1",
    "load",
    "log",
    "log1p",
    "log_sigmoid",
    "maximum",
    "minimum",
    "norm",
    "relu",
    "sLSTM",
    "sigmoid",
    "softplus",
    "sqrt",
    "tanh",
    "where_positive",
]


CELLS: dict[str, Cell] = {
    "rnn": RNN(),
    "rnn_relu": RNN(nonlinearity="relu"),
    "irnn": IRNN(),
    "ornn": OrthogonalRNN(),
    "rotation": RotationRNN(),
    "antisymmetric": AntisymmetricRNN(),
    "antisymmetric_gated": GatedAntisymmetricRNN(),
    "indrnn": IndRNN(),
    "fastrnn": FastRNN(),
    "fastgrnn": FastGRNN(),
    "fastgrnn_low_rank": LowRankFastGRNN(),
    "lstm": LSTM(),
    "lstm_1997": LSTM1997(),
    "lstm_peephole": PeepholeLSTM(),
    "lstm_coupled": CoupledLSTM(),
    "lstm_projected": ProjectedLSTM(),
    "lstm_layernorm": LayerNormLSTM(),
    "lstm_layernorm_joint": JointLayerNormLSTM(),
    "lstm_multiplicative": MultiplicativeLSTM(),
    "janet": JANET(),
    "slstm": sLSTM(),
    "minlstm": MinLSTM(),
    "gru": GRU(),
    "gru_original": OriginalGRU(),
    "mgu": MGU(),
    "ligru": LiGRU(),
    "ugrnn": UGRNN(),
    "mingru": MinGRU(),
    "sru": SRU(),
    "qrnn_f": QRNNf(),
    "qrnn_fo": QRNNfo(),
    "qrnn_ifo": QRNNifo(),
    "rglru": RGLRU(),
}


def load(name: str) -> Cell:
    """The cell of that name: one of `CELLS`, or `package.module:Class` for a user's own.

    Raises ConfigError for an unknown name, and CellError for invalid equations.

    Example:
        >>> load("lstm").states
        ('h', 'c')
    """
    if ":" in name:
        cell = _load_own(name)
    elif name in CELLS:
        cell = CELLS[name]
    else:
        near = difflib.get_close_matches(name.lower(), CELLS, n=1)
        hint = f"; did you mean {near[0]}?" if near else "."
        raise ConfigError(
            f"There is no cell {name!r}{hint} The cells are {', '.join(CELLS)}; name a cell of "
            f"your own as package.module:Class."
        )
    cell.graph()
    return cell


def _load_own(name: str) -> Cell:
    module_name, _, attribute = name.partition(":")
    if not all(word.isidentifier() for word in (*module_name.split("."), attribute)):
        raise ConfigError(f"Cell {name!r}: name a cell of your own as package.module:Class.")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"Cell {name!r}: there is no module {error.name!r}; name a cell of your own as "
            f"package.module:Class, with a module that Python can import from here."
        ) from error
    kind = getattr(module, attribute, None)
    if isinstance(kind, Cell):
        return kind
    if not (isinstance(kind, type) and issubclass(kind, Cell)):
        raise ConfigError(
            f"Cell {name!r}: {attribute!r} in {module_name} is "
            f"{'missing' if kind is None else 'not a recurra.cells.Cell'}; name a subclass of Cell."
        )
    try:
        return kind()
    except TypeError as error:
        raise ConfigError(
            f"Cell {name!r} can't be made without options ({error}); give each a default."
        ) from error


def __dir__() -> list[str]:
    return __all__
