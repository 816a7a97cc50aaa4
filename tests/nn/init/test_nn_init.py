"""How parameters start: by the cell's own words, and by the functions of `recurra.nn.init`."""

import math

import pytest
import torch

import recurra.nn
from recurra.cells import CELLS, LSTM, RGLRU, Cell, sigmoid, sLSTM, tanh
from recurra.errors import ConfigError
from recurra.nn import Recurrent, init

FORGETTING = [name for name, cell in CELLS.items() if cell.forget]
RECURRENT = ["rnn", "ornn", "antisymmetric", "fastgrnn_low_rank", "lstm_projected", "gru", "ligru"]


def is_orthogonal(matrix, gain=1.0):
    small = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    return torch.allclose(small @ small.T, gain**2 * torch.eye(len(small)), atol=1e-5)


class Started(Cell):
    """A cell with every way to start."""

    states = ("h",)
    gates = ("f", "n")
    blocks = {"U": "heads"}
    init = {
        "W": "orthogonal",
        "U": "identity",
        "U.n": "orthogonal",
        "p": (2.0, 3.0),
        "b.n": lambda share: 10.0 + share,
        "q": "ones",
    }
    heads: int = 2

    def step(self, x, h, W, U, p, q, b):
        f = sigmoid(W.f @ x + U.f @ h + p * h + b.f)
        return f * h + q * tanh(W.n @ x + U.n @ h + b.n)


def test_every_way_to_start():
    layer = Recurrent(Started, 3, 64)
    assert all(is_orthogonal(w) for w in layer.W_l0.chunk(2))
    same, turned = layer.U_l0.chunk(2)
    assert torch.equal(same, torch.eye(32).repeat(2, 1))
    assert all(is_orthogonal(block) for block in turned.chunk(2))
    assert ((layer.p_l0 >= 2) & (layer.p_l0 < 3)).all()
    assert layer.p_l0.std() > 0.1
    assert layer.b_l0[:64].abs().max() <= 1 / 8
    assert ((layer.b_l0[64:] > 10) & (layer.b_l0[64:] < 11)).all()
    assert torch.equal(layer.q_l0, torch.ones(64))


def test_the_starts_of_papers():
    made = {name: Recurrent(name, 64, 64) for name in ("irnn", "ornn", "indrnn", "ugrnn", "ligru")}
    assert torch.equal(made["irnn"].U_l0, torch.eye(64))
    assert not made["irnn"].b_l0.any()
    assert made["irnn"].W_l0.std().item() == pytest.approx(0.001, rel=0.1)
    assert is_orthogonal(made["ornn"].U_l0)
    assert not made["ornn"].b_l0.any()
    assert 0 <= made["indrnn"].u_l0.min() < 0.3 < 0.7 < made["indrnn"].u_l0.max() <= 1
    assert torch.equal(made["ugrnn"].b_l0[:64], torch.ones(64))
    assert made["ugrnn"].b_l0[64:].abs().max() <= 1 / 8
    assert all(is_orthogonal(matrix) for matrix in made["ligru"].U_l0.chunk(2))


def spans(values, bound):
    """True if values fill the range from -bound to bound evenly."""
    is_even = values.std().item() == pytest.approx(bound / 3**0.5, rel=0.15)
    return is_even and 0.95 * bound < values.abs().max() <= bound * (1 + 1e-6)


def test_the_start_of_the_sru_is_its_authors():
    layer = Recurrent("sru", 64, 64)
    z, *gates = layer.W_l0.chunk(3)
    assert spans(z, (3 / 64) ** 0.5)
    assert all(spans(gate, (1.5 / 64) ** 0.5) for gate in gates)
    assert spans(layer.v_l0, 1.5**0.5)
    assert not layer.b_l0.any()


def test_a_signal_passes_through_eight_layers_of_sru():
    torch.manual_seed(0)
    y, _ = Recurrent("sru", 128, 128, 8)(torch.randn(100, 4, 128))
    assert y.std().item() == pytest.approx(0.93, abs=0.05)


