"""Derivatives of the reference engine: long sequences, second order, clipping, torch.func."""

import pytest
import torch
from formulas import FORMULAS, B, H, T, draw, expected, gradients, loss
from runs import run_cell
from torch.func import grad, hessian, jacrev, jvp, vmap

from recurra.cells import CELLS
from recurra.compile import kernel

LONG = 2000


def interp(name):
    return kernel(CELLS[name], engine="interp")


def leaves(drawn):
    p, x, states = drawn
    return [*p.values(), x, *states]


def as_drawn(name, values):
    """Parameters, input and states again, from `leaves`."""
    names = [p.name for p in CELLS[name].graph().params]
    p, (x, *states) = values[: len(names)], values[len(names) :]
    return dict(zip(names, p, strict=True)), x, states


def flat(name, **options):
    """A function of `leaves` that gives outputs and last states."""

    def run(*values):
        p, x, states = as_drawn(name, values)
        y, last = run_cell(interp(name), x, states, p, **options)
        return (y, *last)

    return run


def masks():
    resets = torch.zeros(T, B, dtype=torch.bool)
    resets[2, 0] = resets[4, 1] = True
    return {"lengths": torch.tensor([T, 3, 0, 5]), "resets": resets}


def relative(actual, wanted):
    return ((actual.double() - wanted).norm() / wanted.norm()).item()


@pytest.mark.parametrize("name", FORMULAS)
def test_long_sequences_keep_their_gradients(name):
    exact = draw(name, steps=LONG, batch=1, scale=0.35)
    single = [v.detach().float().requires_grad_() for v in leaves(exact)]
    y, *last = flat(name)(*single)
    p, x, states = exact
    wanted_y, wanted_last = expected(FORMULAS[name], p, x, states)
    assert relative(y, wanted_y) < 1e-5
    wanted = gradients(wanted_y, wanted_last, leaves(exact))
    assert max(map(relative, gradients(y, last, single), wanted)) < 1e-5


@pytest.mark.parametrize("name", FORMULAS)
def test_gradient_reaches_every_step_before(name):
    p, x, states = draw(name, steps=40, batch=1, scale=0.8, seed=3)
    y, _ = run_cell(interp(name), x, states, p)
    wanted_y, _ = expected(FORMULAS[name], p, x, states)
    reach = torch.autograd.grad(y[-1].sum(), x)[0].norm(dim=-1)
    wanted = torch.autograd.grad(wanted_y[-1].sum(), x)[0].norm(dim=-1)
    torch.testing.assert_close(reach, wanted, rtol=1e-9, atol=0)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", FORMULAS)
def test_gradcheck_to_second_order(name, masked):
    options = {
        "lengths": torch.tensor([3, 2]),
        "resets": torch.tensor([[0, 0], [1, 0], [0, 1]]).bool(),
    }
    values = leaves(draw(name, steps=3, batch=2, inputs=2, hidden=2))
    run = flat(name, **(options if masked else {}))
    assert torch.autograd.gradcheck(run, values, fast_mode=True)
    assert torch.autograd.gradgradcheck(run, values, fast_mode=True)


def clipped_by_hooks(name, drawn, limit):
    """The older recipe, by hand: every dL/dh_t is clamped as it arrives."""
    p, x, states = drawn
    outputs = []
    for x_t in x:
        states = list(interp(name).step(x_t, states, p))
        states[0].register_hook(lambda g: g.clamp(-limit, limit))
        outputs.append(states[0])
    return torch.stack(outputs), states


@pytest.mark.parametrize("limit", [0.05, 0.5])
@pytest.mark.parametrize("name", FORMULAS)
def test_bptt_clip_is_a_hook_on_every_h(name, limit):
    drawn = draw(name)
    p, x, states = drawn
    y, last = run_cell(interp(name), x, states, p, bptt_clip=limit)
    clipped = gradients(y, last, leaves(drawn))
    wanted = gradients(*clipped_by_hooks(name, drawn, limit), leaves(drawn))
    torch.testing.assert_close(clipped, wanted, rtol=1e-9, atol=1e-11)
    plain = gradients(*run_cell(interp(name), x, states, p), leaves(drawn))
    assert not torch.allclose(clipped[0], plain[0])


def test_wide_bptt_clip_changes_nothing():
    p, x, states = drawn = draw("lstm")
    y, last = run_cell(interp("lstm"), x, states, p, bptt_clip=1e6)
    plain = gradients(*run_cell(interp("lstm"), x, states, p), leaves(drawn))
    torch.testing.assert_close(gradients(y, last, leaves(drawn)), plain, rtol=0, atol=0)


@pytest.mark.parametrize("clip", [None, 0.1])
@pytest.mark.parametrize("name", FORMULAS)
def test_func_grad(name, clip):
    values = leaves(draw(name))
    run = flat(name, bptt_clip=clip, **masks())
    every = tuple(range(len(values)))
    found = grad(lambda *v: loss(*_split(run(*v))), argnums=every)(*values)
    wanted = gradients(*_split(run(*values)), values)
    torch.testing.assert_close(found, wanted)


def _split(outcome):
    return outcome[0], outcome[1:]


@pytest.mark.parametrize("clip", [None, 0.1])
@pytest.mark.parametrize("name", FORMULAS)
def test_func_jvp(name, clip):
    values = [v.detach() for v in leaves(draw(name))]
    tangents = [torch.randn_like(v) for v in values]
    run = flat(name, bptt_clip=clip, **masks())
    _, found = jvp(run, tuple(values), tuple(tangents))
    step = 1e-6
    ahead = run(*(v + step * t for v, t in zip(values, tangents, strict=True)))
    behind = run(*(v - step * t for v, t in zip(values, tangents, strict=True)))
    wanted = tuple((a - b) / (2 * step) for a, b in zip(ahead, behind, strict=True))
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("clip", [None, 0.1])
@pytest.mark.parametrize("name", FORMULAS)
def test_func_vmap_of_grad(name, clip):
    """Gradients of each of three sequences apart, the weights shared."""
    p, x, states = draw(name, batch=3)

    def of_one(x, *states):
        y, last = run_cell(
            interp(name), x.unsqueeze(1), [s.unsqueeze(0) for s in states], p, bptt_clip=clip
        )
        return y.sum() + sum(s.sum() for s in last)

    found = vmap(grad(of_one), in_dims=(1, *[0] * len(states)), out_dims=1)(x, *states)
    y, last = run_cell(interp(name), x, states, p, bptt_clip=clip)
    (wanted,) = torch.autograd.grad(y.sum() + sum(s.sum() for s in last), x)
    torch.testing.assert_close(found, wanted)


def test_func_hessian():
    p, x, (h,) = draw("gru", steps=3, batch=1)

    def run(h):
        return run_cell(interp("gru"), x, [h], p)[0].pow(2).sum()

    forward_over_reverse = hessian(run)(h)
    torch.testing.assert_close(forward_over_reverse, jacrev(jacrev(run))(h))
    assert forward_over_reverse.reshape(H, H).norm() > 0
