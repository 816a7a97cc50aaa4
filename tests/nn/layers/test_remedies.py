"""Dropout of inputs, states, candidates and weights, zoneout and learnt starts, against loops."""

import copy

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import recurra.nn
from helpers.remedy_loops import Draws, run
from recurra.cells import Cell, tanh
from recurra.errors import CellError, ConfigError
from recurra.nn import Layer, Recurrent, Stack
from recurra.nn.execute import Sequences
from recurra.nn.layers.remedies import Masks

ALL = {
    "input": {"input_dropout": 0.4},
    "state": {"state_dropout": 0.3},
    "output": {"output_dropout": 0.5},
    "recurrent": {"recurrent_dropout": 0.4},
    "weight": {"weight_drop": 0.5},
    "zoneout": {"zoneout": 0.3},
    "start": {"learn_initial_state": True},
}
TOGETHER = {name: value for options in ALL.values() for name, value in options.items()}
LENGTHS = torch.tensor([4, 0, 6, 2])
SORTED = torch.tensor([6, 4, 4, 1])


@pytest.fixture
def draws(monkeypatch):
    return Draws().watch(monkeypatch)


def made(cell="lstm", num_layers=1, *, training=True, **options):
    """A layer of 5 units on 3 inputs, and an input (6, 4, 3); learnt starts aren't zeros."""
    layer = Recurrent(cell, 3, 5, num_layers, dtype=torch.double, **options).train(training)
    for name, parameter in layer.named_parameters():
        if name.startswith("initial"):
            torch.nn.init.normal_(parameter)
    return layer, torch.randn(6, 4, 3, dtype=torch.double, requires_grad=True)


def gradients(layer, x, y, states):
    """Of a loss that weighs every output and every last state differently."""
    values = [y, *states]
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(v.shape, generator=generator, dtype=v.dtype) for v in values]
    loss = sum((v * w).sum() for v, w in zip(values, weights, strict=True))
    return torch.autograd.grad(loss, [x, *layer.parameters()], allow_unused=True)


def check(layer, x, found, wanted):
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(gradients(layer, x, *found), gradients(layer, x, *wanted))


def marks():
    return torch.rand(6, 4, generator=torch.Generator().manual_seed(2)) < 0.4


CALLS = {
    "plain": dict,
    "lengths": lambda: {"lengths": LENGTHS},
    "resets": lambda: {"resets": marks()},
    "both": lambda: {"lengths": LENGTHS, "resets": marks()},
}


