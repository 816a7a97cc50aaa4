"""torch.compile without a graph break, and what else traces: fake tensors, make_fx, flops."""

import shutil

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.flop_counter import FlopCounterMode

from helpers.citizens import CELLS, KINDS, close, flat, gradients, layer, loss, oracle


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()


BACKENDS = [
    ("lstm", "eager"),  # what it does, "aot_eager" does as well
    *(pytest.param(kind, "eager", marks=pytest.mark.slow) for kind in KINDS if kind != "lstm"),
    *((kind, "aot_eager") for kind in KINDS),
]


def whole(module, backend="aot_eager", **options):
    return torch.compile(module, backend=backend, fullgraph=True, **options)


@pytest.mark.parametrize(("kind", "backend"), BACKENDS)
def test_inference_in_one_graph(kind, backend):
    module, x = layer(kind), torch.randn(5, 2, 3)
    with torch.no_grad():
        close(whole(module, backend)(x), oracle(module, kind)(x.double()))


@pytest.mark.parametrize(("kind", "backend"), BACKENDS)
def test_a_training_step_in_one_graph(kind, backend):
    module, x = layer(kind), torch.randn(5, 2, 3)
    wanted = gradients(oracle(module, kind), x.double())
    x.requires_grad_()
    found = torch.autograd.grad(loss(whole(module, backend)(x)), [x, *module.parameters()])
    close(found, [wanted["x"], *(wanted[n] for n, _ in module.named_parameters())])


def test_stacked_both_directions_given_states():
    options = {"num_layers": 2, "bidirectional": True, "batch_first": True}
    module, x = layer("lstm", **options), torch.randn(2, 5, 3)
    states = tuple(torch.randn(4, 2, 4) for _ in range(2))
    wanted = oracle(module, "lstm", **options)(x.double(), tuple(s.double() for s in states))
    close(whole(module)(x, states), wanted)


def test_one_graph_serves_every_batch_and_length():
    counter = CompileCounterWithBackend("aot_eager")
    module = layer("lstm")
    compiled = whole(module, counter, dynamic=True)
    for steps, batch in ((5, 2), (7, 3), (4, 6)):
        x = torch.randn(steps, batch, 3)
        close(compiled(x), module(x))
    assert counter.frame_count == 1


@pytest.mark.parametrize("argument", ["lengths", "resets"])
@pytest.mark.parametrize("kind", ["lstm", "own"])
def test_lengths_and_resets_in_one_graph(kind, argument):
    given = {"lengths": torch.tensor([5, 3]), "resets": torch.rand(5, 2) < 0.4}[argument]
    module, x = layer(kind), torch.randn(5, 2, 3)
    wanted = gradients(oracle(module, kind), x.double(), **{argument: given})
    found = gradients(module, x, **{argument: given})
    close(list(found.values()), list(wanted.values()))
    y = whole(module)(x, **{argument: given})
    close(y, module(x, **{argument: given}))
    close(torch.autograd.grad(loss(y), list(module.parameters())), list(wanted.values())[1:])


def test_wrong_lengths_are_refused_when_compiled():
    module, x = layer("lstm"), torch.randn(5, 2, 3)
    with pytest.raises((ValueError, RuntimeError), match=r"lengths|must lie"):
        torch.compile(module, backend="eager")(x, lengths=torch.tensor([6, 3]))


@pytest.mark.parametrize("kind", CELLS)
def test_a_loop_over_a_cell_in_one_graph(kind):
    cell, x = CELLS[kind](3, 4), torch.randn(4, 2, 3)

    def decode(x):
        state = None
        for row in x:
            state = cell(row, state)
        return state

    close(whole(decode)(x), decode(x))
    weights = list(cell.parameters())
    found = torch.autograd.grad(loss(whole(decode)(x)), weights)
    close(found, torch.autograd.grad(loss(decode(x)), weights))


def test_a_model_around_a_layer_that_changes_its_weights():
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), layer("gru"))
    optimiser, compiled = torch.optim.SGD(model.parameters(), lr=0.1), whole(model)
    x = torch.randn(5, 2, 3)
    before = compiled(x)[0].detach()
    loss(compiled(x)).backward()
    optimiser.step()
    close(compiled(x), model(x))
    assert not torch.allclose(compiled(x)[0], before)


@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")
@pytest.mark.slow
def test_inductor_trains():
    module, x = layer("lstm"), torch.randn(5, 2, 3)
    wanted = gradients(oracle(module, "lstm"), x.double())
    y = whole(module, "inductor")(x)
    close(torch.autograd.grad(loss(y), list(module.parameters())), list(wanted.values())[1:])


@pytest.mark.parametrize("kind", KINDS)
def test_fake_tensors_have_the_shapes(kind):
    module, x = layer(kind), torch.randn(5, 2, 3)
    shapes = [t.shape for t in flat(module(x))]
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        y = module(mode.from_tensor(x))
    assert [t.shape for t in flat(y)] == shapes
    assert all(type(t).__name__ == "FakeTensor" for t in flat(y))


def test_a_layer_born_fake_trains_fake():
    with FakeTensorMode():
        module, x = layer("lstm"), torch.randn(5, 2, 3)
        loss(module(x)).backward()
        assert module.weight_hh_l0.grad.shape == (16, 4)


@pytest.mark.parametrize("kind", KINDS)
def test_on_the_meta_device(kind):
    module = layer(kind, device="meta")
    y = module(torch.randn(5, 2, 3, device="meta"))[0]
    assert y.is_meta
    assert y.shape == (5, 2, 4)
    module.to_empty(device="cpu").reset_parameters()
    assert module(torch.randn(5, 2, 3))[0].isfinite().all()


@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_make_fx_records_the_layer(mode):
    module, x = layer("gru"), torch.randn(5, 2, 3)
    graph = make_fx(lambda x: module(x)[0], tracing_mode=mode, _allow_non_fake_inputs=True)(x)
    other = torch.randn(5, 2, 3)
    close(graph(other), module(other)[0])


def test_make_fx_records_the_training_step():
    module, x = layer("lstm"), torch.randn(5, 2, 3)

    def step(x):
        return torch.autograd.grad(loss(module(x)), list(module.parameters()))

    other = torch.randn(5, 2, 3)
    close(make_fx(step)(x)(other), step(other))


def test_counting_flops_changes_nothing():
    module, x = layer("lstm"), torch.randn(5, 2, 3)
    with FlopCounterMode(display=False):
        loss(module(x)).backward()
    wanted = gradients(oracle(module, "lstm"), x.double())
    close([p.grad for p in module.parameters()], list(wanted.values())[1:])
