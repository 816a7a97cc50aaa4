"""Gradients that are recorded, or come in batches, where tensors given to a loop depend on others.

A loop's backward pass is interpreted then. What it gives is held to numerical derivatives in
float64, and to torch's own layers.
"""

import pytest
import torch
from contract import EVERY, draw, slow_but
from runs import run_cell
from torch.func import functional_call

import recurra.nn
from recurra.compile import ENGINES, kernel

H, T, B = 4, 3, 2
STEP = 1e-6


@pytest.mark.parametrize("engine", ENGINES)
def test_torchs_own_number_for_a_carried_state(engine):
    """The sum is what torch.nn.LSTM gives for the same weights."""
    layer = recurra.nn.LSTM(3, 4, engine=engine)
    torch.manual_seed(0)
    layer.reset_parameters()
    twin = torch.nn.LSTM(3, 4)
    twin.load_state_dict(layer.state_dict())
    found = []
    for module in (layer, twin):
        x = torch.ones(2, 1, 3)
        y, states = module(x)
        y, states = module(x, states)
        weight = module.weight_hh_l0
        found.append(torch.autograd.grad(y.sum(), weight, create_graph=True)[0].sum().item())
    assert found[1] == pytest.approx(-0.3197, abs=5e-5)
    assert found[0] == pytest.approx(found[1], abs=1e-6)


def mixing(rows, columns):
    """A matrix that changes a size."""
    return 0.3 * torch.sin(torch.arange(rows * columns, dtype=torch.double)).view(rows, columns)


def once(run, x):
    return run(x)


def carried(run, x):
    y, states = run(x)
    z, states = run(x + 1, states)
    return y, z, *states


def fed_back(run, x):
    y, _ = run(x)
    z, states = run(torch.tanh(y @ mixing(y.shape[-1], H)))
    return y, z, *states


def from_input(run, x):
    _, states = run(x[:1])
    firsts = [torch.tanh(x[0] @ mixing(H, s.shape[-1])).expand_as(s) for s in states]
    return run(x, firsts)


def scaled_by_a_weight(run, x, weight):
    return run(x * weight.sum())


USES = {f.__name__: f for f in (once, carried, fed_back, from_input, scaled_by_a_weight)}
HOISTED = ["ornn", "sru", "qrnn_f", "qrnn_fo", "janet"]
"""Cells whose values outside of the loop are made of one another."""
KEPT = [
    *(f"{name} once" for name in HOISTED),
    *(f"{name} {use}" for name in ("lstm", "gru") for use in list(USES)[1:]),
    "lstm_projected fed_back",
    "ornn carried",
    "sru fed_back",
]
EVERY_USE = [f"{name} {use}" for name in EVERY for use in USES]


def flat(results):
    if isinstance(results, torch.Tensor):
        return [results]
    return [t for part in results for t in flat(part)]


def problem(name, use):
    """A number that a layer computes of leaves, its input and parameters, and these."""
    layer = recurra.nn.Recurrent(EVERY[name], H, H, engine="cpu", dtype=torch.double)
    torch.manual_seed(5)
    names = [n for n, _ in layer.named_parameters()]
    leaves = [torch.randn(p.shape, dtype=torch.double) * 0.4 for p in layer.parameters()]
    leaves = [torch.randn(T, B, H, dtype=torch.double) * 0.5, *leaves]

    def total(*values):
        weights = dict(zip(names, values[1:], strict=True))

        def run(x, states=None):
            return functional_call(layer, weights, (x, states))

        given = (values[-1],) if use == "scaled_by_a_weight" else ()
        found = flat(USES[use](run, values[0], *given))
        return sum((v * torch.linspace(0.5, 1.5, v.numel()).view(v.shape)).sum() for v in found)

    return total, [leaf.requires_grad_() for leaf in leaves]


def moved(leaves, directions, step):
    pairs = zip(leaves, directions, strict=True)
    return [(leaf.detach() + step * d).requires_grad_() for leaf, d in pairs]


def along(values, directions):
    return sum((v * d).sum() for v, d in zip(values, directions, strict=True))


