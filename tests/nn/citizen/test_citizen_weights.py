"""Weights written in every way there is: the next call must use the new values.

A layer may keep a packed copy of its weights; no way of writing may leave it stale.
"""

import copy

import pytest
import torch
from torch import nn

from helpers.citizens import CELLS, TORCH_CELLS, close, gradients, layer, oracle, same_as_oracle


def _assign(p):
    p.data = torch.randn_like(p)


def _detached_numpy(p):
    p.detach().numpy()[...] = 0.25


def _one_by_numpy(p):
    p.detach().numpy()[2, 1] += 2.0


def _one_by_data(p):
    p.data[3, 2] += 2.0


def _last_by_data(p):
    p.data[-1, -1] += 2.0


def _row_by_data(p):
    p.data[5].neg_()


def _swap_rows(p):
    p.data.copy_(p.data.flip(0).clone())


def _permute_elements(p):
    """The same numbers in another order: sums of them don't change."""
    p.data.copy_(p.data.flatten().roll(1).view_as(p))


def _by_dlpack(p):
    torch.from_dlpack(p.detach()).mul_(-1)


def _without_grad(p):
    with torch.no_grad():
        p.add_(torch.randn_like(p))


def _in_inference_mode(p):
    with torch.inference_mode():
        p.data.add_(1.0)


def _swap(p):
    torch.utils.swap_tensors(p, nn.Parameter(torch.randn_like(p)))


def _storage(p):
    p.untyped_storage().copy_(torch.randn_like(p).untyped_storage())


WAYS = {
    "data.mul_": lambda p: p.data.mul_(1.5),
    "data.copy_": lambda p: p.data.copy_(torch.randn_like(p)),
    "data.lerp_": lambda p: p.data.lerp_(torch.randn_like(p), 0.5),
    "data.zero_": lambda p: p.data.zero_(),
    "data.neg_": lambda p: p.data.neg_(),
    "data = tensor": _assign,
    "data[i, j]": _one_by_data,
    "data[-1, -1]": _last_by_data,
    "data[i]": _row_by_data,
    "data.view": lambda p: p.data.view(-1)[7:9].mul_(-3),
    "rows swapped": _swap_rows,
    "elements rolled": _permute_elements,
    "numpy": _detached_numpy,
    "numpy[i, j]": _one_by_numpy,
    "dlpack": _by_dlpack,
    "detach": lambda p: p.detach().mul_(2),
    "no_grad": _without_grad,
    "inference_mode": _in_inference_mode,
    "foreach": lambda p: torch._foreach_mul_([p.data], 2.0),
    "swap_tensors": _swap,
    "storage": _storage,
}


@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l0"])
@pytest.mark.parametrize("way", WAYS)
def test_written_weights_are_used(way, name):
    module, x = layer("lstm"), torch.randn(5, 2, 3)
    gradients(module, x)
    before = module(x)[0].detach()
    WAYS[way](module.get_parameter(name))
    assert not torch.allclose(module(x)[0], before)
    same_as_oracle(module, x, "lstm")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_written_weights_are_used_without_gradients(way, mode):
    module, x = layer("gru").eval(), torch.randn(5, 2, 3)
    with mode():
        module(x)
        WAYS[way](module.weight_hh_l0)
        close(module(x), oracle(module, "gru")(x.double()))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", CELLS)
def test_written_weights_of_cells_are_used(kind, way):
    cell, twin, x = CELLS[kind](3, 6), TORCH_CELLS[kind](3, 6), torch.randn(2, 3)
    h = torch.randn(2, 6)
    hx = (h, h) if kind == "lstm" else h
    gradients(cell, x, hx)
    with torch.no_grad():
        cell(x, hx)
    for name in ("weight_hh", "weight_ih"):
        WAYS[way](cell.get_parameter(name))
        twin.load_state_dict(cell.state_dict())
        with torch.no_grad():
            close(cell(x, hx), twin(x, hx))
        found, wanted = gradients(cell, x, hx), gradients(twin, x, hx)
        close([found[n] for n in wanted], list(wanted.values()))


@pytest.mark.parametrize("place", range(6))
def test_a_single_element_of_a_large_matrix(place):
    """No sample of the elements is safe: each may be the one that was written."""
    module, x = layer("lstm", 40, 64), torch.randn(3, 2, 40)
    weight = module.weight_hh_l0
    row, column = (place * 997 + 13) % 256, (place * 389 + 5) % 64
    with torch.no_grad():
        module(x)
        weight.data[row, column] += 50.0
        close(module(x), oracle(module, "lstm", 40, 64)(x.double()))
    weight.data[row, column] -= 100.0
    same_as_oracle(module, x, "lstm", 40, 64)


def test_a_view_made_before_the_first_call():
    module, x = layer("own"), torch.randn(5, 2, 3)
    views = {n: p.data.view(-1) for n, p in module.named_parameters()}
    numbers = module.U_l0.detach().numpy()
    same_as_oracle(module, x, "own")
    for view in views.values():
        view.mul_(-1.5)
        same_as_oracle(module, x, "own")
    numbers[1, 1] = 4.0
    same_as_oracle(module, x, "own")


def test_biases_and_peepholes_too():
    module, x = layer("own"), torch.randn(5, 2, 3)
    for name in ("b_l0", "p_l0"):
        same_as_oracle(module, x, "own")
        module.get_parameter(name).data[2] += 3.0
        same_as_oracle(module, x, "own")


