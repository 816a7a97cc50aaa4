"""`trace` and `return_states="all"` of layers: every value of every step, against formulas."""

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import recurra.nn
from recurra.cells import Cell, norm, sigmoid, tanh
from recurra.nn import GRU, LSTM, RNN, Layer, Recurrent, Stack
from recurra.nn.observe.recording import recording

STEPS, BATCH = 6, 3
LENGTHS = torch.tensor([4, 6, 0])


def inputs(*shape):
    return torch.randn(shape or (STEPS, BATCH, 2), dtype=torch.double)


def test_gates_of_a_drop_in_are_those_of_its_equations():
    layer, x = LSTM(2, 3, dtype=torch.double), inputs()
    trace = layer.trace(x)
    y, (h, c) = layer(x, return_states="all")
    before = torch.cat([torch.zeros_like(y[:1]), y[:-1]])
    bias = layer.bias_ih_l0 + layer.bias_hh_l0
    i, f, g, o = (x @ layer.weight_ih_l0.T + before @ layer.weight_hh_l0.T + bias).chunk(4, -1)
    wanted = [x, i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid(), c[0], h[0]]
    assert list(trace) == ["x", "i", "f", "g", "o", "c", "h"]
    torch.testing.assert_close(list(trace.values()), wanted)
    assert not trace["i"].requires_grad


def test_states_given_and_resets_take_part():
    layer, x = GRU(2, 3, dtype=torch.double), inputs()
    h, resets = inputs(1, BATCH, 3), torch.zeros(STEPS, BATCH, dtype=torch.bool)
    resets[3, 1] = True
    trace = layer.trace(x, h, resets=resets)
    torch.testing.assert_close(trace["h"], layer(x, h, resets=resets)[0])
    later = layer.trace(x[3:])
    torch.testing.assert_close(trace["r"][3:, 1], later["r"][:, 1])


