"""The layers and cells whose manners are tested, and what they are compared with."""

import torch
from torch import nn

import recurra.nn
from recurra.cells import Cell, sigmoid, tanh


class Peephole(Cell):
    """LSTM with peepholes, as a user would write it."""

    states = ("h", "c")
    gates = ("i", "f", "g", "o")

    def step(self, x, h, c, W, U, b, p):
        i = sigmoid(W.i @ x + U.i @ h + p.i * c + b.i)
        f = sigmoid(W.f @ x + U.f @ h + p.f * c + b.f)
        g = tanh(W.g @ x + U.g @ h + b.g)
        c = f * c + i * g
        o = sigmoid(W.o @ x + U.o @ h + p.o * c + b.o)
        return o * tanh(c), c


LAYERS = {"lstm": recurra.nn.LSTM, "gru": recurra.nn.GRU, "rnn": recurra.nn.RNN}
TORCH_LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
KINDS = [*LAYERS, "own"]
CELLS = {"lstm": recurra.nn.LSTMCell, "gru": recurra.nn.GRUCell, "rnn": recurra.nn.RNNCell}
TORCH_CELLS = {"lstm": nn.LSTMCell, "gru": nn.GRUCell, "rnn": nn.RNNCell}


def layer(kind, *sizes, engine="auto", **options):
    """A layer of 3 inputs and 4 units, or of other sizes; `own` is a cell written by a user."""
    sizes = sizes or (3, 4)
    if kind == "own":
        return recurra.nn.Recurrent(Peephole, *sizes, engine=engine, **options)
    return LAYERS[kind](*sizes, engine=engine, **options)


def oracle(module, kind, *sizes, **options):
    """The interpreter in double precision with the weights that `module` has now."""
    twin = layer(kind, *sizes, engine="interp", dtype=torch.double, **options)
    twin.load_state_dict(module.state_dict())
    return twin


def torch_twin(module, kind, *sizes, **options):
    """torch's own layer with the weights that `module` has now."""
    dtype = next(module.parameters()).dtype
    twin = TORCH_LAYERS[kind](*(sizes or (3, 4)), dtype=dtype, **options)
    twin.load_state_dict(module.state_dict())
    return twin


def flat(results):
    """The tensors of nested tuples, in order."""
    if isinstance(results, torch.Tensor):
        return [results]
    return [t for part in results for t in flat(part)]


def loss(results):
    """A number that depends on outputs and last states, each element with a weight of its own."""
    total = 0.0
    for index, t in enumerate(flat(results)):
        ramp = torch.linspace(0.5, 1.5 + index, t.numel(), dtype=t.dtype).view(t.shape)
        total = total + (t * t * ramp + t).sum()
    return total


def gradients(module, x, *args, **kwargs):
    """dloss/dx and dloss/dparameter, by name, of one training step."""
    x = x.detach().clone().requires_grad_()
    names, weights = zip(*module.named_parameters(), strict=True)
    found = torch.autograd.grad(loss(module(x, *args, **kwargs)), [x, *weights])
    return dict(zip(("x", *names), found, strict=True))


def close(found, wanted, tolerance=1e-4):
    """Whether nested results are those of an oracle, perhaps of another dtype."""
    found, wanted = flat(found), flat(wanted)
    torch.testing.assert_close(
        [t.double() for t in found],
        [t.double() for t in wanted],
        rtol=tolerance,
        atol=tolerance / 10,
    )


def same_as_oracle(module, x, kind, *sizes, **options):
    """Check output and gradients of a layer against the interpreter with its present weights."""
    twin = oracle(module, kind, *sizes, **options)
    with torch.no_grad():
        close(module(x), twin(x.double()))
    found, wanted = gradients(module, x), gradients(twin, x.double())
    close([found[n] for n in wanted], list(wanted.values()))