@pytest.mark.parametrize("problem_name", slow_but(KEPT, EVERY_USE))
def test_first_and_second_gradients_are_those_of_differences(problem_name):
    total, leaves = problem(*problem_name.rsplit(" ", 1))
    one, other = ([torch.randn_like(leaf) for leaf in leaves] for _ in range(2))
    first = torch.autograd.grad(total(*leaves), leaves, create_graph=True, materialize_grads=True)
    ahead, behind = (moved(leaves, other, step) for step in (STEP, -STEP))
    slope = (total(*ahead) - total(*behind)) / (2 * STEP)
    torch.testing.assert_close(along(first, other), slope, rtol=1e-6, atol=1e-7)
    slopes = [
        along(torch.autograd.grad(total(*at), at, materialize_grads=True), one)
        for at in (ahead, behind)
    ]
    second = torch.autograd.grad(along(first, one), leaves, materialize_grads=True)
    wanted = (slopes[0] - slopes[1]) / (2 * STEP)
    torch.testing.assert_close(along(second, other), wanted, rtol=1e-6, atol=1e-6)
    assert wanted.abs() > 1e-3


@pytest.mark.parametrize("use", list(USES)[1:])
def test_batches_of_gradients(use):
    total, leaves = problem("lstm", use)
    wanted = torch.autograd.grad(total(*leaves), leaves, retain_graph=True)
    seeds = torch.tensor([1.0, -2.0], dtype=torch.double)
    found = torch.autograd.grad(total(*leaves), leaves, seeds, is_grads_batched=True)
    torch.testing.assert_close(found, tuple(torch.stack([w, -2 * w]) for w in wanted))


def test_vectorised_jacobians_through_two_windows():
    layer, x = recurra.nn.GRU(H, H, engine="cpu", dtype=torch.double), torch.randn(2, B, H).double()

    def twice(x):
        y, h = layer(x)
        return layer(y, h)[0]

    wanted = torch.autograd.functional.jacobian(twice, x)
    found = torch.autograd.functional.jacobian(twice, x, vectorize=True)
    torch.testing.assert_close(found, wanted)


def meta_gradient(module, x):
    """Of a loss after a step of descent on two windows, the state carried between them."""
    weights = dict(module.named_parameters())
    _, states = module(x)
    y, states = module(x + 1, states)
    slopes = torch.autograd.grad(y.square().sum(), list(weights.values()), create_graph=True)
    adapted = {n: w - 0.1 * g for (n, w), g in zip(weights.items(), slopes, strict=True)}
    y, _ = functional_call(module, adapted, (x - 1, states))
    return torch.autograd.grad(y.square().sum(), list(weights.values()))


@pytest.mark.parametrize("engine", ["cpu", "torch"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_meta_learning_over_two_windows_is_torchs(kind, engine):
    mine = getattr(recurra.nn, kind)(H, H, engine=engine, dtype=torch.double)
    twin = getattr(torch.nn, kind)(H, H, dtype=torch.double)
    twin.load_state_dict(mine.state_dict())
    x = torch.randn(T, B, H, dtype=torch.double)
    torch.testing.assert_close(meta_gradient(mine, x), meta_gradient(twin, x))


def test_one_tensor_given_as_both_states():
    """Each state has a gradient of its own, and the tensor has their sum."""
    params, x, (h, _) = draw(EVERY["lstm"])
    found = []
    for engine in ENGINES:
        y, _ = run_cell(kernel(EVERY["lstm"], engine=engine), x, (h, h), params)
        (slope,) = torch.autograd.grad(y.square().sum(), h, create_graph=True)
        found.append((slope, *torch.autograd.grad(slope.square().sum(), h)))
    torch.testing.assert_close(found[0], found[2])
    torch.testing.assert_close(found[1], found[2])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_padding_is_not_read_where_gradients_are_recorded(bad, engine):
    layer = recurra.nn.LSTM(H, H, engine=engine, dtype=torch.double)
    lengths, x = torch.tensor([T, 1]), torch.randn(T, B, H, dtype=torch.double)
    padding = (torch.arange(T).unsqueeze(1) >= lengths).unsqueeze(-1)
    found = []
    for filler in (0.0, bad):
        at = x.masked_fill(padding, filler).requires_grad_()
        y, (h, _) = layer(at, lengths=lengths)
        (slope,) = torch.autograd.grad(y.sum() + h.square().sum(), at, create_graph=True)
        second = torch.autograd.grad(slope.square().sum(), [at, *layer.parameters()])
        found.append((slope, *second))
    torch.testing.assert_close(*found, rtol=0, atol=0)
