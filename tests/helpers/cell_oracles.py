"""Every cell as plain torch, one step each, written from the formulas and not from Recurra.

`p` holds the stored parameters: gates stacked along the rows, in the order the cell lists them.
"""

from functools import partial

import torch
from torch import sigmoid, tanh
from torch.nn import functional as F


def linear(p, x, *, W="W", b="b"):
    return x @ p[W].mT + p[b]


def both(p, x, h, count):
    return (x @ p["W"].mT + h @ p["U"].mT + p["b"]).chunk(count, -1)


def layer_norm(v, gain, bias):
    mean = v.mean(-1, keepdim=True)
    variance = ((v - mean) ** 2).mean(-1, keepdim=True)
    return (v - mean) / (variance + 1e-5) ** 0.5 * gain + bias


def normed(p, v, name):
    return layer_norm(v, p[f"{name}_gain"], p[f"{name}_bias"])


def dense(stored, gates, heads):
    """A block-diagonal matrix with its zeros, from its stored rows."""
    return torch.cat([torch.block_diag(*gate.chunk(heads)) for gate in stored.chunk(gates)])


def rnn(p, x, h, f=tanh):
    return (f(x @ p["W"].mT + h @ p["U"].mT + p["b"]),)


def ornn(p, x, h):
    """modReLU by cases; the two branches of a positive b overlap about zero."""
    a, b = x @ p["W"].mT + h @ p["U"].mT, p["b"].expand(len(x), -1)
    shrunk = torch.where(a.abs() > -b, a + a.sign() * b, torch.zeros_like(a))
    inner = (b > 0) & (a.abs() < b)
    return (torch.where(inner, 2 * a, shrunk),)


def rotation(p, x, h, g):
    """Complex numbers, turned by their angles on the unit circle."""
    turn = torch.polar(torch.ones_like(p["a"]), 2 * torch.atan(p["a"] / 100))
    real, imaginary = (x @ p["W"].mT).chunk(2, dim=-1)
    z = turn * torch.complex(h, g) + torch.complex(real, imaginary)
    return z.real, z.imag


def lstm(p, x, h, c):
    o, c = lstm_from(both(p, x, h, 4), c)
    return o * tanh(c), c


def gru(p, x, h):
    W, U, b = (p[k].chunk(3) for k in "WUb")
    r, z = (sigmoid(x @ W[k].mT + h @ U[k].mT + b[k]) for k in (0, 1))
    n = tanh(x @ W[2].mT + b[2] + r * (h @ U[2].mT + p["b_h"]))
    return (n + z * (h - n),)


def gru_original(p, x, h):
    W, U, b = (p[k].chunk(3) for k in "WUb")
    r, z = (sigmoid(x @ W[k].mT + h @ U[k].mT + b[k]) for k in (0, 1))
    n = tanh(x @ W[2].mT + (r * h) @ U[2].mT + b[2])
    return (n + z * (h - n),)


def lstm_1997(p, x, h, c):
    i, g, o = both(p, x, h, 3)
    c = c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


def peephole(p, x, h, c):
    i, f, g, o = both(p, x, h, 4)
    pi, pf, po = p["p"].chunk(3)
    new = sigmoid(f + pf * c) * c + sigmoid(i + pi * c) * tanh(g)
    return sigmoid(o + po * new) * tanh(new), new


def coupled(p, x, h, c):
    f, g, o = both(p, x, h, 3)
    f = sigmoid(f)
    c = f * c + (1 - f) * tanh(g)
    return sigmoid(o) * tanh(c), c


def janet(p, x, h):
    s, g = both(p, x, h, 2)
    return (sigmoid(s) * h + (1 - sigmoid(s - 1.0)) * tanh(g),)


def lstm_from(a, c):
    i, f, g, o = a
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o), c


def projected(p, x, h, c):
    o, c = lstm_from(both(p, x, h, 4), c)
    return (o * tanh(c)) @ p["R"].mT, c


