"""Modules as others use them: copied, pickled, saved, hooked, reparametrised, wrapped."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from helpers.citizens import (
    CELLS,
    KINDS,
    TORCH_LAYERS,
    close,
    gradients,
    layer,
    loss,
    same_as_oracle,
)


def used(kind, **options):
    """A layer that has run, forward and backward, and so has kept what it keeps."""
    module, x = layer(kind, **options), torch.randn(5, 2, 3)
    loss(module(x)).backward()
    return module, x


@pytest.mark.parametrize("kind", KINDS)
def test_a_deep_copy_lives_its_own_life(kind):
    module, x = used(kind)
    twin, before = copy.deepcopy(module), module(x)[0].detach()
    close(twin(x), module(x))
    for p in twin.parameters():
        p.data.mul_(-1)
    same_as_oracle(twin, x, kind)
    assert torch.equal(module(x)[0], before)


@pytest.mark.parametrize("kind", KINDS)
def test_pickled_and_back(kind):
    module, x = used(kind, num_layers=2)
    twin = pickle.loads(pickle.dumps(module))
    assert torch.equal(twin(x)[0], module(x)[0])
    twin.get_parameter(next(iter(twin.state_dict()))).data.mul_(-1)
    same_as_oracle(twin, x, kind, num_layers=2)


@pytest.mark.parametrize("kind", CELLS)
def test_cells_pickled_and_copied(kind):
    cell, x = CELLS[kind](3, 4), torch.randn(2, 3)
    loss(cell(x)).backward()
    for twin in (pickle.loads(pickle.dumps(cell)), copy.deepcopy(cell)):
        close(twin(x), cell(x))


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_dict_holds_the_weights_and_nothing_else(kind):
    module, x = used(kind)
    assert set(module.state_dict()) == set(dict(module.named_parameters()))
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    twin = layer(kind)
    twin.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(twin(x)[0], module(x)[0])


def test_a_whole_module_saved_with_a_model_around_it():
    model, x = nn.ModuleDict({"rnn": layer("gru")}), torch.randn(5, 2, 3)
    model["rnn"](x)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    close(torch.load(file, weights_only=False)["rnn"](x), model["rnn"](x))


REPARAMETRISED = {
    "weight_norm": parametrizations.weight_norm,
    "spectral_norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
}


@pytest.mark.parametrize("how", REPARAMETRISED)
@pytest.mark.parametrize("kind", TORCH_LAYERS)
def test_reparametrised_weights_train_as_torchs(kind, how):
    module, twin = layer(kind), TORCH_LAYERS[kind](3, 4)
    twin.load_state_dict(module.state_dict())
    for m in (module, twin):
        torch.manual_seed(1)
        REPARAMETRISED[how](m, "weight_hh_l0")
    optimisers = [torch.optim.SGD(m.parameters(), lr=0.1) for m in (module, twin)]
    x = torch.randn(5, 2, 3)
    for _ in range(2):
        for m, optimiser in zip((module, twin), optimisers, strict=True):
            optimiser.zero_grad()
            with parametrize.cached():  # spectral_norm takes a step whenever it is looked at
                loss(m(x)).backward()
            optimiser.step()
    close(list(module.parameters()), list(twin.parameters()))


def test_a_parametrisation_put_on_and_taken_off():
    class Negated(nn.Module):
        def forward(self, weight):
            return -weight

    module, x = used("gru")
    for leave in (True, False):
        parametrize.register_parametrization(module, "weight_hh_l0", Negated())
        module(x)
        parametrize.remove_parametrizations(module, "weight_hh_l0", leave_parametrized=leave)
        same_as_oracle(module, x, "gru")


def test_weight_drop_by_a_plain_tensor():
    """Code for DropConnect deletes the parameter and sets a tensor of its name at each call."""
    module, x = used("lstm")
    raw = nn.Parameter(module.weight_hh_l0.detach().clone())
    del module.weight_hh_l0
    twin = nn.LSTM(3, 4)
    twin.load_state_dict({**module.state_dict(), "weight_hh_l0": raw.detach()})
    for keep in ((torch.rand(16, 4) < 0.5).float() for _ in range(3)):
        module.weight_hh_l0 = raw * keep
        twin.weight_hh_l0.data.copy_(raw.detach() * keep)
        (found,) = torch.autograd.grad(loss(module(x)), raw)
        close(found, gradients(twin, x)["weight_hh_l0"] * keep)


def test_pruned_weights_stay_pruned():
    module, x = used("lstm")
    module.zero_grad()
    prune.l1_unstructured(module, "weight_hh_l0", amount=0.5)
    loss(module(x)).backward()
    assert (module.weight_hh_l0_orig.grad[module.weight_hh_l0_mask == 0] == 0).all()
    prune.remove(module, "weight_hh_l0")
    same_as_oracle(module, x, "lstm")


def test_hooks_before_and_after_forward():
    module, x = used("lstm")
    plain = module(2 * x)[0]
    module.register_forward_pre_hook(lambda m, args: (2 * args[0],))
    module.register_forward_hook(lambda m, args, out: (out[0] + 1, out[1]))
    close(module(x)[0], plain + 1)


@pytest.mark.parametrize("kind", KINDS)
def test_backward_hooks_of_modules(kind):
    module, x = used(kind)
    seen = []
    module.register_full_backward_pre_hook(lambda m, grads: seen.append(grads[0].shape))
    module.register_full_backward_hook(lambda m, into, out: (into[0] * 2,))
    wanted = gradients(oracle_of(module, kind), x)["x"]
    close(gradients(module, x)["x"], 2 * wanted)
    assert seen == [(5, 2, 4)]


def oracle_of(module, kind):
    twin = layer(kind, engine="interp")
    twin.load_state_dict(module.state_dict())
    return twin


def test_hooks_after_accumulation_step_as_they_go():
    """An optimiser in the backward pass: each weight is updated as its gradient is there."""
    module, x = used("gru")
    module.zero_grad()
    slopes = zip(module.parameters(), _slopes(module, x), strict=True)
    wanted = [p.detach() - 0.1 * slope for p, slope in slopes]

    def update(p):
        p.data.sub_(0.1 * p.grad)
        p.grad = None

    for p in module.parameters():
        p.register_post_accumulate_grad_hook(update)
    loss(module(x)).backward()
    close(list(module.parameters()), wanted)
    same_as_oracle(module, x, "gru")


def _slopes(module, x):
    return torch.autograd.grad(loss(module(x)), list(module.parameters()))
