"""Derivatives of every kind: checked by differences, second ones, forward mode, autocast."""

import pytest
import torch
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.func import functional_call
from torch.nn.utils.rnn import pack_padded_sequence

from helpers.citizens import (
    CELLS,
    KINDS,
    close,
    flat,
    layer,
    loss,
    oracle,
    torch_twin,
)


def of_everything(module, *states):
    """A function of input, states and parameters, and doubles to check it at."""
    names, weights = zip(*module.named_parameters(), strict=True)
    given = len(states)

    def call(x, *rest):
        hx = rest[0] if given == 1 else tuple(rest[:given])
        params = dict(zip(names, rest[given:], strict=True))
        return tuple(flat(functional_call(module, params, (x, hx))))

    at = (torch.randn(3, 2, 2), *states, *weights)
    return call, [t.detach().double().clone().requires_grad_() for t in at]


def small(kind, **options):
    module = layer(kind, 2, 2, dtype=torch.double, **options)
    few = 2 if kind in ("lstm", "own") else 1
    rows = 2 if options.get("bidirectional") else 1
    return of_everything(module, *(torch.randn(rows, 2, 2) for _ in range(few)))


@pytest.mark.parametrize("kind", KINDS)
def test_gradcheck_with_forward_mode(kind):
    call, at = small(kind)
    assert gradcheck(call, at, check_forward_ad=True, fast_mode=True)


@pytest.mark.parametrize("kind", KINDS)
def test_gradgradcheck(kind):
    call, at = small(kind)
    assert gradgradcheck(call, at, fast_mode=True)


def test_gradcheck_of_both_directions_with_batched_gradients():
    call, at = small("lstm", bidirectional=True)
    assert gradcheck(call, at, fast_mode=True, check_batched_grad=True)
    assert gradgradcheck(call, at, fast_mode=True)


def test_a_batch_of_gradients_at_once():
    module, x = layer("gru"), torch.randn(5, 2, 3, requires_grad=True)
    y, _ = module(x)
    seeds = torch.randn(3, *y.shape)
    (found,) = torch.autograd.grad(y, x, seeds, is_grads_batched=True, retain_graph=True)
    wanted = [torch.autograd.grad(y, x, seed, retain_graph=True)[0] for seed in seeds]
    close(found, torch.stack(wanted))


@pytest.mark.parametrize("argument", ["lengths", "resets"])
def test_gradcheck_with_lengths_and_resets(argument):
    given = {"lengths": torch.tensor([3, 1]), "resets": torch.rand(3, 2) < 0.5}[argument]
    module = layer("gru", 2, 2, dtype=torch.double)
    x = torch.randn(3, 2, 2, dtype=torch.double, requires_grad=True)

    def call(x):
        return module(x, **{argument: given})

    assert gradcheck(call, x, check_forward_ad=True, fast_mode=True)
    assert gradgradcheck(call, x, fast_mode=True)


@pytest.mark.parametrize("kind", CELLS)
def test_cells_pass_all_checks(kind):
    cell = CELLS[kind](2, 2, dtype=torch.double)
    x = torch.randn(2, 2, dtype=torch.double, requires_grad=True)
    assert gradcheck(cell, x, check_forward_ad=True)
    assert gradgradcheck(cell, x)


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_step_with_a_gradient_penalty(kind):
    module = layer(kind)
    twin, found = oracle(module, kind), []
    x = torch.randn(5, 2, 3)
    for m, at in ((module, x.clone()), (twin, x.double())):
        at.requires_grad_()
        (slope,) = torch.autograd.grad(loss(m(at)), at, create_graph=True)
        total = loss(m(at)) + slope.square().sum()
        found.append(torch.autograd.grad(total, [p for _, p in sorted(m.named_parameters())]))
    close(*found)


def test_third_derivatives():
    module = layer("lstm", 2, 2, dtype=torch.double)
    twin, found = oracle(module, "lstm", 2, 2), []
    x = torch.randn(3, 1, 2, dtype=torch.double)
    for m in (module, twin):
        at = x.clone().requires_grad_()
        value = loss(m(at))
        for _ in range(3):
            (slope,) = torch.autograd.grad(value, at, create_graph=True)
            value = slope.square().sum()
        found.append(slope)
    close(*found, tolerance=1e-8)


@pytest.mark.parametrize("seeded", ["x", "weight"])
@pytest.mark.parametrize("kind", KINDS)
def test_forward_mode_tangents_are_not_lost(kind, seeded):
    module = layer(kind, dtype=torch.double)
    twin, x = oracle(module, kind), torch.randn(5, 2, 3, dtype=torch.double)
    name = sorted(n for n, p in module.named_parameters() if p.dim() == 2)[0]
    value = x if seeded == "x" else module.get_parameter(name).detach()
    tangent = torch.randn_like(value)

    def call(m, value):
        if seeded == "x":
            return m(value)[0]
        return functional_call(m, {name: value}, (x,))[0]

    with forward_ad.dual_level(), torch.no_grad():
        dual = forward_ad.make_dual(value, tangent)
        found = forward_ad.unpack_dual(call(module, dual)).tangent
    step = 1e-6
    with torch.no_grad():
        rise = call(twin, value + step * tangent) - call(twin, value - step * tangent)
    assert found is not None
    close(found, rise / (2 * step), tolerance=1e-6)