def gate_norm(p, x, h, c):
    rows = zip(p["W"].chunk(4), p["U"].chunk(4), p["b"].chunk(4), strict=True)
    a = [
        normed(p, x @ W.mT, f"norm{2 * k + 1}") + normed(p, h @ U.mT, f"norm{2 * k + 2}") + b
        for k, (W, U, b) in enumerate(rows)
    ]
    o, c = lstm_from(a, c)
    return o * tanh(normed(p, c, "norm9")), c


def joint_norm(p, x, h, c):
    a = normed(p, x @ p["W"].mT, "norm1") + normed(p, h @ p["U"].mT, "norm2") + p["b"]
    o, c = lstm_from(a.chunk(4, -1), c)
    return o * tanh(normed(p, c, "norm3")), c


def multiplicative(p, x, h, c):
    m = (x @ p["V"].mT) * (h @ p["R"].mT)
    i, f, g, o = both(p, x, m, 4)
    c = sigmoid(f) * c + sigmoid(i) * g
    return tanh(c * sigmoid(o)), c


def mgu(p, x, h):
    W, U, b = (p[k].chunk(2) for k in "WUb")
    f = sigmoid(x @ W[0].mT + h @ U[0].mT + b[0])
    n = tanh(x @ W[1].mT + (f * h) @ U[1].mT + b[1])
    return ((1 - f) * h + f * n,)


def li_gru(p, x, h):
    z, n = (normed(p, x @ p["W"].mT, "norm1") + h @ p["U"].mT).chunk(2, -1)
    z = sigmoid(z)
    return (z * h + (1 - z) * F.relu(n),)


def ugrnn(p, x, h):
    g, n = both(p, x, h, 2)
    g = sigmoid(g)
    return (g * h + (1 - g) * tanh(n),)


def ind_rnn(p, x, h):
    return (F.relu(linear(p, x) + p["u"] * h),)


def sru(p, x, h, c):
    z, f, r = (x @ p["W"].mT).chunk(3, -1)
    (vf, vr), (bf, br) = p["v"].chunk(2), p["b"].chunk(2)
    f, r = sigmoid(f + vf * c + bf), sigmoid(r + vr * c + br)
    c = f * c + (1 - f) * z
    return r * c + 3**0.5 * (1 - r) * x, c


def qrnn_f(p, x, h):
    z, f = linear(p, x).chunk(2, -1)
    return (sigmoid(f) * h + sigmoid(-f) * tanh(z),)


def qrnn_fo(p, x, h, c):
    z, f, o = linear(p, x).chunk(3, -1)
    c = sigmoid(f) * c + sigmoid(-f) * tanh(z)
    return sigmoid(o) * c, c


def qrnn_ifo(p, x, h, c):
    z, i, f, o = linear(p, x).chunk(4, -1)
    c = sigmoid(f) * c + sigmoid(i) * tanh(z)
    return sigmoid(o) * c, c


def wide_qrnn(p, x, h, c, last):
    z, i, f, o = (linear(p, x) + last @ p["V"].mT).chunk(4, -1)
    c = sigmoid(f) * c + sigmoid(i) * tanh(z)
    return sigmoid(o) * c, c, x


def fast_rnn(p, x, h):
    candidate = tanh(x @ p["W"].mT + h @ p["U"].mT + p["b"])
    return (sigmoid(p["alpha"]) * candidate + sigmoid(p["beta"]) * h,)


def low_rank(p, x, h):
    return fast_grnn(p | {"W": p["W1"] @ p["W2"], "U": p["U1"] @ p["U2"]}, x, h)


def fast_grnn(p, x, h):
    a = x @ p["W"].mT + h @ p["U"].mT
    bz, bn = p["b"].chunk(2)
    z = sigmoid(a + bz)
    return ((sigmoid(p["zeta"]) * (1 - z) + sigmoid(p["nu"])) * tanh(a + bn) + z * h,)


def antisymmetric(p, x, h):
    stable = p["U"] - p["U"].mT - 0.01 * torch.eye(len(p["U"]), dtype=x.dtype)
    return (h + 0.1 * tanh(linear(p, x) + h @ stable.mT),)


