"""Recurrent layers from a configuration: the same draws as by hand, every remedy in every form."""

import math

import pytest
import torch
from torch import nn

from recurra.cells import Cell, tanh
from recurra.config.task_config import NetworkConfig
from recurra.errors import CellError, ConfigError
from recurra.nn import Recurrent, Stack, init
from recurra.nn.init.stored_parameters import layer_parameters
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.language.config import LanguageConfig
from recurra.tasks.language.model import LanguageNet
from recurra.tasks.long_range.config import LongRangeConfig
from recurra.tasks.long_range.model import LongRangeNet, training_loss
from recurra.tasks.long_range.sequences import training_windows
from recurra.tasks.network import initialise, recurrent_layers


def made(**settings):
    torch.manual_seed(0)
    return recurrent_layers(NetworkConfig(**{"hidden": 6, **settings}), 3)


def assert_same_weights(module, other):
    weights, others = module.state_dict(), other.state_dict()
    assert list(weights) == list(others)
    assert all(torch.equal(weights[name], others[name]) for name in weights)


def language_by_hand(cell, layers, start, **remedies):
    embedding = nn.Embedding(11, 6)
    recurrent = Recurrent(cell, 6, 6, layers, **remedies)
    head = nn.Linear(recurrent.output_size, 11)
    nn.init.uniform_(embedding.weight, -0.1, 0.1)
    nn.init.uniform_(head.weight, -0.1, 0.1)
    nn.init.zeros_(head.bias)
    start(recurrent)
    return nn.ModuleDict({"embedding": embedding, "recurrent": recurrent, "head": head})


REMEDIES = {"zoneout": 0.1, "weight_drop": 0.5, "learn_initial_state": True, "state_dropout": 0.2}


@pytest.mark.parametrize(
    ("settings", "start"),
    [
        ({}, lambda layer: layer),
        ({"layers": 2, **REMEDIES}, lambda layer: layer),
        ({"init": "orthogonal:2, forget-bias:3"},
         lambda layer: init.forget_bias_(init.orthogonal_(layer, 2.0), 3.0)),
        ({"init": "chrono:50, orthogonal"},
         lambda layer: init.orthogonal_(init.chrono_(layer, 50))),
        ({"cell": "gru", "init": "identity:0.5"}, lambda layer: init.identity_(layer, 0.5)),
    ],
)  # fmt: skip
def test_a_language_model_is_drawn_as_by_hand(settings, start):
    torch.manual_seed(1)
    net = LanguageNet(LanguageConfig(hidden=6, **settings), 11)
    torch.manual_seed(1)
    remedies = {name: value for name, value in settings.items() if name in REMEDIES}
    cell, layers = settings.get("cell", "lstm"), settings.get("layers", 1)
    assert_same_weights(net, language_by_hand(cell, layers, start, **remedies))


@pytest.mark.parametrize(
    ("settings", "layers", "start"),
    [
        ({}, lambda: Recurrent("gru", 2, 6), lambda layer: layer),
        ({"layers": 2, "skip": "highway", "norm": "pre", "dilation": 3, "init": "orthogonal"},
         lambda: Stack.of("gru", 2, 6, 2, skip="highway", norm="pre", dilation=[1, 3]),
         init.orthogonal_),
        ({"init": "chrono"}, lambda: Recurrent("gru", 2, 6), lambda layer: init.chrono_(layer, 12)),
        ({"init": "chrono-constant"}, lambda: Recurrent("gru", 2, 6),
         lambda layer: init.chrono_(layer, 12, spread=False)),
    ],
)  # fmt: skip
def test_a_long_range_model_is_drawn_as_by_hand(settings, layers, start):
    torch.manual_seed(1)
    net = LongRangeNet(LongRangeConfig(length=12, hidden=6, **settings))
    torch.manual_seed(1)
    recurrent, head = layers(), nn.Linear(6, 1)
    assert_same_weights(net, nn.ModuleDict({"recurrent": start(recurrent), "head": head}))


