"""torch.func: per-sample gradients, jvp, vjp, Jacobians, Hessians, ensembles."""

import copy

import pytest
import torch
from torch.func import (
    functional_call,
    grad,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    stack_module_state,
    vjp,
    vmap,
)

from helpers.citizens import CELLS, KINDS, close, gradients, layer, loss, oracle


def weights_of(module):
    return {n: p.detach() for n, p in module.named_parameters()}


@pytest.mark.parametrize("kind", KINDS)
def test_grad_equals_autograd(kind):
    module, x = layer(kind), torch.randn(5, 2, 3)
    found = grad(lambda p: loss(functional_call(module, p, (x,))))(weights_of(module))
    wanted = gradients(oracle(module, kind), x.double())
    close([found[n] for n in sorted(found)], [wanted[n] for n in sorted(found)])


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_each_sample(kind):
    module, batch = layer(kind), torch.randn(4, 5, 3)

    def one(params, x):
        return loss(functional_call(module, params, (x.unsqueeze(1),)))

    found = vmap(grad(one), in_dims=(None, 0))(weights_of(module), batch)
    for index, x in enumerate(batch):
        wanted = gradients(oracle(module, kind), x.unsqueeze(1).double())
        close([g[index] for g in found.values()], [wanted[n] for n in found])


def test_gradients_of_each_sample_in_chunks_with_lengths():
    module, batch = layer("lstm"), torch.randn(4, 5, 2, 3)
    lengths = torch.tensor([5, 2])

    def one(params, x):
        return loss(functional_call(module, params, (x,), {"lengths": lengths}))

    run = vmap(grad(one), in_dims=(None, 0), chunk_size=2)
    found = run(weights_of(module), batch)["weight_hh_l0"]
    wanted = [gradients(module, x, lengths=lengths)["weight_hh_l0"] for x in batch]
    close(found, torch.stack(wanted))


def test_vmap_alone_and_nested():
    module, x = layer("gru"), torch.randn(2, 3, 5, 2, 3)
    found = vmap(vmap(lambda x: module(x)[0]))(x)
    wanted = [[module(part)[0] for part in row] for row in x]
    close(found, torch.stack([torch.stack(row) for row in wanted]))


@pytest.mark.parametrize("kind", KINDS)
def test_jvp_agrees_with_vjp(kind):
    """<u, J v> is <J^T u, v>, and neither is zero."""
    module, x = layer(kind, dtype=torch.double), torch.randn(5, 2, 3, dtype=torch.double)
    v = torch.randn_like(x)
    y, tangent = jvp(lambda x: module(x)[0], (x,), (v,))
    u = torch.randn_like(y)
    _, back = vjp(lambda x: module(x)[0], x)
    at = x.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(oracle(module, kind)(at)[0], at, u)
    close(back(u)[0], wanted)
    close((u * tangent).sum(), (wanted * v).sum(), tolerance=1e-9)
    assert tangent.abs().sum() > 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_jacobians_both_ways(kind):
    module, x = layer(kind, dtype=torch.double), torch.randn(3, 1, 3, dtype=torch.double)
    wanted = torch.autograd.functional.jacobian(lambda x: oracle(module, kind)(x)[0], x)
    close(jacrev(lambda x: module(x)[0])(x), wanted, tolerance=1e-9)
    close(jacfwd(lambda x: module(x)[0])(x), wanted, tolerance=1e-9)


@pytest.mark.parametrize("kind", ["lstm", "own"])
def test_hessian(kind):
    module, x = layer(kind, 2, 3, dtype=torch.double), torch.randn(3, 1, 2, dtype=torch.double)
    twin = oracle(module, kind, 2, 3)
    wanted = torch.autograd.functional.hessian(lambda x: loss(twin(x)), x)
    close(hessian(lambda x: loss(module(x)))(x), wanted, tolerance=1e-8)
    assert wanted.abs().sum() > 0.1


def test_linearize():
    module, x = layer("rnn", dtype=torch.double), torch.randn(3, 1, 3, dtype=torch.double)
    _, tangent = linearize(lambda x: module(x)[0], x)
    v = torch.randn_like(x)
    close(tangent(v), jvp(lambda x: module(x)[0], (x,), (v,))[1], tolerance=1e-9)


def test_an_ensemble_by_vmap_over_weights():
    modules, x = [layer("lstm") for _ in range(3)], torch.randn(5, 2, 3)
    params, buffers = stack_module_state(modules)
    base = copy.deepcopy(modules[0]).to("meta")
    found = vmap(lambda p, b: functional_call(base, (p, b), (x,))[0])(params, buffers)
    close(found, torch.stack([m(x)[0] for m in modules]))


def test_functional_call_uses_the_weights_given():
    module, other, x = layer("gru"), layer("gru"), torch.randn(5, 2, 3)
    mine = module(x)[0]
    close(functional_call(module, weights_of(other), (x,)), other(x))
    close(module(x)[0], mine)


def test_a_plain_gradient_outside_of_a_transform_goes_on_working():
    module, x = layer("lstm"), torch.randn(5, 2, 3)
    before = gradients(module, x)
    vmap(grad(lambda x: loss(module(x))))(torch.randn(2, 5, 2, 3))
    after = gradients(module, x)
    assert all(torch.equal(before[n], after[n]) for n in before)


@pytest.mark.parametrize("kind", CELLS)
def test_cells_under_transforms(kind):
    cell, x = CELLS[kind](3, 4), torch.randn(4, 2, 3)
    found = vmap(grad(lambda x: loss(cell(x))))(x)
    close(found, torch.stack([gradients(cell, row)["x"] for row in x]))
    v = torch.randn(2, 3)
    tangent = jvp(lambda x: loss(cell(x)), (x[0],), (v,))[1]
    close(tangent, (found[0] * v).sum())
