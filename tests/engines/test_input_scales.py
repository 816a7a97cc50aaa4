"""Every cell at its default start, on inputs of every scale, in every dtype, by every engine.

The reference is the same layer in float64. A result may be off by what rounding its inputs, weights
and initial numbers once does to the reference, some times over, and by some units of its own size.
"""

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
