"""Recurrent layers as torch modules: drop-ins for torch's own, and layers of any cell."""

from recurra.nn import init
from recurra.nn.base import RNNBase
from recurra.nn.cells import GRUCell, LSTMCell, RNNCell, RNNCellBase
from recurra.nn.layer import Layer
from recurra.nn.penalties import activation_penalty, temporal_activation_penalty
from recurra.nn.recurrent import Recurrent
from recurra.nn.rnn import GRU, LSTM, RNN
from recurra.nn.stacked import Stack
from recurra.nn.swap import Swaps, accelerate
from recurra.nn.trace import Trace

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
