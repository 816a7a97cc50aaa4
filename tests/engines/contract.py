"""What an engine is held to: a cell's values and gradients beside the interpreter's in float64."""

import sys
from pathlib import Path

import pytest
import torch
from runs import run_cell

from recurra.cells import CELLS
from recurra.compile import kernel

sys.path.append(str(Path(__file__).parent.parent / "cells"))
from helpers.own_cells import EVERY

B, I, H, T = 5, 3, 7, 6
BUILT_IN = dict(CELLS)
CORE = ("rnn", "rnn_relu", "lstm", "lstm_projected", "gru", "gru_original")
COMPILED = EVERY
TORCHS = [name for name in CORE if name != "gru_original"]
ENGINES_OF = {name: ["cpu", *(["torch"] if name in TORCHS else [])] for name in COMPILED}
"""The engines beside the interpreter that run each cell."""
VARIED = {
    name: EVERY[name]
    for name in (
        *CORE,
        "lstm_layernorm_joint",
        "lstm_multiplicative",
        "antisymmetric_gated",
        "fastgrnn_low_rank",
        "rglru",
        "sru",
        "slstm of 2 heads",
        "WideQRNN",
    )
}
"""Cells that differ in what an engine has to do for them; the rest are variations of these."""


def slow_but(kept, names):
    """Names as parameters of a test: those not kept for every run wait for `-m slow`."""
    assert set(kept) <= set(names)
    return [n if n in kept else pytest.param(n, marks=pytest.mark.slow) for n in names]


TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}


def draw(cell, *, steps=T, batch=B, inputs=I, hidden=H, seed=0, scale=0.5, dtype=torch.float64):
    """Parameters, input and states, with gradients wanted; drawn in float64, given in `dtype`."""
    random = torch.Generator().manual_seed(seed)
    graph = cell.graph()
    if any(s.name == "hidden_size" for s in graph_input(graph)):
        inputs = hidden
    sizes = cell.bind(inputs, hidden)

    def tensor(*shape):
        value = torch.randn(shape, generator=random, dtype=torch.float64) * scale
        return value.to(dtype).requires_grad_()

    params = {p.name: tensor(*p.shape(sizes)) for p in graph.params}
    states = [tensor(batch, size.value(sizes)) for size in graph.state_sizes]
    return params, tensor(steps, batch, inputs), states


def graph_input(graph):
    """The size of x as a graph has it."""
    return next((n.shape for n in graph.nodes if n.op == "input"), ())


def widened(drawn):
    """The same numbers as float64 leaves."""
    params, x, states = drawn

    def wide(v):
        return v.detach().double().requires_grad_()

    return {k: wide(v) for k, v in params.items()}, wide(x), [wide(s) for s in states]


def marks(steps, batch, seed=3):
    """Lengths and resets at random, lengths 0 and T among them."""
    random = torch.Generator().manual_seed(seed)
    lengths = torch.randint(0, steps + 1, (batch,), generator=random)
    lengths[0], lengths[-1] = 0, steps
    return lengths, torch.rand(steps, batch, generator=random) < 0.3


def everything(cell, engine, drawn, order=1, **options):
    """Outputs, last states, every gradient, and with order 2 those of the gradients."""
    params, x, states = drawn
    leaves = [*params.values(), x, *states]
    y, last = run_cell(kernel(cell, engine=engine), x, states, params, **options)
    found = [y, *last]
    total = weighed(found)
    first = torch.autograd.grad(total, leaves, create_graph=order > 1, materialize_grads=True)
    found += first
    if order > 1:
        found += torch.autograd.grad(weighed(first), leaves, materialize_grads=True)
    return [f.detach() for f in found]


def weighed(values):
    """A number that each element of each value has a weight of its own in."""
    random = torch.Generator().manual_seed(1)
    return sum(
        (v * torch.randn(v.shape, generator=random, dtype=torch.float64).to(v.dtype)).sum()
        for v in values
    )


def distance(actual, wanted):
    """The largest relative difference in norm; a value that is all zeros must be so in both."""
    assert all(a.shape == w.shape for a, w in zip(actual, wanted, strict=True))
    pairs = zip(actual, wanted, strict=True)
    found = [(a.double() - w).norm() / w.norm().clamp(min=1e-30) for a, w in pairs]
    return torch.stack(found).max().item()  # a NaN among them is the largest


def assert_same(cell, drawn, order=1, tolerance=None, engine="cpu", **options):
    """The engine gives what the interpreter gives in float64."""
    actual = everything(cell, engine, drawn, order, **options)
    wanted = everything(cell, "interp", widened(drawn), order, **options)
    allowed = tolerance or TOLERANCE[drawn[1].dtype]
    if drawn[1].dtype == torch.float32:  # what cancels does so in any float32
        allowed = max(
            allowed, 5 * distance(everything(cell, "interp", drawn, order, **options), wanted)
        )
    assert distance(actual, wanted) < allowed
