"""Inputs as they come: strided, expanded, empty, made in inference mode, of a subclass."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from helpers.citizens import CELLS, KINDS, close, flat, gradients, layer, loss, oracle

STRIDED = {
    "transposed": lambda: torch.randn(2, 5, 3).transpose(0, 1),
    "every other": lambda: torch.randn(10, 4, 6)[::2, ::2, ::2],
    "features first": lambda: torch.randn(3, 5, 2).permute(1, 2, 0),
    "flipped": lambda: torch.randn(5, 2, 3).flip(0),
    "one row for all": lambda: torch.randn(5, 1, 3).expand(5, 2, 3),
    "one step for all": lambda: torch.randn(1, 2, 3).expand(5, 2, 3),
    "one number for all": lambda: torch.randn(()).expand(5, 2, 3),
    "from the middle of memory": lambda: torch.randn(31)[1:].view(5, 2, 3),
}


@pytest.mark.parametrize("how", STRIDED)
@pytest.mark.parametrize("kind", KINDS)
def test_strided_inputs(kind, how):
    module, x = layer(kind), STRIDED[how]()
    found = torch.autograd.grad(loss(module(x)), list(module.parameters()))
    twin = oracle(module, kind)
    wanted = torch.autograd.grad(loss(twin(x.double())), list(twin.parameters()))
    close(found, wanted)


@pytest.mark.parametrize("how", STRIDED)
def test_gradients_of_strided_inputs(how):
    module, x = layer("gru"), STRIDED[how]()
    at = x.detach().requires_grad_()
    (found,) = torch.autograd.grad(loss(module(at)), at)
    close(found, gradients(oracle(module, "gru"), x.double())["x"])


def test_strided_states_and_gradients_that_come_back():
    module, x = layer("lstm"), torch.randn(5, 2, 3)
    h, c = torch.randn(1, 4, 2).transpose(1, 2), torch.randn(1, 1, 4).expand(1, 2, 4)
    twin = oracle(module, "lstm")
    found, wanted = module(x, (h, c)), twin(x.double(), (h.double(), c.double()))
    close(found, wanted)
    seed = torch.randn(4, 2, 5).permute(2, 1, 0)
    pairs = ((found[0], module, seed), (wanted[0], twin, seed.double()))
    close(*(torch.autograd.grad(y, list(m.parameters()), g) for y, m, g in pairs))


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_batch(kind):
    module = layer(kind, num_layers=2)
    x = torch.randn(5, 0, 3, requires_grad=True)
    y, states = module(x)
    loss((y, states)).backward()
    assert y.shape == (5, 0, 4)
    assert x.grad.shape == x.shape
    assert all((p.grad == 0).all() for p in module.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_empty_batches_with_lengths_and_resets(kind):
    module, x = layer(kind), torch.randn(5, 0, 3)
    lengths, resets = torch.zeros(0, dtype=torch.long), torch.zeros(5, 0, dtype=torch.bool)
    assert module(x, lengths=lengths, resets=resets)[0].shape == (5, 0, 4)


@pytest.mark.parametrize("kind", CELLS)
def test_an_empty_batch_through_a_cell(kind):
    cell = CELLS[kind](3, 4)
    out = flat(cell(torch.randn(0, 3)))
    assert [t.shape for t in out] == [(0, 4)] * len(out)
    loss(out).backward()
    assert (cell.weight_ih.grad == 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_in_inference_mode(kind):
    module, x = layer(kind), torch.randn(5, 2, 3)
    with torch.inference_mode():
        y, states = module(x)
        again, _ = module(x, states)
        assert y.is_inference()
    wanted, states = oracle(module, kind)(x.double())
    close(y, wanted)
    close(again, oracle(module, kind)(x.double(), states)[0])


def test_inputs_made_in_inference_mode():
    module = layer("lstm")
    with torch.inference_mode():
        x = torch.randn(5, 2, 3)
    with torch.no_grad():
        y, states = module(x)
        close(y, oracle(module, "lstm")(x.double())[0])
    with torch.inference_mode():
        close(module(x, states)[0], module(x.clone(), states)[0])


def test_a_frozen_layer_takes_inference_tensors():
    module = layer("gru").requires_grad_(False)
    with torch.inference_mode():
        x = torch.randn(5, 2, 3)
    close(module(x), oracle(module, "gru")(x.double()))


class Tagged(torch.Tensor):
    """A subclass that adds nothing, as those with metadata do."""


def test_a_subclass_stays_one():
    module, x = layer("lstm"), torch.randn(5, 2, 3)
    y, _ = module(x.as_subclass(Tagged))
    assert isinstance(y, Tagged)
    close(y.as_subclass(torch.Tensor), module(x)[0])
    y.sum().backward()
    assert module.weight_hh_l0.grad.abs().sum() > 0


class Watching(TorchDispatchMode):
    """Sees every operation that torch dispatches."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("kind", KINDS)
def test_a_dispatch_mode_sees_the_work(kind):
    module, x = layer(kind), torch.randn(5, 2, 3)
    with Watching() as mode:
        found = gradients(module, x)
    close(list(found.values()), list(gradients(oracle(module, kind), x.double()).values()))
    assert any("recurra.loop" in name for name in mode.seen)


def test_a_function_mode_is_passed_through():
    module, x, seen = layer("gru"), torch.randn(5, 2, 3), []

    class Functions(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append(func)
            return func(*args, **(kwargs or {}))

    with Functions():
        y = module(x)[0]
    close(y, module(x)[0])
    assert seen


def test_on_a_default_device():
    module, x = layer("lstm"), torch.randn(5, 2, 3)
    with torch.device("cpu"):
        close(module(x, lengths=[5, 2]), oracle(module, "lstm")(x.double(), lengths=[5, 2]))


def test_with_double_as_the_default_dtype():
    module, x = layer("lstm"), torch.randn(5, 2, 3)
    torch.set_default_dtype(torch.double)
    try:
        found = gradients(module, x, resets=torch.rand(5, 2) < 0.5)
    finally:
        torch.set_default_dtype(torch.float)
    assert {g.dtype for g in found.values()} == {torch.float}
