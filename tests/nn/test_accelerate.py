"""`accelerate` swaps torch's layers inside a model in place and changes nothing else."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import recurra
import recurra.nn


class Tagger(nn.Module):
    """A model as users have it: an encoder in a list, a decoder cell, a shared layer."""

    def __init__(self):
        super().__init__()
        self.encoders = nn.ModuleList([nn.LSTM(4, 5, 2, bidirectional=True, dropout=0.1)])
        self.shared = nn.GRU(10, 6, batch_first=True)
        self.again = self.shared
        self.plain = nn.RNN(6, 5, nonlinearity="relu", bias=False)
        self.cell = nn.LSTMCell(5, 3)
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        y, _ = self.encoders[0](x)
        y, _ = self.again(self.shared(y)[0].new_zeros(y.shape) + y)
        y, _ = self.plain(y)
        h, _ = self.cell(y[-1])
        return self.head(h)


def models():
    torch.manual_seed(0)
    model = Tagger().eval()
    return model, copy.deepcopy(model)


def test_swaps_every_layer_and_keeps_results_and_keys():
    model, before = models()
    result = recurra.accelerate(model)
    assert result.swapped == (
        "encoders.0: torch.nn.LSTM -> recurra.nn.LSTM",
        "shared: torch.nn.GRU -> recurra.nn.GRU",
        "again: torch.nn.GRU -> recurra.nn.GRU",
        "plain: torch.nn.RNN -> recurra.nn.RNN",
        "cell: torch.nn.LSTMCell -> recurra.nn.LSTMCell",
    )
    assert result.kept == {}
    assert not [m for m in model.modules() if isinstance(m, (nn.RNNBase, nn.RNNCellBase))]
    assert model.shared is model.again
    assert list(model.state_dict()) == list(before.state_dict())
    x = torch.randn(7, 3, 4)
    torch.testing.assert_close(model(x), before(x))


def test_an_optimiser_made_before_goes_on():
    model, twin = models()
    optimisers = [torch.optim.SGD(m.parameters(), lr=0.1) for m in (model, twin)]
    recurra.accelerate(model)
    x = torch.randn(7, 3, 4)
    for module, optimiser in zip((model, twin), optimisers, strict=True):
        module(x).sum().backward()
        optimiser.step()
    torch.testing.assert_close(dict(model.state_dict()), dict(twin.state_dict()))


def test_draws_no_random_number():
    model, _ = models()
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    recurra.accelerate(model)
    assert torch.equal(torch.rand(3), wanted)


def test_training_mode_hooks_and_frozen_parameters_stay():
    model, calls = nn.Sequential(nn.GRU(3, 4)).train(), []
    model[0].eval()
    model[0].weight_hh_l0.requires_grad_(False)
    handle = model[0].register_forward_hook(lambda *_: calls.append(1))
    recurra.accelerate(model)
    assert not model[0].training
    assert not model[0].weight_hh_l0.requires_grad
    model(torch.randn(2, 1, 3))
    handle.remove()
    model(torch.randn(2, 1, 3))
    assert calls == [1]


def test_keeps_what_it_can_not_stand_for_and_says_why():
    class Own(nn.LSTM):
        pass

    model = nn.ModuleDict({"own": Own(3, 4), "normed": nn.LSTM(3, 4), "good": nn.GRU(3, 4)})
    parametrizations.weight_norm(model["normed"], "weight_hh_l0")
    result = recurra.accelerate(model)
    assert result.swapped == ("good: torch.nn.GRU -> recurra.nn.GRU",)
    assert "Own is a subclass" in result.kept["own"]
    assert set(result.kept) == {"own", "normed"}
    assert "kept own: " in str(result)


def test_old_style_weight_norm_is_kept():
    model = nn.Sequential(nn.LSTM(3, 4))
    with pytest.warns(FutureWarning):
        nn.utils.weight_norm(model[0], "weight_hh_l0")
    assert "weight_hh_l0_g" in recurra.accelerate(model).kept["0"]


def test_a_model_without_such_layers_and_a_layer_alone():
    assert str(recurra.accelerate(nn.Sequential(nn.Linear(3, 4)))) == "swapped nothing"
    with pytest.raises(ValueError, match=r"is a torch.nn.GRU itself; build recurra.nn.GRU"):
        recurra.accelerate(nn.GRU(3, 4))


def test_twice_changes_nothing():
    model, _ = models()
    recurra.accelerate(model)
    assert recurra.accelerate(model).swapped == ()
