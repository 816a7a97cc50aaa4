"""Every cell at its default start, on inputs of every scale, in every dtype, by every engine.

The reference is the same layer in float64. A result may be off by what rounding its inputs, weights
and initial numbers once does to the reference, some times over, and by some units of its own size.
"""

import mpmath
import pytest
import torch
from contract import ENGINES_OF, EVERY, slow_but

from recurra.nn import Recurrent

T, B, I, H = 3, 2, 3, 6
SCALES = (1e-4, 1e-2, 1.0, 1e2, 1e4)
TIMES = 16  # more than the roundings that follow one another in these steps
SHORT = (torch.bfloat16, torch.float16)
LONG = (torch.float32, torch.float64)
CASES = {
    f"{name} {engine} {str(dtype).removeprefix('torch.')}": (name, engine, dtype)
    for name in EVERY
    for engine in ("interp", *ENGINES_OF[name])
    for dtype in (*LONG, *(SHORT if engine == "interp" else ()))
    if (engine, dtype) != ("interp", torch.float64)
}
UNSTABLE = ("rglru", "slstm", "minlstm")
"""Cells whose published form overflows or divides 0 by 0."""
VARIED = (*UNSTABLE, "gru", "lstm_layernorm", "lstm_multiplicative", "rotation", "sru")
KEPT = [
    case
    for case, (name, engine, dtype) in CASES.items()
    if (name in VARIED and (engine, dtype) == ("cpu", torch.float32))
    or (name in UNSTABLE and engine == "interp")
]


def inputs(size, scale, dtype):
    """Normal numbers of that scale, or bytes as they come."""
    if scale == "bytes":
        return torch.randint(0, 256, (T, B, size)).to(dtype)
    return (torch.randn(T, B, size, dtype=torch.float64) * scale).to(dtype)


def results(layer, x):
    """Outputs, last states and all gradients, the outputs weighed."""
    x = x.detach().requires_grad_()
    y, states = layer(x)
    found = [y, *(states if isinstance(states, tuple) else (states,))]
    weights = [torch.linspace(-1, 1, v.numel(), dtype=torch.float64) for v in found]
    leaves = [x, *layer.parameters()]
    seeds = [w.view(v.shape).to(v.dtype) for w, v in zip(weights, found, strict=True)]
    slopes = torch.autograd.grad(found, leaves, seeds, materialize_grads=True)
    return [v.detach().double() for v in (*found, *slopes)]


def rounded(value, unit):
    """The value with an error of up to a unit in each number."""
    return value * (1 + unit * (2 * torch.rand_like(value) - 1))


def perturbed(layer, x, unit):
    """The results for inputs and weights with errors of a unit."""
    exact = [p.detach().clone() for p in layer.parameters()]
    with torch.no_grad():
        for p in layer.parameters():
            p.copy_(rounded(p, unit))
    found = results(layer, rounded(x, unit))
    with torch.no_grad():
        for p, e in zip(layer.parameters(), exact, strict=True):
            p.copy_(e)
    return found


def assert_close(found, layer, x, dtype):
    """The results are those of the layer in float64, as far as the dtype allows."""
    limits = torch.finfo(dtype)
    wanted = results(layer, x)
    moved = [perturbed(layer, x, limits.eps) for _ in range(2)]
    # A gate that is shut or open but for a unit is so altogether: it loses a slope of a unit times
    # what it lets through, which is as large as outputs and states, and times its input.
    slope = max(1.0, x.abs().max().item()) * max(1.0, *(v.abs().max().item() for v in wanted[:2]))
    for i, (f, w) in enumerate(zip(found, wanted, strict=True)):
        there = w.abs() < limits.max / 2
        assert f[there].isfinite().all()
        f, w = f[there], w[there]
        spread = max((m[i][there] - w).nan_to_num().norm().item() for m in moved)
        own = limits.eps * (w.norm().item() + slope * w.numel() ** 0.5)
        assert (f - w).norm() <= TIMES * (spread + own + limits.tiny)


@pytest.mark.parametrize("case", slow_but(KEPT, list(CASES)))
def test_values_and_gradients_at_every_scale(case):
    name, engine, dtype = CASES[case]
    torch.manual_seed(3)
    wide = EVERY[name].sizes.get("x") == "hidden_size"
    layer = Recurrent(EVERY[name], H if wide else I, H, engine=engine, dtype=dtype)
    twin = Recurrent(EVERY[name], H if wide else I, H, engine="interp", dtype=torch.float64)
    twin.load_state_dict({k: v.double() for k, v in layer.state_dict().items()})
    for scale in (*SCALES, "bytes"):
        x = inputs(layer.input_size, scale, dtype)
        assert_close(results(layer, x), twin, x.double(), dtype)


def shut(name, engine, dtype, **biases):
    """A layer of one unit, all parameters zeros but the candidate's weight and these biases."""
    layer = Recurrent(name, 1, 1, engine=engine, dtype=dtype)
    gates = layer.cell.gates
    with torch.no_grad():
        for p in layer.parameters():
            p.zero_()
        for gate in {"z", "n"} & set(gates):
            layer.W_l0[gates.index(gate)] = 1.0
        for gate, bias in biases.items():
            layer.b_l0[gates.index(gate)] = bias
    return layer


EXACT = [(engine, dtype) for engine in ("cpu", "interp") for dtype in LONG]


