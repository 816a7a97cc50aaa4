"""The built-in cells from their formulas, run over one row and one step at a time."""

import torch
from runs import run_cell
from torch import sigmoid, tanh

from recurra.cells import CELLS

T, B, I, H = 6, 4, 3, 4


def rnn(p, x, h):
    return (tanh(p["W"] @ x + p["U"] @ h + p["b"]),)


def rnn_relu(p, x, h):
    return ((p["W"] @ x + p["U"] @ h + p["b"]).clamp(min=0),)


def lstm(p, x, h, c):
    i, f, g, o = (p["W"] @ x + p["U"] @ h + p["b"]).chunk(4)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


def lstm_projected(p, x, h, c):
    h, c = lstm(p, x, h, c)
    return p["R"] @ h, c


def gru(p, x, h):
    r, z, n = (p["W"] @ x + p["b"]).chunk(3)
    r_h, z_h, n_h = (p["U"] @ h).chunk(3)
    z = sigmoid(z + z_h)
    n = tanh(n + sigmoid(r + r_h) * (n_h + p["b_h"]))
    return ((1 - z) * n + z * h,)


def gru_original(p, x, h):
    r, z, n = (p["W"] @ x + p["b"]).chunk(3)
    r_h, z_h, _ = (p["U"] @ h).chunk(3)
    z = sigmoid(z + z_h)
    n = tanh(n + p["U"].chunk(3)[2] @ (sigmoid(r + r_h) * h))
    return ((1 - z) * n + z * h,)


FORMULAS = {
    "rnn": rnn,
    "rnn_relu": rnn_relu,
    "lstm": lstm,
    "lstm_projected": lstm_projected,
    "gru": gru,
    "gru_original": gru_original,
}


def expected(formula, p, x, states, lengths=None, resets=None, reverse=False):
    """Outputs (T, B, size) and last states, row by row and step by step."""
    rows = [
        _row(formula, p, x[:, b], [s[b] for s in states], n, marks, reverse)
        for b, (n, marks) in enumerate(_rows(x, lengths, resets))
    ]
    y = torch.stack([outputs for outputs, _ in rows], 1)
    return y, tuple(map(torch.stack, zip(*(last for _, last in rows), strict=True)))


def _rows(x, lengths, resets):
    steps, batch = x.shape[:2]
    for b in range(batch):
        length = steps if lengths is None else int(lengths[b])
        yield length, [] if resets is None else [t for t in range(length) if resets[t, b]]


def _row(formula, p, x, states, length, marks, reverse):
    outputs = [torch.zeros_like(states[0])] * len(x)
    for t in reversed(range(length)) if reverse else range(length):
        # A segment starts at its mark; coming from the end, the state crosses it one step later.
        if t + reverse in marks:
            states = [torch.zeros_like(s) for s in states]
        states = formula(p, x[t], *states)
        outputs[t] = states[0]
    return torch.stack(outputs), states


def draw(name, *, steps=T, batch=B, inputs=I, hidden=H, seed=0, scale=0.5, dtype=torch.float64):
    """Parameters, input and states of a built-in cell, with gradients wanted."""
    random = torch.Generator().manual_seed(seed)
    cell = CELLS[name]
    graph, sizes = cell.graph(), cell.bind(inputs, hidden)

    def tensor(*shape):
        value = torch.randn(shape, generator=random, dtype=torch.float64) * scale
        return value.to(dtype).requires_grad_()

    p = {param.name: tensor(*param.shape(sizes)) for param in graph.params}
    states = [tensor(batch, size.value(sizes)) for size in graph.state_sizes]
    return p, tensor(steps, batch, inputs), states


def loss(y, last, seed=1):
    """A number that every output and every last state has a weight of its own in."""
    random = torch.Generator().manual_seed(seed)

    def weigh(v):
        return (v * torch.randn(v.shape, generator=random, dtype=torch.float64).to(v.dtype)).sum()

    return weigh(y) + sum(weigh(v) for v in last)


def gradients(y, last, leaves, **kwargs):
    """Of `loss`, for each leaf; zeros where it has no part."""
    return torch.autograd.grad(loss(y, last), leaves, materialize_grads=True, **kwargs)


def assert_same(kernel, name, drawn, **options):
    """Outputs, last states and every gradient equal the formula's."""
    p, x, states = drawn
    leaves = [*p.values(), x, *states]
    actual = run_cell(kernel, x, states, p, **options)
    wanted = expected(FORMULAS[name], p, x, states, **options)
    tight = {"rtol": 1e-9, "atol": 1e-11}
    torch.testing.assert_close((actual[0], *actual[1]), (wanted[0], *wanted[1]), **tight)
    torch.testing.assert_close(gradients(*actual, leaves), gradients(*wanted, leaves), **tight)
