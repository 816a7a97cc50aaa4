"""Recurrent layers as torch modules: drop-ins for torch's own, and layers of any cell."""

from weft.nn.base import RNNBase
from weft.nn.cells import GRUCell, LSTMCell, RNNCell, RNNCellBase
from weft.nn.recurrent import Recurrent
from weft.nn.rnn import GRU, LSTM, RNN
from weft.nn.swap import Swaps, accelerate

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "GRUCell",
    "LSTMCell",
    "RNNBase",
    "RNNCell",
    "RNNCellBase",
    "Recurrent",
    "Swaps",
    "accelerate",
]