@pytest.mark.parametrize(("engine", "dtype"), EXACT)
@pytest.mark.parametrize("bias", [-80.0, -120.0, -1e5])
def test_an_slstm_whose_input_gate_is_shut_takes_the_first_input_of_a_segment(engine, dtype, bias):
    """Its weight falls out of the normalised state, at first and after marks."""
    layer, x = shut("slstm", engine, dtype, i=bias), torch.ones(4, 2, 1, dtype=dtype)
    resets = torch.tensor([[0, 1], [0, 0], [1, 0], [0, 1]], dtype=torch.bool)
    x[2, 0] = 2.0
    y, _ = layer(x, resets=resets)
    firsts = [y[0, 0], y[0, 1], y[2, 0] * float(mpmath.tanh(1) / mpmath.tanh(2)), y[3, 1]]
    wanted = torch.full((4, 1), float(mpmath.tanh(1) / 2), dtype=dtype)
    torch.testing.assert_close(torch.stack(firsts), wanted)
    slopes = torch.autograd.grad(y.sum(), list(layer.parameters()))
    assert all(s.isfinite().all() for s in slopes)


@pytest.mark.parametrize(("engine", "dtype"), EXACT)
@pytest.mark.parametrize("bias", [-80.0, -120.0, -1e5])
def test_a_minlstm_whose_gates_are_both_shut_takes_half_of_each(engine, dtype, bias):
    layer, x = shut("minlstm", engine, dtype, f=bias, i=bias), torch.ones(3, 1, 1, dtype=dtype)
    y, _ = layer(x)
    assert y.flatten().tolist() == [0.5, 0.75, 0.875]
    slopes = torch.autograd.grad(y.sum(), list(layer.parameters()))
    assert all(s.isfinite().all() for s in slopes)


def kept_nothing(decay, bias):
    """A first output of the RG-LRU for an input of 1, and its slope along the bias of r."""
    share = mpmath.log1p(mpmath.exp(-decay)) * 16

    def output(bias):
        return mpmath.sqrt(-mpmath.expm1(-share / (1 + mpmath.exp(-bias)))) / 2

    with mpmath.workdps(60):
        return float(output(mpmath.mpf(bias))), float(mpmath.diff(output, mpmath.mpf(bias)))


@pytest.mark.parametrize(("engine", "dtype"), EXACT)
@pytest.mark.parametrize(("decay", "bias"), [(3.0, -20.0), (3.0, 2.0), (10.0, -40.0), (0.0, -2.0)])
def test_an_rglru_takes_little_where_it_keeps_nearly_all(engine, dtype, decay, bias):
    layer = shut("rglru", engine, dtype, r=bias)
    layer.decay_l0.data.fill_(decay)
    y, _ = layer(torch.ones(1, 1, 1, dtype=dtype))
    (slope,) = torch.autograd.grad(y.sum(), layer.b_l0)
    wanted = torch.tensor(kept_nothing(decay, bias), dtype=dtype)
    torch.testing.assert_close(torch.stack([y.flatten()[0], slope[0]]), wanted, atol=0.0, rtol=3e-6)


@pytest.mark.parametrize(("engine", "dtype"), EXACT)
@pytest.mark.parametrize("bias", [-60.0, -90.0, -110.0, -1e5])
def test_an_rglru_that_keeps_all_has_slopes(engine, dtype, bias):
    layer = shut("rglru", engine, dtype, r=bias)
    y, _ = layer(torch.ones(3, 1, 1, dtype=dtype))
    assert 0 <= y.max() < 1e-12
    slopes = torch.autograd.grad(y.sum(), list(layer.parameters()), create_graph=True)
    again = torch.autograd.grad(sum(s.square().sum() for s in slopes), list(layer.parameters()))
    assert all(s.isfinite().all() for s in (*slopes, *again))


@pytest.mark.parametrize(("engine", "dtype"), EXACT)
@pytest.mark.parametrize("bias", [-3.0, 12.0, 20.0, 60.0])
def test_a_janet_takes_in_with_all_digits(engine, dtype, bias):
    """The part of a candidate that a gate lets in where it keeps nearly all, and its slope."""
    layer = shut("janet", engine, dtype, s=bias)
    layer.W_l0.data[1] = 1.0
    y, _ = layer(torch.ones(1, 1, 1, dtype=dtype))
    (slope,) = torch.autograd.grad(y.sum(), layer.b_l0)
    part = 1 / (1 + mpmath.exp(bias - 1))
    wanted = mpmath.tanh(1) * part, -mpmath.tanh(1) * part * (1 - part)
    torch.testing.assert_close(
        torch.stack([y.flatten()[0], slope[0]]),
        torch.tensor([float(w) for w in wanted], dtype=dtype),
        atol=0.0,
        rtol=3e-6,
    )


COUPLED = ("gru", "gru_original", "lstm_coupled", "mgu", "mingru", "qrnn_f", "qrnn_fo", "ugrnn")


@pytest.mark.parametrize("bias", [8.0, 12.0, 16.0])
@pytest.mark.parametrize("name", COUPLED)
def test_a_state_equal_to_its_candidate_stays(name, bias):
    """Gates that keep and take in must sum to one, not each be right for itself."""
    layer = Recurrent(name, 1, 1, engine="cpu")
    cell = layer.cell
    gate, candidate = (
        cell.gates.index(n) for n in (cell.forget.removeprefix("1 - "), cell.candidate)
    )
    keeping = -bias if cell.forget.startswith("1 - ") else bias
    with torch.no_grad():
        for p in layer.parameters():
            p.zero_()
        layer.W_l0[candidate] = 1.0
        layer.b_l0[gate] = -1e4 * keeping
        _, taken = layer(torch.full((1, 1, 1), 0.7))
        layer.b_l0[gate] = keeping
        _, kept = layer(torch.full((3000, 1, 1), 0.7), taken)
    assert taken[-1] > 0.5
    torch.testing.assert_close(kept[-1], taken[-1], atol=0.0, rtol=5e-7)