FORMS = {
    "plain": {},
    "residual": {"skip": "residual"},
    "highway": {"skip": "highway", "norm": "post"},
    "dense": {"skip": "dense", "norm": "pre"},
    "dilated": {"dilation": 2},
    "both ways": {"bidirectional": True},
    "dilated both ways": {"bidirectional": True, "dilation": 2, "skip": "residual"},
}
ACTIVE = {
    "dropout": 0.5,
    "input_dropout": 0.5,
    "state_dropout": 0.5,
    "output_dropout": 0.5,
    "recurrent_dropout": 0.5,
    "weight_drop": 0.5,
    "zoneout": 0.5,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("remedy", ACTIVE)
def test_every_remedy_acts_in_every_form(form, remedy):
    layers = made(layers=2, cell="lstm", **FORMS[form], **{remedy: ACTIVE[remedy]})
    x = torch.randn(7, 2, 3)
    y, _ = layers(x)
    assert y.shape == (7, 2, layers.output_size)
    assert not torch.equal(y, layers(x)[0])
    plain = made(layers=2, cell="lstm", **FORMS[form]).eval()
    layers.load_state_dict(plain.state_dict())
    assert torch.equal(layers.eval()(x)[0], plain(x)[0]) == (remedy != "zoneout")


@pytest.mark.parametrize("form", FORMS)
def test_initial_states_are_learnt_in_every_form(form):
    layers = made(layers=2, learn_initial_state=True, **FORMS[form])
    layers(torch.randn(4, 2, 3))[0].sum().backward()
    learnt = [p for name, p in layers.named_parameters() if "initial_h" in name]
    assert len(learnt) == 2 * (2 if FORMS[form].get("bidirectional") else 1)
    assert all(p.grad.abs().sum() > 0 for p in learnt)


@pytest.mark.parametrize("form", ["plain", "residual", "dilated both ways"])
def test_one_mask_of_the_output_serves_all_steps(form):
    layers = made(layers=2, output_dropout=0.5, **FORMS[form])
    dropped = layers(torch.randn(6, 4, 3))[0] == 0
    assert (dropped == dropped[0]).all()
    assert 0 < dropped[0].sum() < dropped[0].numel()


@pytest.mark.parametrize("form", [name for name in FORMS if "both ways" not in name])
def test_a_language_model_carries_its_states_in_every_form(form):
    torch.manual_seed(0)
    config = LanguageConfig(hidden=6, layers=3, learn_initial_state=True, **FORMS[form])
    net, tokens = LanguageNet(config, 11).eval(), torch.randint(11, (9, 2))
    first, states = net(tokens[:4])
    second, _ = net(tokens[4:], states)
    torch.testing.assert_close(torch.cat([first, second]), net(tokens)[0])


@pytest.mark.parametrize("form", FORMS)
def test_matrices_stay_orthogonal_in_every_form(form):
    layers = made(cell="rnn", layers=2, **FORMS[form])
    initialise(layers, NetworkConfig(orthogonal=True))
    optimizer = torch.optim.SGD(layers.parameters(), 0.5)
    layers(torch.randn(7, 2, 3))[0].square().sum().backward()
    optimizer.step()
    parts = [part for layer in layer_parameters(layers) for part in layer.recurrent()]
    assert len(parts) == (4 if FORMS[form].get("bidirectional") else 2)
    recurrent = [getattr(part.owner, part.attribute) for part in parts]
    for matrix in recurrent:
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(6), atol=1e-5, rtol=0)


class Renamed(Cell):
    """A simple network whose recurrent matrix isn't called U."""

    states = ("h",)

    def step(self, x, h, V, R, b):
        return tanh(V @ x + R @ h + b)


def test_a_matrix_stays_orthogonal_whatever_its_name():
    layer = Recurrent(Renamed(), 3, 6)
    initialise(layer, NetworkConfig(orthogonal=True))
    torch.testing.assert_close(layer.R_l0 @ layer.R_l0.T, torch.eye(6), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("cell", "text"), [("gru", "U_l0 is 18 x 6"), ("mingru", "no recurrent")])
def test_a_matrix_that_cannot_stay_orthogonal(cell, text):
    with pytest.raises(ConfigError, match=text):
        initialise(made(cell=cell), NetworkConfig(orthogonal=True))


@pytest.mark.parametrize("name", ["chrono", "chrono-constant"])
def test_chrono_takes_the_length_of_the_sequences(name):
    found = initialised(f"{name}", steps=30)
    assert torch.equal(found, initialised(f"{name}:30", steps=7))
    assert found.max() <= math.log(29) + 1e-6
    with pytest.raises(ConfigError, match=f"init = '{name}' takes the length.*no fixed length"):
        initialised(name)
    with pytest.raises(ConfigError, match="have 2 steps, and 3 are least"):
        initialised(name, steps=2)


def initialised(text, **options):
    layers = made(cell="lstm")
    initialise(layers, NetworkConfig(init=text), **options)
    return layers.b_l0[6:12].detach()


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"cell": "rnn", "init": "chrono:9"}, ConfigError, "RNN has no forget gate"),
        ({"cell": "indrnn", "init": "orthogonal"}, ConfigError, "has no recurrent matrix"),
        ({"cell": "indrnn", "weight_drop": 0.5}, ConfigError, "has no recurrent matrix"),
        ({"cell": "rnn", "recurrent_dropout": 0.5, "skip": "dense"}, CellError, "no candidate"),
    ],
)
def test_a_remedy_that_the_cell_cannot_have(settings, error, text):
    config = NetworkConfig(**settings)
    with pytest.raises(error, match=text):
        initialise(recurrent_layers(config, 3), config)


def test_dropout_of_a_long_range_model_acts_before_its_output_too():
    torch.manual_seed(0)
    net, x = LongRangeNet(LongRangeConfig(length=12, hidden=6, dropout=0.5)), torch.randn(12, 3, 2)
    assert not torch.equal(net(x), net(x))
    assert torch.equal(net.eval()(x), net(x))


def test_dropout_of_a_forecaster_acts_before_its_output_alone():
    config = ForecastConfig(horizon=4, model="direct", hidden=6, layers=2, dropout=0.5)
    assert recurrent_layers(config, 3).dropout == 0
    assert recurrent_layers(NetworkConfig(layers=2, dropout=0.5), 3).dropout == 0.5


PENALTIES = ["activation_penalty", "temporal_activation_penalty"]


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_change_the_gradient_of_long_range_models(name):
    def found(**settings):
        config = LongRangeConfig(length=12, hidden=6, **settings)
        torch.manual_seed(0)
        net = LongRangeNet(config)
        loss, _, _ = training_loss(net, training_windows(config).window(0, 0), None)
        return loss, torch.autograd.grad(loss, net.recurrent.U_l0)[0]

    plain, penalised = found(), found(**{name: 3.0})
    assert torch.equal(plain[0], penalised[0])
    assert not torch.allclose(plain[1], penalised[1])
