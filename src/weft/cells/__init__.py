"""The cells: each a file of equations, and the words to write one's own.

`CELLS` names every built-in cell; `load` finds one by name, or a user's own by
`package.module:Class`.
"""

from weft.cells.antisymmetric import AntisymmetricRNN
from weft.cells.antisymmetric_gated import GatedAntisymmetricRNN
from weft.cells.cell import Cell
from weft.cells.fastgrnn import FastGRNN
from weft.cells.fastgrnn_low_rank import LowRankFastGRNN
from weft.cells.fastrnn import FastRNN
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
from weft.cells.registry import CELLS, load
from weft.cells.rglru import RGLRU
from weft.cells.rnn import RNN
from weft.cells.rotation import RotationRNN
from weft.cells.slstm import sLSTM
from weft.cells.sru import SRU
from weft.cells.symbols import Symbol
from weft.cells.ugrnn import UGRNN

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