def test_memory_used_again_at_the_same_address():
    """Fresh tensors often take the place of freed ones, with the same version: 0."""
    module, x = layer("gru"), torch.randn(5, 2, 3)
    for _ in range(20):
        module.weight_hh_l0.data = torch.randn(12, 4)
        with torch.no_grad():
            close(module(x), oracle(module, "gru")(x.double()))


def test_layers_made_one_after_another():
    x = torch.randn(5, 2, 3)
    for _ in range(20):
        module = layer("lstm")
        with torch.no_grad():
            close(module(x), oracle(module, "lstm")(x.double()))
        del module


def test_a_moving_average_of_weights():
    """Averages are written through p.data, and swapped in and out around an evaluation."""
    module, x = layer("lstm"), torch.randn(5, 2, 3)
    average = copy.deepcopy(module)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.5)
    for _ in range(3):
        optimiser.zero_grad()
        module(x)[0].sum().backward()
        optimiser.step()
        for a, p in zip(average.parameters(), module.parameters(), strict=True):
            a.data.lerp_(p.data, 0.3)
        with torch.inference_mode():
            close(average(x), oracle(average, "lstm")(x.double()))
    for a, p in zip(average.parameters(), module.parameters(), strict=True):
        a.data, p.data = p.data, a.data
    same_as_oracle(module, x, "lstm")
    same_as_oracle(average, x, "lstm")


def test_torchs_own_averaged_model():
    module, x = layer("gru"), torch.randn(5, 2, 3)
    average = torch.optim.swa_utils.AveragedModel(module)
    for _ in range(3):
        average(x)
        module.weight_hh_l0.data.add_(1.0)
        average.update_parameters(module)
    same_as_oracle(average.module, x, "gru")


OPTIMISERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.3, foreach=False),
    "sgd foreach": lambda p: torch.optim.SGD(p, lr=0.3, foreach=True),
    "adam fused": lambda p: torch.optim.Adam(p, lr=0.1, fused=True),
    "adamw foreach": lambda p: torch.optim.AdamW(p, lr=0.1, foreach=True),
    "sgd fused": lambda p: torch.optim.SGD(p, lr=0.3, fused=True),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_optimiser_steps_are_seen(name):
    module, x = layer("lstm"), torch.randn(5, 2, 3)
    optimiser = OPTIMISERS[name](module.parameters())
    for _ in range(2):
        optimiser.zero_grad()
        module(x)[0].square().sum().backward()
        optimiser.step()
        same_as_oracle(module, x, "lstm")


def test_a_closure_of_lbfgs():
    module, x = layer("rnn"), torch.randn(5, 2, 3)
    optimiser = torch.optim.LBFGS(module.parameters(), max_iter=5)

    def closure():
        optimiser.zero_grad()
        value = (module(x)[0] - 0.3).square().mean()
        value.backward()
        return value

    first = closure().item()
    optimiser.step(closure)
    assert closure().item() < 0.7 * first
    same_as_oracle(module, x, "rnn")


def test_vector_to_parameters_and_load_state_dict():
    module, other, x = layer("lstm"), layer("lstm"), torch.randn(5, 2, 3)
    for assign in (False, True):
        module(x)
        module.load_state_dict(copy.deepcopy(other.state_dict()), assign=assign)
        close(module(x), other(x))
    vector = nn.utils.parameters_to_vector(layer("lstm").parameters())
    nn.utils.vector_to_parameters(vector, module.parameters())
    same_as_oracle(module, x, "lstm")
    module.weight_hh_l0.data.mul_(-1)  # a view into the vector
    same_as_oracle(module, x, "lstm")


def test_reset_and_replaced_and_tied_parameters():
    module, other, x = layer("gru"), layer("gru"), torch.randn(5, 2, 3)
    module(x)
    module.reset_parameters()
    same_as_oracle(module, x, "gru")
    module.weight_hh_l0 = nn.Parameter(torch.randn(12, 4))
    same_as_oracle(module, x, "gru")
    other.weight_hh_l0 = module.weight_hh_l0
    other(x)
    module.weight_hh_l0.data.mul_(-1)
    same_as_oracle(other, x, "gru")


@pytest.mark.parametrize("between", [torch.float16, torch.bfloat16, torch.float64])
def test_to_another_dtype_and_back(between):
    module, x = layer("lstm"), torch.randn(5, 2, 3)
    module(x)
    module.to(between)
    assert module(x.to(between))[0].dtype == between
    module.float()
    module.weight_hh_l0.data.mul_(-1)
    same_as_oracle(module, x, "lstm")


def test_weights_that_are_no_contiguous_tensors():
    module, x = layer("lstm"), torch.randn(5, 2, 3)
    wide = torch.randn(16, 9)
    module.weight_hh_l0.data = wide[:, 1::2]
    same_as_oracle(module, x, "lstm")
    wide[3, 3] += 5.0
    same_as_oracle(module, x, "lstm")
    module.weight_ih_l0.data = torch.randn(3, 16).t()
    same_as_oracle(module, x, "lstm")


def test_weights_born_in_inference_mode():
    """Such tensors have no version."""
    with torch.inference_mode():
        module, x = layer("lstm"), torch.randn(5, 2, 3)
        close(module(x), oracle(module, "lstm")(x.double()))
        module.weight_hh_l0.mul_(-2)
        close(module(x), oracle(module, "lstm")(x.double()))
