"""The list of cells, and how one is found by its name."""

import difflib
import importlib

from weft.cells.antisymmetric import AntisymmetricRNN
from weft.cells.antisymmetric_gated import GatedAntisymmetricRNN
from weft.cells.cell import Cell
from weft.cells.fastgrnn import FastGRNN
from weft.cells.fastgrnn_low_rank import LowRankFastGRNN
from weft.cells.fastrnn import FastRNN
from weft.cells.gru import GRU
from weft.cells.gru_original import OriginalGRU
from weft.cells.indrnn import IndRNN
from weft.cells.irnn import IRNN
from weft.cells.janet import JANET
from weft.cells.ligru import LiGRU
from weft.cells.lstm import LSTM
from weft.cells.lstm_1997 import LSTM1997
from weft.cells.lstm_coupled import CoupledLSTM
from weft.cells.lstm_layernorm import LayerNormLSTM
from weft.cells.lstm_layernorm_joint import JointLayerNormLSTM
from weft.cells.lstm_multiplicative import MultiplicativeLSTM
from weft.cells.lstm_peephole import PeepholeLSTM
from weft.cells.lstm_projected import ProjectedLSTM
from weft.cells.mgu import MGU
from weft.cells.mingru import MinGRU
from weft.cells.minlstm import MinLSTM
from weft.cells.ornn import OrthogonalRNN
from weft.cells.qrnn import QRNNf, QRNNfo, QRNNifo
from weft.cells.rglru import RGLRU
from weft.cells.rnn import RNN
from weft.cells.rotation import RotationRNN
from weft.cells.slstm import sLSTM
from weft.cells.sru import SRU
from weft.cells.ugrnn import UGRNN
from weft.errors import ConfigError

__all__ = ["CELLS", "load"]

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

    Raises ConfigError where there is none such, and CellError where its equations can't be.

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
            f"There is no cell {name!r}{hint} The cells are {', '.join(CELLS)}, and one of "
            f"your own is named package.module:Class."
        )
    cell.graph()
    return cell


def _load_own(name: str) -> Cell:
    module_name, _, attribute = name.partition(":")
    if not all(word.isidentifier() for word in (*module_name.split("."), attribute)):
        raise ConfigError(f"Cell {name!r}: a cell of your own is named package.module:Class.")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"Cell {name!r}: there is no module {error.name!r}; a cell of your own is named "
            f"package.module:Class, and Python must be able to import the module from here."
        ) from error
    kind = getattr(module, attribute, None)
    if isinstance(kind, Cell):
        return kind
    if not (isinstance(kind, type) and issubclass(kind, Cell)):
        raise ConfigError(
            f"Cell {name!r}: {attribute!r} in {module_name} is "
            f"{'not there' if kind is None else 'no weft.cells.Cell'}; name a subclass of Cell."
        )
    try:
        return kind()
    except TypeError as error:
        raise ConfigError(
            f"Cell {name!r} can't be made without options ({error}); give each a default."
        ) from error