def test_layers_directions_and_ends():
    layer, x = RNN(2, 3, 2, bidirectional=True, dtype=torch.double), inputs()
    trace = layer.trace(x, lengths=LENGTHS)
    y, every = layer(x, lengths=LENGTHS, return_states="all")
    ended = (torch.arange(STEPS).unsqueeze(1) >= LENGTHS).unsqueeze(-1)
    for index, wanted in enumerate(every):
        value = trace["h", index // 2, index % 2]
        torch.testing.assert_close(value.nan_to_num(), wanted)
        assert torch.equal(value.isnan(), ended.expand_as(value))
    torch.testing.assert_close(torch.cat([trace["h", 1, 0], trace["h", -1, 1]], -1).nan_to_num(), y)
    assert set(trace) == {(n, i, d) for n in ("x", "h") for i in (0, 1) for d in (0, 1)}


def test_shapes_are_those_of_the_input():
    layer = Recurrent("lstm", 2, 3, batch_first=True, dtype=torch.double)
    x = inputs(BATCH, STEPS, 2)
    torch.testing.assert_close(layer.trace(x)["h"], layer(x)[0])
    assert layer.trace(x, lengths=LENGTHS)["x"][0, 4:].isnan().all()
    torch.testing.assert_close(layer.trace(x[1])["h"], layer(x[1])[0])


class Words(Cell):
    """Names assigned twice, gates taken together, a learnt number, and what has no steps."""

    states = ("h",)
    gates = ("a", "b")
    scalars = {"k": 0.5}

    def step(self, x, h, W, U, b, k):
        v = normed(W @ x + U @ h)
        v = v + b
        n = tanh(v.b)
        size = sigmoid(k)
        steady = sigmoid(b.a)
        return size * sigmoid(v.a) * n + steady * h


def normed(v):
    """Written below the cell: what stands later in a file needn't be computed later."""
    return norm(v)


def test_a_name_assigned_twice_is_the_later_value():
    layer, x = Recurrent(Words, 2, 3, dtype=torch.double), inputs()
    trace = layer.trace(x)
    assert list(trace) == ["x", "v", "n", "size", "steady", "h"]
    assert trace["v"].shape == (STEPS, BATCH, 6)
    torch.testing.assert_close(trace["n"], trace["v"][..., 3:].tanh())
    steady = layer.b_l0[:3].sigmoid().expand(STEPS, BATCH, 3)
    torch.testing.assert_close(trace["steady"], steady.detach())
    assert trace["size"].shape == (STEPS, BATCH, 1)
    before = torch.cat([torch.zeros(1, BATCH, 3).double(), trace["h"][:-1]])
    new = trace["size"] * trace["v"][..., :3].sigmoid() * trace["n"] + trace["steady"] * before
    torch.testing.assert_close(trace["h"], new)


def test_without_biases_and_with_projection():
    assert list(Recurrent("gru", 2, 3, bias=False).trace(torch.randn(4, 1, 2)))[1:4] == list("rzn")
    trace = LSTM(2, 3, proj_size=2).trace(torch.randn(4, 1, 2))
    assert trace["h"].shape[-1] == 2
    assert trace["c"].shape[-1] == 3


@pytest.mark.parametrize("lengths", [None, [4, 6, 0]])
def test_a_stack_with_dilation_and_time_skips(lengths):
    layers = [Layer("gru", 2, True, 2, 3), Layer("lstm", 3, dilation=4), Layer("rnn", 2)]
    stack, x = Stack(2, layers, norm="pre", dtype=torch.double), inputs()
    trace = stack.trace(x, lengths=lengths)
    _, every = stack(x, lengths=lengths, return_states="all")
    found = [trace["h", 0, 0], trace["h", 0, 1], trace["h", 1], trace["c", 1], trace["h", 2]]
    wanted = [*every[0][0], *every[1][0], *every[1][1], *every[2][0]]
    torch.testing.assert_close([v.nan_to_num() for v in found], wanted)
    torch.testing.assert_close(trace["x", 0, 1][..., :2], trace["x", 0, 0][..., :2], equal_nan=True)
    assert trace["x", 0, 1].shape[-1] == 4


def test_tracing_is_one_run_and_leaves_nothing_behind():
    layer, calls = Recurrent("gru", 2, 3), []
    layer.register_forward_hook(lambda *_: calls.append(1))
    layer.trace(torch.randn(4, 1, 2))
    assert calls == [1]
    assert all(p.grad is None for p in layer.parameters())


@pytest.mark.parametrize(
    ("layers", "bidirectional", "key", "text"),
    [
        (1, False, "q", "layer 0 has no value 'q'; it has x, r, z, n, h"),
        (2, False, "r", r"has 2 layers; ask for trace\['r', layer\]"),
        (2, False, ("r", 2), "there is no layer 2; the trace has 2"),
        (1, True, "r", r"has 2 directions; ask for trace\['r', 0, 0\]"),
        (1, False, ("r", 0, 1), "layer 0 has 1 directions, got 1"),
        (1, False, 3, "3 must be a name"),
    ],
)
def test_keys_that_are_none(layers, bidirectional, key, text):
    trace = GRU(2, 3, layers, bidirectional=bidirectional).trace(torch.randn(4, 1, 2))
    with pytest.raises(KeyError, match=text):
        trace[key]


def test_packed_sequences_are_refused():
    packed = pack_padded_sequence(torch.randn(4, 1, 2), torch.tensor([4]))
    with pytest.raises(TypeError, match="takes a padded input and its lengths"):
        GRU(2, 3).trace(packed)


MODULES = [
    lambda **o: recurra.nn.RNN(2, 3, 2, **o),
    lambda **o: recurra.nn.LSTM(2, 3, 2, proj_size=2, **o),
    lambda **o: recurra.nn.GRU(2, 3, **o),
    lambda **o: recurra.nn.Recurrent("lstm", 2, 3, 2, **o),
]


def as_tuple(states):
    return states if isinstance(states, tuple) else (states,)


@pytest.mark.parametrize("engine", ["interp", "cpu"])
@pytest.mark.parametrize("make", MODULES)
def test_all_states_are_those_of_single_steps(make, engine):
    layer, x, hx = make(dtype=torch.double, engine=engine), inputs(), None
    y, every = layer(x, return_states="all", lengths=[6, 6, 2])
    for t in range(STEPS):
        _, hx = layer(x[t : t + 1], hx)
        for found, wanted in zip(as_tuple(every), as_tuple(hx), strict=True):
            torch.testing.assert_close(found[:, t, :2], wanted[:, :2])
            torch.testing.assert_close(found[:, t, 2], wanted[:, 2] * (t < 2))
    torch.testing.assert_close(as_tuple(every)[0][-1], y)


@pytest.mark.parametrize("make", MODULES)
@pytest.mark.parametrize("batch_first", [False, True])
def test_all_states_of_packed_and_unbatched_inputs(make, batch_first):
    layer = make(dtype=torch.double, bidirectional=True, batch_first=batch_first)
    x, ends = inputs(), torch.tensor([4, 6, 1])
    given = x.transpose(0, 1) if batch_first else x
    wanted = layer(given, lengths=ends, return_states="all")
    packed = pack_padded_sequence(given, ends, batch_first, enforce_sorted=False)
    y, every = layer(packed, return_states="all")
    torch.testing.assert_close((pad_packed_sequence(y, batch_first)[0], every), wanted)
    single = as_tuple(layer(x[:, 1], return_states="all")[1])
    axis = 1 if batch_first else 2
    torch.testing.assert_close(single, tuple(s.select(axis, 1) for s in as_tuple(wanted[1])))


@pytest.mark.parametrize("engine", ["interp", "cpu"])
def test_all_states_have_gradients(engine):
    layer = Recurrent("lstm", 2, 2, bidirectional=True, dtype=torch.double, engine=engine)
    x = inputs(4, 2, 2).requires_grad_()

    def run(x, *weights):
        return layer(x, lengths=[4, 2], return_states="all", resets=torch.eye(4, 2) > 0)

    assert torch.autograd.gradcheck(lambda *a: run(*a)[1], (x, *layer.parameters()), fast_mode=True)


def test_another_word_is_refused():
    for layer in (GRU(2, 3), Recurrent("gru", 2, 3)):
        with pytest.raises(ValueError, match="return_states is 'every'; it must be 'last' or"):
            layer(torch.randn(4, 1, 2), return_states="every")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("cell", ["qrnn_f", "lstm", "gru"])
def test_a_run_of_16_bits_is_recorded_as_it_runs(cell, dtype):
    """States are not rounded between steps: outputs are the float64 layer's, rounded once."""
    layer = Recurrent(cell, 3, 4, dtype=dtype, engine="interp")
    with torch.no_grad():
        layer.b_l0.add_(2)
    twin = Recurrent(cell, 3, 4, dtype=torch.double, engine="interp")
    twin.load_state_dict({k: v.double() for k, v in layer.state_dict().items()})
    x, resets = torch.randn(60, 2, 3, dtype=dtype), torch.rand(60, 2) < 0.05
    x.requires_grad_()
    lengths = [60, 41]
    y, last = layer(x, lengths=lengths, resets=resets)
    with recording():
        found, found_last = layer(x, lengths=lengths, resets=resets)
    wanted, wanted_last = twin(x.double(), lengths=lengths, resets=resets)
    half = torch.finfo(dtype).eps * 0.51
    for same, ours, exact in zip(
        (y, *last), (found, *found_last), (wanted, *wanted_last), strict=True
    ):
        assert ours.dtype == same.dtype == dtype
        torch.testing.assert_close(ours.double(), exact, rtol=half, atol=1e-6)
        torch.testing.assert_close(ours, same, rtol=2 * half, atol=1e-6)
    slopes = [torch.autograd.grad(v.double().sum(), x)[0] for v in (y, found)]
    torch.testing.assert_close(*slopes, rtol=2 * half, atol=1e-6)