def test_a_tangent_in_the_state_alone():
    module, x = layer("gru", dtype=torch.double), torch.randn(5, 2, 3, dtype=torch.double)
    h = torch.randn(1, 2, 4, dtype=torch.double)
    with forward_ad.dual_level():
        y, _ = module(x, forward_ad.make_dual(h, torch.ones_like(h)))
        found = forward_ad.unpack_dual(y).tangent
    rise = module(x, h + 1e-6)[0] - module(x, h - 1e-6)[0]
    close(found, rise / 2e-6, tolerance=1e-6)


HAS_BFLOAT16 = torch.ops.mkldnn._is_mkldnn_bf16_supported()
LOW, WIDE = torch.bfloat16, torch.float32
DTYPES = {"lstm": [LOW] * 3, "projected": [LOW, LOW, WIDE], "gru": [WIDE] * 2, "rnn": [LOW] * 2}
"""Of outputs and states under autocast to bfloat16, as torch's layers have them on CPUs."""
CALLS = {
    "plain": {},
    "lengths": {"lengths": [5, 2]},
    "resets": {"resets": torch.ones(5, 2, dtype=torch.bool)},
    "all states": {"return_states": "all"},
}


def twins(name, **options):
    kind, sizes = ("lstm", {"proj_size": 2}) if name == "projected" else (name, {})
    module = layer(kind, **options, **sizes)
    return module, torch_twin(module, kind, **sizes)


@pytest.mark.parametrize("name", DTYPES)
def test_autocast_is_torchs(name):
    (module, twin), x, found = twins(name), torch.randn(5, 2, 3), {}
    # torch's LSTM fails where oneDNN has no bfloat16; its plain one has other dtypes.
    with torch.backends.mkldnn.flags(enabled=HAS_BFLOAT16):
        for whose, m in (("ours", module), ("torch", twin)):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                found[whose] = m(x)
            loss(found[whose]).float().backward()
    if HAS_BFLOAT16:
        assert [t.dtype for t in flat(found["torch"])] == DTYPES[name]
    assert [t.dtype for t in flat(found["ours"])] == DTYPES[name]
    close(found["ours"], found["torch"], tolerance=0.03)
    for ours, theirs in zip(module.parameters(), twin.parameters(), strict=True):
        assert ours.grad.dtype == torch.float32
        assert (ours.grad - theirs.grad).norm() < 0.05 * theirs.grad.norm()


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("options", [{}, {"engine": "interp"}, {"bptt_clip": 1.0}])
@pytest.mark.parametrize("name", DTYPES)
def test_dtypes_under_autocast_are_those_of_any_engine(name, options, call):
    (module, twin), x = twins(name, **options), torch.randn(5, 2, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = module(x, **CALLS[call])
    assert [t.dtype for t in flat(found)] == DTYPES[name]
    if call == "plain":
        close(found, twin(x), tolerance=0.05)


@pytest.mark.parametrize("lengths", [[5, 5], [5, 2]])
@pytest.mark.parametrize("name", DTYPES)
def test_packed_rows_have_torchs_dtypes_under_autocast(name, lengths):
    (module, twin), packed = twins(name), pack_padded_sequence(torch.randn(5, 2, 3), lengths)
    if name == "lstm" and not HAS_BFLOAT16:
        pytest.skip("torch's LSTM has no bfloat16 on this processor")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, wanted = (
            [t.dtype for t in flat((y.data, s))] for y, s in (module(packed), twin(packed))
        )
    assert found == wanted


@pytest.mark.parametrize("name", DTYPES)
def test_autocast_to_half(name):
    """Torch's LSTM fails where oneDNN has no half; the others have dtypes like bfloat16's."""
    (module, _), x = twins(name), torch.randn(5, 2, 3)
    with torch.autocast("cpu", dtype=torch.float16):
        found = module(x)
    halves = [torch.float16 if d is LOW else d for d in DTYPES[name]]
    assert [t.dtype for t in flat(found)] == halves
    close(found, module(x), tolerance=0.01)


@pytest.mark.parametrize("name", DTYPES)
def test_an_exported_program_under_autocast(name):
    (module, _), x = twins(name), torch.randn(5, 2, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = torch.export.export(module, (x,)).module()(x)
    assert [t.dtype for t in flat(found)] == DTYPES[name]
    close(found, module(x), tolerance=0.05)


def test_autocast_of_the_forward_alone():
    module, x = layer("own"), torch.randn(5, 2, 3, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, _ = module(x)
    y.float().sum().backward()
    exact = oracle(module, "own")(x.detach().double())[0]
    close(y.detach(), exact.detach(), tolerance=0.05)
    assert x.grad.dtype == torch.float32
    assert module.U_l0.grad.dtype == torch.float32


def test_disabled_autocast_is_no_autocast():
    module, x = layer("lstm"), torch.randn(5, 2, 3)
    with torch.autocast("cpu", enabled=False):
        assert torch.equal(module(x)[0], module(x)[0])
        assert module(x)[0].dtype == torch.float32


def test_a_cells_autocast_is_torchs():
    cell, twin = CELLS["lstm"](3, 4), torch.nn.LSTMCell(3, 4)
    twin.load_state_dict(cell.state_dict())
    x = torch.randn(2, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, wanted = cell(x), twin(x)
    assert [t.dtype for t in found] == [t.dtype for t in wanted]
    close(found, wanted, tolerance=0.03)
