"""The linear layer: torch's results, gradients and second gradients, at every shape and stride."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from recurra.nn import Linear, linear

SHAPES = [(1, 3, 5), (7, 16, 33), (31, 64, 10), (32, 64, 10), (300, 40, 257)]


@pytest.fixture(autouse=True)
def every_size(monkeypatch):
    """Small products are compiled, too."""
    monkeypatch.setattr(linear, "_LEAST", 0)


def pair(inputs, outputs, bias, dtype):
    own = Linear(inputs, outputs, bias=bias, dtype=dtype)
    other = nn.Linear(inputs, outputs, bias=bias, dtype=dtype)
    other.load_state_dict(own.state_dict())
    return own, other


def is_compiled(y):
    return "_Products" in type(y.grad_fn).__name__ or "_Products" in str(y.grad_fn.next_functions)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_results_and_gradients_are_torchs(shape, bias, scale):
    rows, inputs, outputs = shape
    for dtype, error in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        own, other = pair(inputs, outputs, bias, dtype)
        x = (scale * torch.randn(rows, 2, inputs, dtype=dtype)).requires_grad_()
        z = x.detach().clone().requires_grad_()
        y, expected = own(x), other(z)
        assert is_compiled(y)
        weight = torch.randn_like(y)
        (y * weight).sum().backward()
        (expected * weight).sum().backward()
        found = [y, x.grad, *(p.grad for p in own.parameters())]
        wanted = [expected, z.grad, *(p.grad for p in other.parameters())]
        for a, b in zip(found, wanted, strict=True):
            assert (a - b).norm() <= error * b.norm()


@pytest.mark.parametrize("make", [
    lambda x: x.transpose(0, 1),
    lambda x: x[:, :, ::2],
    lambda x: x[::3],
    lambda x: x[:1].expand(40, -1, -1),
    lambda x: x[0],
    lambda x: x[0, 0],
    lambda x: x[:0],
])  # fmt: skip
def test_inputs_of_any_strides(make):
    x = torch.randn(40, 6, 32, dtype=torch.float64)
    own, other = pair(make(x).shape[-1], 12, True, torch.float64)
    torch.testing.assert_close(own(make(x)), other(make(x)))
    turned = torch.randn(12, make(x).shape[-1], dtype=torch.float64)
    own.weight.data = turned.t().contiguous().t()
    torch.testing.assert_close(own(make(x)), F.linear(make(x), turned, own.bias))


def test_gradients_that_come_back_in_any_strides():
    own, other = pair(8, 40, True, torch.float64)
    x = torch.randn(20, 8, dtype=torch.float64)
    for layer in (own, other):
        layer(x).sum().backward()
        layer(x).t().contiguous().square().sum().backward()
    for a, b in zip(own.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_frozen_parts_have_no_gradient():
    own, _ = pair(8, 4, True, torch.float64)
    own.weight.requires_grad_(False)
    x = torch.randn(5, 8, dtype=torch.float64)
    own(x).sum().backward()
    assert own.weight.grad is None
    torch.testing.assert_close(own.bias.grad, torch.full((4,), 5.0, dtype=torch.float64))


def test_derivatives_of_both_orders():
    own, _ = pair(4, 3, True, torch.float64)
    x = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)

    def call(x, weight, bias):
        return torch.func.functional_call(own, {"weight": weight, "bias": bias}, x).sin()

    weight, bias = (p.detach().clone().requires_grad_() for p in own.parameters())
    assert torch.autograd.gradcheck(call, (x, weight, bias))
    assert torch.autograd.gradgradcheck(call, (x, weight, bias))


def test_what_is_not_compiled_is_torchs():
    own, other = pair(8, 4, True, torch.float32)
    x = torch.randn(6, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert own(x).dtype == torch.bfloat16
    torch.testing.assert_close(torch.func.vmap(own)(x), other(x))
    assert torch.jit.trace(own, x)(x).shape == (6, 4)
    torch.testing.assert_close(torch.compile(own, backend="eager")(x), other(x))
    with pytest.raises(RuntimeError):
        own(torch.randn(6, 9))
    assert not is_compiled(own.to(torch.bfloat16)(x.bfloat16()).float())


def test_it_is_torchs_layer_in_all_else():
    torch.manual_seed(0)
    own = Linear(3, 2)
    torch.manual_seed(0)
    assert all(map(torch.equal, own.parameters(), nn.Linear(3, 2).parameters()))
    assert isinstance(own, nn.Linear)
    assert repr(own) == repr(nn.Linear(3, 2))


def test_an_engine_that_compiles_none_is_obeyed(monkeypatch):
    own, other = pair(8, 4, True, torch.float64)
    x = torch.randn(6, 8, dtype=torch.float64)
    for engine, compiled in (("interp", False), ("torch", False), ("cpu", True), ("auto", True)):
        monkeypatch.setenv("RECURRA_ENGINE", engine)
        assert is_compiled(own(x)) == compiled
        torch.testing.assert_close(own(x), other(x))