@pytest.mark.parametrize("engine", ["cpu", "interp"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("remedy", ALL)
def test_each_is_its_formula(draws, engine, cell, remedy):
    layer, x = made(cell, engine=engine, **ALL[remedy])
    check(layer, x, layer(x), run(layer, x, draws))


@pytest.mark.parametrize("engine", ["cpu", "interp"])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("training", [True, False])
def test_all_together_in_layers_and_directions(draws, engine, call, training):
    options = {**TOGETHER, "engine": engine, "bidirectional": True}
    layer, x = made("lstm", 2, training=training, **options)
    call = CALLS[call]()
    check(layer, x, layer(x, **call), run(layer, x, draws, **call))


@pytest.mark.parametrize("engine", ["cpu", "interp"])
@pytest.mark.parametrize("resets", [None, marks()])
def test_packed_sequences(draws, engine, resets):
    layer, x = made("gru", 2, engine=engine, bidirectional=True, **TOGETHER)
    packed = pack_padded_sequence(x, SORTED)
    y, states = layer(packed, resets=resets)
    wanted = run(layer, x, draws.padded(packed), SORTED, resets)
    check(layer, x, (pad_packed_sequence(y)[0], states), wanted)


@pytest.mark.parametrize("name", ["lstm_layernorm", "mgu", "slstm"])
@pytest.mark.parametrize("training", [True, False])
def test_the_engines_draw_and_compute_the_same(name, training):
    found = []
    for engine in ("interp", "cpu"):
        torch.manual_seed(3)
        layer, x = made(name, training=training, engine=engine, **TOGETHER)
        y, states = layer(x, resets=marks())
        found.append((y, states, gradients(layer, x, y, states)))
    torch.testing.assert_close(*found, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("remedy", ["input", "state", "output", "recurrent", "weight"])
def test_what_is_dropped_is_all_there_outside_training(remedy):
    layer, x = made(training=False, **ALL[remedy])
    plain = Recurrent("lstm", 3, 5, dtype=torch.double)
    plain.load_state_dict(layer.state_dict())
    assert layer._kernel is plain._kernel
    assert torch.equal(layer(x)[0], plain(x)[0])


def test_zoneout_is_its_expectation_outside_training(draws):
    layer, x = made(training=False, zoneout={"c": 0.25, "h": 0.5})
    layer(x)
    assert [m.unique().item() for _, m in draws] == [0.5, 0.25]
    assert torch.equal(layer(x)[0], layer(x)[0])


def test_zoneout_of_one_state_leaves_the_other(draws):
    layer, x = made(zoneout={"c": 0.5})
    check(layer, x, layer(x), run(layer, x, draws))
    ((_, held),) = draws
    assert held.unique().tolist() == [0.0, 1.0]


def rows(steps=8, batch=500, dtype=torch.float32):
    return Masks(torch.empty(steps, batch, 1, dtype=dtype), steps, batch)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("share", [0.0, 1e-4, 0.1, 0.5, 0.999999, 1.0])
def test_shares_are_what_they_say_in_every_dtype(dtype, share):
    held = rows(11, 500, dtype).zoneout(share, 41, training=True)
    spread = (share * (1 - share) / held.numel()) ** 0.5
    assert held.double().mean().item() == pytest.approx(share, abs=5 * spread + 2e-5)
    assert set(held.unique().tolist()) <= {0.0, 1.0}


def test_neighbours_are_drawn_apart():
    held = rows(11, 500).zoneout(0.5, 41, training=True).flatten() - 0.5
    for lag in (1, 2, 3, 4, 5, 41, 41 * 500):
        assert abs((held[lag:] * held[:-lag]).mean().item()) < 5 * 0.25 / held.numel() ** 0.5


def test_masks_for_all_steps_are_the_same_at_each():
    mask = rows().for_all_steps(0.25, 40)
    assert mask.shape == (8, 500, 40)
    assert torch.equal(mask, mask[:1].expand_as(mask))
    assert mask.unique().tolist() == [0.0, pytest.approx(1 / 0.75)]
    assert mask[0].mean().item() == pytest.approx(1, abs=0.02)
    assert not torch.equal(mask[0, 0], mask[0, 1])


def test_masks_of_a_step_are_drawn_anew():
    masks = rows().for_each_step(0.25, 40)
    assert masks.unique().tolist() == [0.0, pytest.approx(1 / 0.75)]
    assert masks.mean().item() == pytest.approx(1, abs=0.01)
    same = (masks[0] == masks[1]).float().mean().item()
    assert same == pytest.approx(0.75**2 + 0.25**2, abs=0.02)


def test_what_zoneout_holds_is_drawn_anew():
    held = rows().zoneout(0.25, 40, training=True)
    assert held.unique().tolist() == [0.0, 1.0]
    assert held.mean().item() == pytest.approx(0.25, abs=0.01)
    assert (held[0] == held[1]).float().mean().item() == pytest.approx(0.625, abs=0.02)


def test_packed_rows_of_a_sequence_have_its_mask():
    packed = pack_padded_sequence(torch.randn(6, 4, 3), SORTED)
    steps = Sequences(6, lengths=SORTED, is_packed=True)
    found = Masks.of(packed.data, steps).for_all_steps(0.5, 30)
    padded, _ = pad_packed_sequence(packed._replace(data=found))
    for b, length in enumerate(SORTED):
        assert torch.equal(padded[:length, b], padded[:1, b].expand(int(length), -1))
    assert not torch.equal(padded[0, 0], padded[0, 1])


def test_weights_are_dropped_once_a_run_and_scaled(draws):
    layer, x = made(weight_drop=0.25)
    layer(x)
    layer(x)
    first, second = (m for _, m in draws)
    assert first.shape == layer.U_l0.shape
    assert first.unique().tolist() == [0.0, pytest.approx(1 / 0.75)]
    assert not torch.equal(first, second)


@pytest.mark.parametrize("remedy", ["state", "recurrent", "weight", "zoneout"])
def test_layers_and_directions_have_masks_of_their_own(draws, remedy):
    layer, x = made("gru", 2, bidirectional=True, **ALL[remedy])
    layer(x)
    masks = [m for _, m in draws]
    assert len(masks) == 4
    assert not any(torch.equal(a, b) for i, a in enumerate(masks) for b in masks[:i])


def test_directions_share_the_mask_of_what_they_both_read(draws):
    layer, x = made("gru", 2, bidirectional=True, input_dropout=0.5)
    layer(x)
    assert [m.shape[-1] for _, m in draws] == [3, 10]


@pytest.mark.parametrize("remedy", ["input", "state", "output", "recurrent", "zoneout"])
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_shares_of_nothing_and_of_all(draws, remedy, share):
    (name,) = ALL[remedy]
    layer, x = made(**{name: share})
    y, _ = layer(x)
    assert torch.isfinite(y).all()
    assert bool(draws) == bool(share)


@pytest.mark.parametrize("engine", ["cpu", "interp"])
def test_nan_in_the_padding_stays_there(engine):
    layer, x = made("lstm", 2, engine=engine, bidirectional=True, **TOGETHER)
    ended = torch.arange(6).unsqueeze(-1) >= LENGTHS
    x = x.detach().masked_fill(ended.unsqueeze(-1), torch.nan).requires_grad_()
    y, states = layer(x, lengths=LENGTHS)
    found = gradients(layer, x, y, states)
    assert all(torch.isfinite(v).all() for v in (y, *states, *found))


@pytest.mark.parametrize("remedy", ["input", "state", "recurrent", "zoneout"])
def test_no_mask_hides_a_nan(remedy):
    """As torch's dropout: 0 times NaN is NaN, so that what is broken is seen."""
    (name,) = ALL[remedy]
    layer, x = made(**{name: 1.0})
    x = x.detach()
    x[2, 1, 0] = torch.nan
    y, _ = layer(x)
    assert y[2:, 1].isnan().all()
    assert torch.isfinite(y[:, [0, 2, 3]]).all()


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("engine", ["cpu", "interp"])
def test_learnt_starts(call, bidirectional, engine):
    options = {"engine": engine, "bidirectional": bidirectional}
    layer, x = made("lstm", 2, learn_initial_state=True, **options)
    call = CALLS[call]()
    check(layer, x, layer(x, **call), run(layer, x, **call))


def test_states_given_take_the_place_of_learnt_ones():
    layer, x = made("gru", learn_initial_state=True)
    given = (torch.zeros(1, 4, 5, dtype=torch.double),)
    y, states = layer(x, given)
    assert gradients(layer, x, y, states)[-1] is None
    plain = Recurrent("gru", 3, 5, dtype=torch.double)
    plain.load_state_dict(layer.state_dict(), strict=False)
    torch.testing.assert_close(y, plain(x)[0])


def test_a_reset_begins_with_what_is_learnt_whatever_was_given():
    layer, x = made("gru", learn_initial_state=True)
    resets = torch.zeros(6, 4, dtype=torch.bool)
    resets[2] = True
    y, _ = layer(x, (torch.randn(1, 4, 5, dtype=torch.double),), resets=resets)
    torch.testing.assert_close(y[2:], layer(x[2:])[0])


def test_learnt_starts_begin_as_zeros():
    layer = Recurrent("lstm", 3, 5, 2, bidirectional=True, learn_initial_state=True)
    names = [n for n, _ in layer.named_parameters() if n.startswith("initial")]
    assert names[:3] == ["initial_h_l0", "initial_c_l0", "initial_h_l0_reverse"]
    assert len(names) == 8
    assert all(layer.get_parameter(name).abs().sum() == 0 for name in names)


def check_compiled(layer, x, backend):
    torch._dynamo.reset()
    compiled, found = torch.compile(layer, fullgraph=True, backend=backend), []
    for call in (compiled, layer):
        torch.manual_seed(4)
        y, states = call(x, resets=marks())
        found.append((y, states, gradients(layer, x, y, states)))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("remedy", ALL)
def test_each_is_followed_by_torch_compile(remedy):
    check_compiled(*made(**ALL[remedy]), backend="eager")


@pytest.mark.parametrize("training", [True, False])
def test_all_together_are_compiled(training):
    check_compiled(*made("lstm", 2, training=training, **TOGETHER), backend="aot_eager")


def test_a_copy_is_the_same_layer():
    layer, x = made("lstm", 2, **TOGETHER)
    twin = copy.deepcopy(layer)
    found = []
    for each in (layer, twin):
        torch.manual_seed(5)
        found.append(each(x)[0])
    assert torch.equal(*found)
    assert twin.U_l0 is not layer.U_l0


def test_weights_go_from_a_layer_with_remedies_to_one_without():
    layer, _ = made(**{k: v for k, v in TOGETHER.items() if k != "learn_initial_state"})
    plain = Recurrent("lstm", 3, 5, dtype=torch.double)
    assert plain.load_state_dict(layer.state_dict()) == layer.load_state_dict(plain.state_dict())
    started, _ = made(learn_initial_state=True)
    assert set(started.state_dict()) - set(plain.state_dict()) == {"initial_h_l0", "initial_c_l0"}


def test_a_layer_tells_its_remedies():
    text = repr(Recurrent("lstm", 3, 5, weight_drop=0.5, zoneout={"c": 0.5}))
    assert text == "Recurrent(LSTM(), 3, 5, weight_drop=0.5, zoneout={'c': 0.5})"
    assert "learn_initial_state=True" in repr(Recurrent("lstm", 3, 5, learn_initial_state=True))


def test_a_trace_shows_what_is_computed():
    layer, x = made(training=False, zoneout=0.25)
    y, states = layer(x, return_states="all")
    trace = layer.trace(x)
    torch.testing.assert_close(trace["h"], y)
    before = torch.cat([torch.zeros(1, 4, 5), states[1][0]]).double()[:-1]
    fresh = trace["f"] * before + trace["i"] * trace["g"]
    torch.testing.assert_close(trace["c"], 0.25 * before + 0.75 * fresh)


def test_a_stack_hands_them_on():
    options = {"zoneout": 0.5, "learn_initial_state": True}
    stack = Stack(3, [Layer("lstm", 5, options=options), Layer("gru", 4, bidirectional=True)])
    assert stack.layers[0].remedies.zoneout == 0.5
    x = torch.randn(6, 4, 3)
    y, _ = stack(x)
    y.sum().backward()
    assert stack.layers[0].initial_c_l0.grad.abs().sum() > 0
    assert not torch.equal(stack(x)[0], stack(x)[0])


def test_a_layer_with_time_skip_refuses_a_mask_of_a_whole_run():
    with pytest.raises(ValueError, match="A Layer with time_skip can't have state_dropout"):
        Layer("lstm", 5, time_skip=2, options={"state_dropout": 0.5})


def test_a_stack_drops_of_its_output_by_one_mask():
    layers = [Layer("lstm", 5), Layer("gru", 8, dilation=2)]
    stack = Stack(3, layers, skip="residual", norm="post", output_dropout=0.25)
    x = torch.randn(6, 50, 3)
    y, plain = stack(x)[0], stack.eval()(x)[0]
    kept = y != 0
    assert (kept == kept[0]).all()
    assert 0.7 < kept[0].float().mean() < 0.8
    torch.testing.assert_close(y[kept], (plain / 0.75)[kept])
    assert "output_dropout=0.25" in repr(stack)
    with pytest.raises(ValueError, match=r"output_dropout is 1\.5; it must be"):
        Stack(3, layers, output_dropout=1.5)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_the_drop_ins_know_none_of_it(name):
    for option in TOGETHER:
        with pytest.raises(TypeError, match=option):
            getattr(recurra.nn, name)(3, 5, **{option: 0.5})


class Counter(Cell):
    """A state with no weights on it."""

    states = ("h",)

    def step(self, x, h, W):
        return h + tanh(W @ x)


@pytest.mark.parametrize("name", [name for name in TOGETHER if name != "learn_initial_state"])
@pytest.mark.parametrize("share", [-0.1, 1.5, True, "half", None, float("nan")])
def test_what_is_no_share_is_refused(name, share):
    with pytest.raises(ValueError, match=f"{name} is .*; it must be a number from 0 to 1"):
        Recurrent("lstm", 3, 5, **{name: share})


@pytest.mark.parametrize(
    ("cell", "options", "error", "text"),
    [
        ("lstm", {"zoneout": {"c": 2}}, ValueError, "zoneout is 2; it must be a number"),
        ("lstm", {"zoneout": {"s": 0.5}}, ConfigError, "zoneout names the states s; LSTM has h, c"),
        ("lstm", {"learn_initial_state": 1}, TypeError, "learn_initial_state should be of type"),
        (Counter, {"state_dropout": 0.5}, CellError, "Counter multiplies its state h by no rec"),
        (Counter, {"weight_drop": 0.5}, ConfigError, "Counter has no recurrent matrix"),
        (Counter, {"recurrent_dropout": 0.5}, CellError, "Counter has no candidate"),
        ("indrnn", {"weight_drop": 0.5}, ConfigError, "use zoneout or output_dropout"),
    ],
)
def test_what_has_nothing_to_act_on_is_refused(cell, options, error, text):
    with pytest.raises(error, match=text):
        Recurrent(cell, 3, 5, **options)