def antisymmetric_gated(p, x, h):
    a = h @ (p["U"] - p["U"].mT).mT - 0.01 * h
    z, n = linear(p, x).chunk(2, -1)
    return (h + 0.1 * sigmoid(a + z) * tanh(a + n),)


def slstm(p, x, h, c, n, m, heads=1):
    a = x @ p["W"].mT + h @ dense(p["U"], 4, heads).mT + p["b"]
    i, f, z, o = a.chunk(4, -1)
    log_f = F.logsigmoid(f)
    top = torch.maximum(log_f + m, i)
    c = torch.exp(log_f + m - top) * c + torch.exp(i - top) * tanh(z)
    n = torch.exp(log_f + m - top) * n + torch.exp(i - top)
    return sigmoid(o) * c / n, c, n, top


def min_gru(p, x, h):
    z, n = linear(p, x).chunk(2, -1)
    return (sigmoid(-z) * h + sigmoid(z) * n,)


def min_lstm(p, x, h):
    f, i, n = linear(p, x).chunk(3, -1)
    f, i = sigmoid(f), sigmoid(i)
    return ((f * h + i * n) / (f + i),)


def rg_lru(p, x, h, heads=1):
    r, i = (x @ dense(p["W"], 2, heads).mT + p["b"]).chunk(2, -1)
    a = sigmoid(p["decay"]) ** (8 * sigmoid(r))
    return (a * h + torch.sqrt(1 - a**2) * sigmoid(i) * x,)


def heads_lstm(p, x, h, c):
    a = x @ p["W"].mT + h @ dense(p["U"], 4, 2).mT + p["b"]
    o, c = lstm_from(a.chunk(4, -1), c)
    return o * tanh(c), c


def state_norm_gru(p, x, h):
    inner, outer = (x @ p["W"].mT + p["b"]).chunk(2, -1), (h @ p["U"].mT).chunk(2, -1)
    z = sigmoid(inner[0] + normed(p, outer[0], "norm1"))
    n = tanh(inner[1] + normed(p, outer[1], "norm2"))
    return ((1 - z) * h + z * n,)


def log_space(p, x, h):
    a = linear(p, x).abs()
    return (torch.log1p(a * a) + torch.sqrt(a + 1) - 0.5 * h,)


ORACLES = {
    "rnn": rnn,
    "rnn_relu": partial(rnn, f=F.relu),
    "irnn": partial(rnn, f=F.relu),
    "ornn": ornn,
    "rotation": rotation,
    "antisymmetric": antisymmetric,
    "antisymmetric_gated": antisymmetric_gated,
    "indrnn": ind_rnn,
    "fastrnn": fast_rnn,
    "fastgrnn": fast_grnn,
    "fastgrnn_low_rank": low_rank,
    "lstm": lstm,
    "lstm_1997": lstm_1997,
    "lstm_peephole": peephole,
    "lstm_coupled": coupled,
    "lstm_projected": projected,
    "lstm_layernorm": gate_norm,
    "lstm_layernorm_joint": joint_norm,
    "lstm_multiplicative": multiplicative,
    "janet": janet,
    "slstm": slstm,
    "minlstm": min_lstm,
    "gru": gru,
    "gru_original": gru_original,
    "mgu": mgu,
    "ligru": li_gru,
    "ugrnn": ugrnn,
    "mingru": min_gru,
    "sru": sru,
    "qrnn_f": qrnn_f,
    "qrnn_fo": qrnn_fo,
    "qrnn_ifo": qrnn_ifo,
    "rglru": rg_lru,
    "StateNormGRU": state_norm_gru,
    "HeadsLSTM": heads_lstm,
    "FactoredLSTM": multiplicative,
    "WideQRNN": wide_qrnn,
    "LogSpaceLSTM": log_space,
    "slstm of 2 heads": partial(slstm, heads=2),
    "rglru of 2 heads": partial(rg_lru, heads=2),
}


def run(step, p, x, states):
    """A plain loop over time."""
    outputs = []
    for x_t in x:
        states = step(p, x_t, *states)
        outputs.append(states[0])
    return torch.stack(outputs), states
