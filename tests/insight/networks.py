"""Networks built to have an illness, and plain loops of torch to hold the analysis against."""

import torch
from torch import nn

from recurra.nn import GRU, LSTM, RNN


@torch.no_grad()
def rnn(recurrent, *, nonlinearity="tanh", inputs=3, bias=0.0):
    """A simple recurrent network with that recurrent matrix, small inputs and that bias."""
    layer = RNN(inputs, len(recurrent), nonlinearity=nonlinearity).double()
    layer.weight_hh_l0.copy_(recurrent)
    layer.weight_ih_l0.mul_(0.1)
    layer.bias_ih_l0.fill_(bias)
    layer.bias_hh_l0.zero_()
    return layer


def orthogonal(size, gain=1.0):
    return gain * nn.init.orthogonal_(torch.empty(size, size))


@torch.no_grad()
def lstm(forget, *, size=8, others=0.0):
    """A long short-term memory with that forget bias, and that bias of the other gates."""
    layer = LSTM(3, size).double()
    for parameter in layer.parameters():
        parameter.mul_(0.3)
    layer.bias_ih_l0.view(4, size).copy_(torch.tensor([[others], [forget], [0.0], [others]]))
    return layer


def plain_states(model, x):
    """Each state of each layer and direction after each step, by torch's own cells alone.

    Returns the outputs and, in the order of layers and directions, lists over time of tuples.
    """
    found = []
    for layer in range(model.num_layers):
        outputs = []
        for suffix in ("", "_reverse")[: 1 + model.bidirectional]:
            cell = _cell(model, f"_l{layer}{suffix}")
            states = _run(cell, x, reverse=bool(suffix))
            found.append(states)
            outputs.append(torch.stack([s[0] for s in states]))
        x = torch.cat(outputs, -1)
    return x, found


def _cell(model, suffix):
    kinds = {RNN: nn.RNNCell, LSTM: nn.LSTMCell, GRU: nn.GRUCell}
    weight = getattr(model, f"weight_ih{suffix}")
    options = {"nonlinearity": model.nonlinearity} if isinstance(model, RNN) else {}
    cell = kinds[type(model)](weight.shape[1], model.hidden_size, **options).to(weight.dtype)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(cell, name).data.copy_(getattr(model, name + suffix).data)
    return cell


def _run(cell, x, *, reverse):
    steps = range(len(x))
    zeros = x.new_zeros(x.shape[1], cell.hidden_size)
    state = (zeros, zeros) if isinstance(cell, nn.LSTMCell) else zeros
    found = [None] * len(x)
    for t in reversed(steps) if reverse else steps:
        state = cell(x[t], state)
        found[t] = state if isinstance(state, tuple) else (state,)
    return found
