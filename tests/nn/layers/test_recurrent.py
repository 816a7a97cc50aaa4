"""`Recurrent`: any cell as a layer. Its sums are those of the drop-ins where both have the cell."""

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import recurra.nn
from recurra.cells import CELLS, Cell, sigmoid, tanh
from recurra.errors import CellError, ConfigError, EngineError, InsightError
from recurra.nn import Recurrent

CLASSIC = ("rnn", "rnn_relu", "lstm", "lstm_projected", "gru", "gru_original")


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


@pytest.mark.parametrize("name", [*CLASSIC, "user"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_shapes_and_gradients(name, bidirectional, batch_first):
    cell = Peephole if name == "user" else name
    options = {"bidirectional": bidirectional, "batch_first": batch_first}
    module = Recurrent(cell, 5, 6, 2, **options)
    x = torch.randn(3, 7, 5)
    y, states = module(x)
    assert y.shape == (3, 7, module.output_size)
    batch = 3 if batch_first else 7
    rows = 4 if bidirectional else 2
    assert [tuple(s.shape) for s in states] == [(rows, batch, n) for n in module.state_sizes]
    y.sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())


@pytest.mark.parametrize(
    ("cell", "drop_in", "kwargs"),
    [("rnn", "RNN", {}), ("rnn_relu", "RNN", {"nonlinearity": "relu"}), ("lstm", "LSTM", {})],
)
def test_equals_the_drop_in(cell, drop_in, kwargs):
    ours = Recurrent(cell, 5, 6, 2, bidirectional=True)
    theirs = getattr(recurra.nn, drop_in)(5, 6, 2, bidirectional=True, **kwargs)
    for suffix in ("_l0", "_l0_reverse", "_l1", "_l1_reverse"):
        for own, names in (
            ("W", ["weight_ih"]),
            ("U", ["weight_hh"]),
            ("b", ["bias_ih", "bias_hh"]),
        ):
            value = sum(getattr(theirs, n + suffix).detach() for n in names)
            getattr(ours, own + suffix).data.copy_(value)
    x = torch.randn(7, 3, 5)
    torch.testing.assert_close(ours(x)[0], theirs(x)[0])


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_is_a_layer(name):
    module = Recurrent(name, 6, 6, 2, engine="interp")
    y, states = module(torch.randn(3, 7, 6))
    assert y.shape == (3, 7, module.output_size)
    assert [tuple(s.shape) for s in states] == [(2, 7, n) for n in module.state_sizes]
    (y * torch.randn_like(y)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())


@pytest.mark.parametrize("name", CELLS)
def test_one_call_equals_two_with_the_state_carried(name):
    engine = None if name in CLASSIC else "interp"
    module, x = Recurrent(name, 6, 6, 2, engine=engine), torch.randn(9, 3, 6)
    whole, last = module(x)
    first, between = module(x[:4])
    second, end = module(x[4:], between)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(end, last)


def test_packed_and_unbatched_inputs():
    module, x = Recurrent(Peephole, 5, 6), torch.randn(7, 3, 5)
    lengths = torch.tensor([2, 7, 5])
    y, states = module(x, lengths=lengths)
    packed, packed_states = module(pack_padded_sequence(x, lengths, enforce_sorted=False))
    torch.testing.assert_close(pad_packed_sequence(packed)[0], y)
    torch.testing.assert_close(packed_states, states)
    single, single_states = module(x[:, 1], tuple(s[:, 1] for s in module(x)[1]))
    assert single.shape == (7, 6)
    assert single_states[1].shape == (1, 6)


def test_without_biases():
    module = Recurrent("gru", 5, 6, bias=False)
    assert sorted(dict(module.named_parameters())) == ["U_l0", "W_l0"]
    torch.testing.assert_close(module(torch.zeros(2, 3, 5))[0], torch.zeros(2, 3, 6))


def test_dropout_works_between_layers_and_only_in_training():
    module, x = Recurrent("lstm", 5, 6, 2, dropout=0.5), torch.randn(7, 3, 5)
    assert not torch.equal(module(x)[0], module(x)[0])
    module.eval()
    assert torch.equal(module(x)[0], module(x)[0])


def test_parameters_are_drawn_as_the_cell_says():
    class Leaky(Cell):
        states = ("h",)
        scalars = {"alpha": 0.25}
        init = {"d": "ones", "b": "zeros"}

        def step(self, x, h, W, d, b, alpha):
            return alpha * h + (1 - alpha) * tanh(W @ x + d * h + b)

    module = Recurrent(Leaky, 5, 400)
    assert module.alpha_l0.item() == 0.25
    assert torch.equal(module.d_l0, torch.ones(400))
    assert torch.equal(module.b_l0, torch.zeros(400))
    assert 0.045 < module.W_l0.abs().max().item() <= 0.05


def test_clipping_inside_bptt():
    """dL/dh_t is clipped at every step, against hooks on a loop written by hand."""
    module = recurra.nn.RNN(2, 3, bptt_clip=0.02, dtype=torch.double)
    x = torch.randn(12, 4, 2, dtype=torch.double)
    found = torch.autograd.grad(module(x)[0].sum(), list(module.parameters()))
    h, total = torch.zeros(4, 3, dtype=torch.double), 0.0
    for row in x:
        pre = row @ module.weight_ih_l0.T + module.bias_ih_l0 + h @ module.weight_hh_l0.T
        h = torch.tanh(pre + module.bias_hh_l0)
        h.register_hook(lambda g: g.clamp(-0.02, 0.02))
        total = total + h.sum()
    wanted = torch.autograd.grad(total, list(module.parameters()))
    torch.testing.assert_close(found, wanted)
    module.bptt_clip = None
    unclipped = torch.autograd.grad(module(x)[0].sum(), list(module.parameters()))
    assert (unclipped[1] - found[1]).abs().max() > 0.1


def test_the_engine_is_visible_and_never_another():
    assert Recurrent("lstm", 5, 6).engine == "cpu"
    assert recurra.nn.GRUCell(5, 6, engine="interp").engine == "interp"
    with pytest.raises(EngineError, match="the engines are auto, cpu, torch, interp"):
        recurra.nn.LSTM(5, 6, engine="gpu")(torch.randn(2, 3, 5))


def test_auto_says_once_what_it_chose(caplog):
    class Fresh(Cell):
        states = ("h",)

        def step(self, x, h, W, U):
            return tanh(W @ x + U @ h)

    with caplog.at_level("INFO", logger="recurra"):
        module = Recurrent(Fresh, 5, 6, engine="auto")
        module(torch.randn(2, 3, 5))
        module(torch.randn(2, 3, 5))
    assert [r.message for r in caplog.records].count(
        "engine auto: Fresh runs on cpu, the first that was asked"
    ) == 1


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Recurrent("lsmt", 5, 6), ConfigError, "did you mean lstm"),
        (lambda: Recurrent(torch.nn.LSTM, 5, 6), TypeError, "the class LSTM; give a .*.Cell"),
        (lambda: Recurrent(object(), 5, 6), TypeError, "a value of type object; give a .*.Cell"),
        (lambda: Recurrent("lstm", 5, 6, "2"), TypeError, "num_layers should be of type int"),
        (lambda: Recurrent("lstm", 5, 6, bptt_clip=-1), ValueError, "bptt_clip is -1; it must be"),
        (lambda: recurra.nn.GRU(5, 6, bptt_clip="a"), ValueError, "bptt_clip is 'a'; it must be"),
        (lambda: Recurrent("lstm", 5, 6)([[1.0]]), TypeError, "input is a value of type list"),
        (
            lambda: Recurrent("gru", 5, 6)(torch.randn(2, 3, 5), (None,)),
            TypeError,
            r"h is a value of type NoneType; give a tensor \(1, 3, 6\)",
        ),
        (lambda: recurra.accelerate(torch.nn.LSTM), TypeError, "model is the class LSTM; give"),
        (
            lambda: recurra.insight.gradient_flow(Recurrent, torch.randn(2, 3, 5)),
            TypeError,
            "model is the class Recurrent; give a torch.nn.Module",
        ),
        (
            lambda: recurra.insight.gradient_flow(
                Recurrent("gru", 5, 6), torch.randn(2, 3, 5), at="last"
            ),
            InsightError,
            "at = 'l' is not a step",
        ),
        (lambda: Recurrent("lstm", 0, 6), ValueError, "input_size must be greater than zero"),
        (lambda: Recurrent("lstm", 5, 6.0), TypeError, "hidden_size should be of type int"),
        (lambda: Recurrent("lstm", 5, 6, 2, dropout=1.5), ValueError, "dropout should be a number"),
        (lambda: Recurrent("lstm", 5, 6)(torch.randn(5)), ValueError, "2D or 3D, got 1D"),
        (lambda: Recurrent("lstm", 5, 6)(torch.randn(2, 3, 4)), RuntimeError, "Expected 5, got 4"),
        (lambda: Recurrent("lstm", 5, 6)(torch.randn(0, 3, 5)), RuntimeError, "larger than 0"),
        (
            lambda: Recurrent("lstm", 5, 6)(torch.randn(2, 3, 5), torch.zeros(1, 3, 6)),
            ValueError,
            r"states given as one value; the LSTM cell has \(h, c\). Pass a tuple of 2",
        ),
        (
            lambda: Recurrent("gru", 5, 6)(torch.randn(2, 3, 5), (torch.zeros(1, 2, 6),)),
            RuntimeError,
            r"Expected h size \(1, 3, 6\), got \[1, 2, 6\]",
        ),
    ],
)
def test_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_a_cell_whose_sizes_contradict_the_layer():
    class Highway(Cell):
        states = ("h",)
        sizes = {"x": "hidden_size"}

        def step(self, x, h, U, b):
            return tanh(U @ h + b) + x

    assert Recurrent(Highway, 6, 6)(torch.randn(2, 3, 6))[0].shape == (2, 3, 6)
    with pytest.raises(
        CellError,
        match=r"is 5.* equal hidden_size, which is 6; give hidden_size = 5, .*Linear\(5, 6\)",
    ):
        Recurrent(Highway, 5, 6)


def test_the_engine_named_is_the_one_that_runs():
    layer = recurra.nn.LSTM(3, 4, engine="auto")
    assert layer.engine == "cpu"
    assert Recurrent("gru", 3, 4, engine="auto", dtype=torch.bfloat16).engine == "torch"
    assert Recurrent("mgu", 3, 4, engine="auto", dtype=torch.bfloat16).engine == "interp"
    assert recurra.nn.LSTMCell(3, 4, engine="auto").engine == "torch"