@pytest.mark.parametrize("name", ["fastrnn", "fastgrnn", "fastgrnn_low_rank"])
def test_fastrnn_and_fastgrnn_start_as_their_authors(name):
    layer = Recurrent(name, 64, 64)
    for key, value in layer.named_parameters():
        if key[0] in "WU":
            assert value.std().item() == pytest.approx(0.1, rel=0.1)
            assert value.abs().max() > 0.25
    assert (layer.b_l0 == 1).all()


def test_the_decay_of_the_rglru_is_uniform():
    kept = torch.sigmoid(Recurrent(RGLRU, 500, 500).decay_l0.double()) ** 8
    assert 0.9 <= kept.min() < 0.905
    assert 0.994 < kept.max() <= 0.999
    assert kept.mean().item() == pytest.approx(0.9495, abs=0.005)


def test_the_rglrus_gates_start_normal_in_each_block():
    layer = Recurrent(RGLRU(heads=4), 400, 400)
    assert layer.W_l0.shape == (800, 100)
    assert layer.W_l0.std().item() == pytest.approx(0.1, rel=0.02)
    assert layer.W_l0.abs().max() > 0.35  # not uniform
    assert not layer.b_l0.any()


def test_the_slstm_starts_without_recurrence_and_with_open_forget_gates():
    layer = Recurrent(sLSTM, 8, 200)
    assert not layer.U_l0.any()
    i, f, z, o = layer.b_l0.chunk(4)
    assert not torch.stack([i, z, o]).any()
    assert 3 <= f.min() < 3.1 < 5.9 < f.max() <= 6


def test_a_start_beyond_a_dtype_is_its_largest_number():
    class Wide(Cell):
        states = ("h",)
        init = {"p": lambda share: 1e6 if share > 0.5 else -1e6}

        def step(self, x, h, W, p):
            return p * h + W @ x

    layer = Recurrent(Wide, 3, 100, dtype=torch.float16)
    assert set(layer.p_l0.tolist()) == {-65504.0, 65504.0}


def test_scalars_start_as_published():
    fast, gated = Recurrent("fastrnn", 3, 4), Recurrent("fastgrnn", 3, 4)
    assert (fast.alpha_l0.item(), fast.beta_l0.item()) == (-3.0, 3.0)
    assert (gated.zeta_l0.item(), gated.nu_l0.item()) == (1.0, -4.0)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("options", [{"dtype": torch.bfloat16}, {"device": "meta"}], ids=str)
def test_starts_in_any_dtype_and_on_no_device(name, options):
    layer = Recurrent(name, 4, 4, 2, bidirectional=CELLS[name].sizes.get("x") is None, **options)
    assert {p.dtype for p in layer.parameters()} <= {torch.bfloat16, torch.float32}


def total(layer, gate):
    """A gate's bias, summed over the parameters that make it up."""
    params = layer.cell.graph(bias=layer.bias).params
    biases = [p for p in params if gate in p.gates and (p.name == "b" or p.name.endswith("_bias"))]
    parts = [
        getattr(layer, f"{p.name}_l0").chunk(len(p.gates))[p.gates.index(gate)] for p in biases
    ]
    return sum(parts)


@pytest.mark.parametrize("name", FORGETTING)
def test_forget_bias_of_every_cell(name):
    layer = Recurrent(name, 4, 4)
    gate = layer.cell.forget.removeprefix("1 - ")
    before = {
        k: v.clone() for k, v in layer.state_dict().items() if not k.startswith(("b_l", "norm"))
    }
    assert init.forget_bias_(layer, 1.5) is layer
    sign = -1 if name in ("mgu", "mingru") else 1
    torch.testing.assert_close(total(layer, gate), torch.full((4,), 1.5 * sign))
    assert all(torch.equal(layer.state_dict()[k], v) for k, v in before.items())


def of_drop_in(layer, index, gates, suffix="_l0"):
    both = [getattr(layer, f"bias_{which}{suffix}") for which in ("ih", "hh")]
    return sum(b.chunk(gates)[index] for b in both)


