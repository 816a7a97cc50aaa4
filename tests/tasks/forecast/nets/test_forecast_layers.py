"""Recurrent layers of the forecasters: initial weights, dilation, penalties, refused settings."""

import pytest
import torch
from forecast_helpers.networks import batch_for
from forecast_helpers.toys import MODELS, config

from recurra.errors import ConfigError
from recurra.nn import Recurrent, Stack
from recurra.tasks.forecast.nets import Sizes, build
from recurra.tasks.network import recurrent_layers

SIZES = Sizes(series=3, past=0, future=2, static=1, season=4)


def forecaster(model, **settings):
    torch.manual_seed(0)
    return build(config(model=model, hidden=6, **settings), SIZES)


@pytest.mark.parametrize("model", MODELS)
def test_layers_of_a_forecaster_start_as_asked_and_the_rest_as_ever(model):
    plain = forecaster(model, layers=2)
    changed = forecaster(model, layers=2, init="forget-bias:3, orthogonal", zoneout=0.5)
    assert isinstance(changed.recurrent, Recurrent)
    for name, value in plain.state_dict().items():
        same = torch.equal(value, changed.state_dict()[name])
        assert same == (not name.startswith(("recurrent.U_", "recurrent.b_l")))


@pytest.mark.parametrize("model", ["direct", "autoregressive", "smoothing"])
def test_layers_of_a_dilated_forecaster_are_residual(model):
    settings = config(model=model, hidden=6, layers=3, dilation=2)
    torch.manual_seed(1)
    found = recurrent_layers(settings, 5)
    torch.manual_seed(1)
    by_hand = Stack.of("gru", 5, 6, 3, skip="residual", dilation=[1, 2, 4])
    weights, others = found.state_dict(), by_hand.state_dict()
    assert list(weights) == list(others)
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert found.skip == "residual"


@pytest.mark.parametrize("name", ["activation_penalty", "temporal_activation_penalty"])
@pytest.mark.parametrize("model", MODELS)
def test_penalties_change_the_gradient_of_forecasters(model, name):
    def found(**settings):
        net = forecaster(model, dropout=0.0, **settings)
        torch.manual_seed(0)
        loss = net.loss(batch_for(net, SIZES))
        return loss, torch.autograd.grad(loss, net.recurrent.U_l0)[0]

    plain, penalised = found(), found(**{name: 3.0})
    assert torch.equal(plain[0], penalised[0])
    assert not torch.allclose(plain[1], penalised[1])


@pytest.mark.parametrize("model", MODELS)
def test_a_forecaster_reads_forwards(model):
    with pytest.raises(ConfigError, match="bidirectional = true: a forecaster reads"):
        config(model=model, bidirectional=True)


def test_no_layer_of_a_segments_model_is_dilated():
    with pytest.raises(ConfigError, match=r"dilation = 2: the segments model.*direct"):
        config(model="segments", dilation=2, layers=2)
