"""Recurrent layers as torch modules: drop-ins for torch's own, and layers of any cell."""

from weft.nn import init
from weft.nn.base import RNNBase
from weft.nn.cells import GRUCell, LSTMCell, RNNCell, RNNCellBase
from weft.nn.layer import Layer
from weft.nn.penalties import activation_penalty, temporal_activation_penalty
from weft.nn.recurrent import Recurrent
from weft.nn.rnn import GRU, LSTM, RNN
from weft.nn.stacked import Stack
from weft.nn.swap import Swaps, accelerate
from weft.nn.trace import Trace

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "GRUCell",
    "LSTMCell",
    "Layer",
    "RNNBase",
    "RNNCell",
    "RNNCellBase",
    "Recurrent",
    "Stack",
    "Swaps",
    "Trace",
    "accelerate",
    "activation_penalty",
    "init",
    "temporal_activation_penalty",
]