def test_forget_bias_of_drop_ins_inside_a_model():
    model = torch.nn.ModuleDict(
        {
            "lstm": recurra.nn.LSTM(3, 4, 2, bidirectional=True, proj_size=2),
            "gru": recurra.nn.GRU(3, 4),
            "cell": recurra.nn.LSTMCell(3, 4),
        }
    )
    others = model["lstm"].bias_ih_l1_reverse.detach().clone()
    init.forget_bias_(model, 2.0)
    wanted = torch.full((4,), 2.0)
    for suffix in ("_l0", "_l0_reverse", "_l1", "_l1_reverse"):
        assert torch.equal(of_drop_in(model["lstm"], 1, 4, suffix), wanted)
    assert torch.equal(of_drop_in(model["gru"], 1, 3), wanted)
    assert torch.equal(of_drop_in(model["cell"], 1, 4, ""), wanted)
    kept = model["lstm"].bias_ih_l1_reverse
    assert torch.equal(kept[:4], others[:4])
    assert torch.equal(kept[8:], others[8:])


@pytest.mark.parametrize("name", FORGETTING)
def test_chrono_of_every_cell(name):
    layer = init.chrono_(Recurrent(name, 64, 64), 100)
    gate = layer.cell.forget
    keeps = total(layer, gate.removeprefix("1 - ")) * (-1 if gate.startswith("1 - ") else 1)
    steps = keeps.exp()
    assert 1 <= steps.min() < 20
    assert 80 < steps.max() <= 99.01
    if "i" in layer.cell.gates:
        torch.testing.assert_close(total(layer, "i"), -keeps)


def test_chrono_of_drop_ins():
    lstm, gru = init.chrono_(recurra.nn.LSTM(3, 64), 50), init.chrono_(recurra.nn.GRU(3, 64), 50)
    torch.testing.assert_close(of_drop_in(lstm, 0, 4), -of_drop_in(lstm, 1, 4))
    assert 0 <= of_drop_in(gru, 1, 3).min() < 2 < 3 < of_drop_in(gru, 1, 3).max() < math.log(49.1)


def test_a_generator_decides_what_is_drawn():
    layers = [recurra.nn.LSTM(3, 4) for _ in range(2)]
    for layer in layers:
        generator = torch.Generator().manual_seed(7)
        init.chrono_(layer, 100, generator=generator)
        init.orthogonal_(layer, generator=generator)
    assert torch.equal(layers[0].weight_hh_l0, layers[1].weight_hh_l0)
    torch.testing.assert_close(of_drop_in(layers[0], 1, 4), of_drop_in(layers[1], 1, 4))


def test_the_global_seed_is_left_alone_where_a_generator_is_given():
    layer, before = recurra.nn.GRU(3, 4), torch.get_rng_state()
    init.orthogonal_(layer, generator=torch.Generator())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", RECURRENT)
def test_orthogonal_takes_each_gate_by_itself(name):
    layer = Recurrent(name, 5, 6, 2)
    below = layer.state_dict()
    first = {k: v.clone() for k, v in below.items() if k[0] in "WVb"}
    init.orthogonal_(layer, 0.5)
    for param in layer.cell.graph().params:
        if param.name[0] in "UR":
            stored = getattr(layer, f"{param.name}_l1").detach()
            assert all(is_orthogonal(m, 0.5) for m in stored.chunk(max(1, len(param.gates))))
    assert all(torch.equal(layer.state_dict()[k], v) for k, v in first.items())


def test_orthogonal_blocks():
    layer = init.orthogonal_(Recurrent(sLSTM(heads=2), 3, 6))
    assert all(is_orthogonal(block) for block in layer.U_l0.detach().chunk(8))


