"""The cells: each a file of equations, and the words to write one's own.

`CELLS` names every built-in cell; `load` finds one by name, or a user's own by
`package.module:Class`.
"""

from recurra.cells.antisymmetric import AntisymmetricRNN
from recurra.cells.antisymmetric_gated import GatedAntisymmetricRNN
from recurra.cells.cell import Cell
from recurra.cells.fastgrnn import FastGRNN
from recurra.cells.fastgrnn_low_rank import LowRankFastGRNN
from recurra.cells.fastrnn import FastRNN
from recurra.cells.functions import (
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
from recurra.cells.registry import CELLS, load
from recurra.cells.rglru import RGLRU
from recurra.cells.rnn import RNN
from recurra.cells.rotation import RotationRNN
from recurra.cells.slstm import sLSTM
from recurra.cells.sru import SRU
from recurra.cells.symbols import Symbol
from recurra.cells.ugrnn import UGRNN

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
    "exp",
    "load",
    "log",
    "maximum",
    "minimum",
    "norm",
    "relu",
    "sLSTM",
    "sigmoid",
    "softplus",
    "sqrt",
    "tanh",
]


def __dir__() -> list[str]:
    return __all__
