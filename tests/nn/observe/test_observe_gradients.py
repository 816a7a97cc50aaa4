"""`observe_gradients`: norms of dL/dh_t of a run and its backward pass, against plain autograd."""

import pytest
import torch
from torch import nn

from recurra.nn import GRU, LSTM, RNN, Recurrent, Stack
from recurra.nn.observe.gradients import observe_gradients

X = torch.randn(9, 3, 4, generator=torch.Generator().manual_seed(3)).double()


def watched(model, run, loss=lambda y: y.square().sum()):
    """What is watched of a run, and the gradients of the weights."""
    model.zero_grad()
    with observe_gradients(model) as found:
        loss(run(model)).backward()
    return found.norms, [p.grad.clone() for p in model.parameters()]


def plain(model, run, loss=lambda y: y.square().sum()):
    model.zero_grad()
    loss(run(model)).backward()
    return [p.grad.clone() for p in model.parameters()]


def outputs(model):
    return model(X)[0]


def stepwise(cell, x, resets=None, order=None):
    """The output states of a cell of torch, step by step, each a node of the graph."""
    states, found = None, {}
    for t in order or range(len(x)):
        if resets is not None and states is not None:
            keep = (~resets[t]).unsqueeze(-1).double()
            states = tuple(s * keep for s in states) if type(states) is tuple else states * keep
        states = cell(x[t], states)
        found[t] = states[0] if type(states) is tuple else states
        found[t].retain_grad()
    return [found[t] for t in range(len(x))]


def cell_like(kind, model, suffix="_l0"):
    weight = getattr(model, f"weight_ih{suffix}")
    cell = kind(weight.shape[1], model.hidden_size).double()
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(cell, name).data.copy_(getattr(model, name + suffix).data)
    return cell


def norms(states):
    return torch.stack([h.grad.norm() for h in states])


KINDS = [(RNN, nn.RNNCell), (LSTM, nn.LSTMCell), (GRU, nn.GRUCell)]


@pytest.mark.parametrize(("layer", "cell"), KINDS)
def test_norms_are_those_of_plain_autograd(layer, cell):
    model = layer(4, 5).double()
    states = stepwise(cell_like(cell, model), X)
    torch.stack(states).square().sum().backward()
    found, _ = watched(model, outputs)
    torch.testing.assert_close(found, {"layer": norms(states)})


def test_each_layer_and_direction_has_its_own():
    model = GRU(4, 5, num_layers=2, bidirectional=True).double()
    below, turned = range(9), range(8, -1, -1)
    one = [
        stepwise(cell_like(nn.GRUCell, model, f"_l0{s}"), X, order=o)
        for s, o in (("", below), ("_reverse", turned))
    ]
    middle = torch.stack([torch.cat(pair, -1) for pair in zip(*one, strict=True)])
    two = [
        stepwise(cell_like(nn.GRUCell, model, f"_l1{s}"), middle, order=o)
        for s, o in (("", below), ("_reverse", turned))
    ]
    sum(torch.stack(states).square().sum() for states in two).backward()
    found, _ = watched(model, outputs)
    names = [f"layer {n} {way}" for n in (0, 1) for way in ("forward", "backward")]
    torch.testing.assert_close(found, dict(zip(names, map(norms, one + two), strict=True)))


def test_a_segments_start_cuts_what_comes_back():
    model, resets = LSTM(4, 5).double(), torch.zeros(9, 3, dtype=torch.bool)
    resets[4, :2], resets[6, 2] = True, True
    states = stepwise(cell_like(nn.LSTMCell, model), X, resets)
    states[-1].sum().backward()
    found, _ = watched(model, lambda m: m(X, resets=resets)[0][-1], torch.sum)
    torch.testing.assert_close(found["layer"], norms_or_zero(states))
    assert (found["layer"][:4] == 0).all()


def norms_or_zero(states):
    return torch.stack([h.grad.norm() if h.grad is not None else h.new_zeros(()) for h in states])


@pytest.mark.parametrize("is_packed", [False, True])
def test_rows_that_have_ended_are_left_out(is_packed):
    model, lengths = GRU(4, 5).double(), torch.tensor([9, 6, 2])
    packed = nn.utils.rnn.pack_padded_sequence(X, lengths)
    run = (lambda m: m(packed)[0].data) if is_packed else (lambda m: m(X, lengths=lengths)[0])
    squares = torch.zeros(9).double()
    for row, length in enumerate(lengths):
        rows, _ = watched(model, lambda m, r=row, n=length: m(X[:n, [r]])[0])
        squares[:length] += rows["layer"].square()
    torch.testing.assert_close(watched(model, run)[0]["layer"], squares.sqrt())


@pytest.mark.parametrize("cell", ["lstm_projected", "slstm", "mingru"])
def test_engines_agree(cell):
    compiled = Recurrent(cell, 4, 5, engine="cpu").double()
    interpreted = Recurrent(cell, 4, 5, engine="interp").double()
    interpreted.load_state_dict(compiled.state_dict())
    torch.testing.assert_close(watched(compiled, outputs)[0], watched(interpreted, outputs)[0])


@pytest.mark.parametrize("make", [lambda: LSTM(4, 5, num_layers=2), lambda: RNN(4, 5)])
def test_weights_gradients_are_the_same_to_the_bit(make):
    model = make().double()
    _, found = watched(model, outputs)
    assert all(map(torch.equal, found, plain(model, outputs)))


def test_it_finds_layers_inside_a_model_and_each_of_their_calls():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = GRU(4, 5)

        def forward(self, x):
            return self.layer(x)[0] + self.layer(x.flip(0))[0]

    found, _ = watched(Twice().double(), lambda m: m(X))
    assert list(found) == ["layer (call 2)", "layer"]
    found, _ = watched(Stack.of("gru", 4, 5, 2).double(), outputs)
    assert len(found) == 2


def test_without_gradients_or_outside_nothing_is_watched():
    model = GRU(4, 5).double()
    with observe_gradients(model) as found, torch.no_grad():
        model(X)
    model(X)[0].sum().backward()
    assert found.norms == {}
    assert not model._forward_pre_hooks


def test_what_the_loss_does_not_hear_has_no_norm():
    model = nn.ModuleList([GRU(4, 5), RNN(4, 5)]).double()
    with observe_gradients(model) as found:
        y, _ = model[0](X)[0], model[1](X)
        y.sum().backward()
    assert list(found.norms) == ["0"]