def test_orthogonal_and_identity_of_drop_ins():
    lstm = init.orthogonal_(recurra.nn.LSTM(3, 4, proj_size=2))
    assert all(is_orthogonal(m) for m in lstm.weight_hh_l0.detach().chunk(4))
    assert is_orthogonal(lstm.weight_hr_l0.detach())
    gru = init.identity_(recurra.nn.GRU(3, 4, bidirectional=True), 0.5)
    assert torch.equal(gru.weight_hh_l0_reverse, 0.5 * torch.eye(4).repeat(3, 1))
    cell = init.identity_(recurra.nn.RNNCell(3, 4))
    assert torch.equal(cell.weight_hh, torch.eye(4))


def test_identity_of_blocks_is_the_identity():
    layer = init.identity_(Recurrent(sLSTM(heads=2), 3, 6), 0.9)
    assert torch.equal(layer.U_l0, 0.9 * torch.eye(3).repeat(8, 1))


def parametrised():
    layer = Recurrent("rnn", 3, 4)
    return torch.nn.utils.parametrizations.orthogonal(layer, "U_l0")


WRONG = {
    "no forget gate": (
        lambda: init.forget_bias_(recurra.nn.RNN(3, 4)),
        "RNN has no forget gate; cells .*lstm, .*gru.* as `forget`",
    ),
    "chrono without one": (
        lambda: init.chrono_(Recurrent("lstm_1997", 3, 4), 9),
        "chrono_: LSTM1997 has no forget gate",
    ),
    "no biases": (
        lambda: init.forget_bias_(recurra.nn.LSTM(3, 4, bias=False)),
        "`f` of this layer of LSTM has no bias; make .* bias=True",
    ),
    "no recurrent layer": (
        lambda: init.orthogonal_(torch.nn.LSTM(3, 4)),
        "LSTM holds no recurrent layer of Recurra.*recurra.accelerate",
    ),
    "no recurrent matrix": (
        lambda: init.orthogonal_(Recurrent("indrnn", 3, 4)),
        "IndRNN has no recurrent matrix",
    ),
    "not square": (
        lambda: init.identity_(recurra.nn.LSTM(3, 4, proj_size=2)),
        "weight_hh_l0 of LSTM stacks matrices of 4 x 2",
    ),
    "parametrised": (lambda: init.orthogonal_(parametrised()), "U_l0 of .* is computed from other"),
    "value": (
        lambda: init.forget_bias_(recurra.nn.LSTM(3, 4), math.nan),
        "forget_bias_: value=nan; it must be",
    ),
    "gain": (lambda: init.identity_(recurra.nn.LSTM(3, 4), True), "identity_: gain=True"),
    "steps": (lambda: init.chrono_(recurra.nn.LSTM(3, 4), 2), "max_steps=2; it must be a whole"),
    "part of a step": (lambda: init.chrono_(recurra.nn.LSTM(3, 4), 9.5), "max_steps=9.5"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_refused(case):
    call, message = WRONG[case]
    with pytest.raises(ConfigError, match=message):
        call()


def test_nothing_is_changed_where_a_later_layer_is_refused():
    model = torch.nn.Sequential(recurra.nn.LSTM(3, 4), recurra.nn.RNN(4, 4))
    before = model[0].bias_ih_l0.detach().clone()
    with pytest.raises(ConfigError, match="RNN has no forget gate"):
        init.forget_bias_(model)
    assert torch.equal(model[0].bias_ih_l0, before)


def test_a_subclass_of_a_cell_keeps_its_roles():
    class Mine(LSTM):
        init = {"b.f": 1.0}

    layer = Recurrent(Mine, 3, 4)
    assert torch.equal(layer.b_l0[4:8], torch.ones(4))
    assert torch.equal(init.forget_bias_(layer, -1.0).b_l0[4:8], -torch.ones(4))


def test_chrono_without_spread_is_the_same_for_all_units():
    layer = init.chrono_(Recurrent("lstm", 3, 8), 101, spread=False)
    i, f, _, _ = layer.b_l0.chunk(4)
    torch.testing.assert_close(f, torch.full((8,), math.log(100)))
    assert torch.equal(i, -f)
