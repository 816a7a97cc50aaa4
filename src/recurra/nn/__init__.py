"""Recurrent layers as torch modules: drop-ins for torch's own, and layers of any cell."""

from recurra.nn import init
from recurra.nn.acceleration import Swaps, accelerate
from recurra.nn.layers.drop_ins import GRU, LSTM, RNN
from recurra.nn.layers.recurrent import Recurrent
from recurra.nn.layers.rnn_base import RNNBase
from recurra.nn.layers.single_step import GRUCell, LSTMCell, RNNCell, RNNCellBase
from recurra.nn.linear import Linear
from recurra.nn.observe.trace import Trace
from recurra.nn.penalties import activation_penalty, temporal_activation_penalty
from recurra.nn.stack.layer import Layer
from recurra.nn.stack.stack import Stack

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "GRUCell",
    "LSTMCell",
    "Layer",
    "Linear",
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


def __dir__() -> list[str]:
    return __all__
