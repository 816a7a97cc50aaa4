"""Every cell, as Recurra says it, against plain torch: values and gradients."""

import pytest
import torch

from helpers.cell_oracles import ORACLES, run
from helpers.own_cells import EVERY
from recurra.compile import Sequences, TorchParameters, kernel
from recurra.ir import verify

T, B, H = 7, 3, 4


def inputs(cell, seed=0):
    """Parameters, input and states, all in float64 and with gradients wanted."""
    random = torch.Generator().manual_seed(seed)

    def draw(*shape):
        value = torch.randn(shape, generator=random, dtype=torch.float64) * 0.5
        return value.requires_grad_()

    input_size = H if cell.sizes.get("x") == "hidden_size" else 3
    sizes = cell.bind(input_size, H)
    graph = cell.graph()
    p = {param.name: draw(*param.shape(sizes)) for param in graph.params}
    states = [draw(B, size.value(sizes)) for size in graph.state_sizes]
    if "n" in cell.states:  # a normaliser is a sum of exponentials
        states[cell.states.index("n")] = (draw(B, H).detach().abs() + 0.5).requires_grad_()
    return p, draw(T, B, input_size), states


def gradients(y, last, leaves):
    """Of a loss that weighs every output and every last state differently."""
    random = torch.Generator().manual_seed(1)
    loss = sum(
        (v * torch.randn(v.shape, generator=random, dtype=v.dtype)).sum() for v in (y, *last)
    )
    return torch.autograd.grad(loss, leaves, materialize_grads=True)


def test_every_cell_has_an_oracle():
    assert EVERY.keys() == ORACLES.keys()


@pytest.mark.parametrize("name", EVERY)
def test_cell_agrees_with_plain_torch(name):
    cell = EVERY[name]
    p, x, states = inputs(cell)
    y, last = kernel(cell, engine="interp").sequence(x, states, p, Sequences(T))
    expected_y, expected_last = run(ORACLES[name], p, x, states)
    torch.testing.assert_close((y, *last), (expected_y, *expected_last), rtol=1e-10, atol=1e-12)
    leaves = [*p.values(), x, *states]
    expected = gradients(expected_y, expected_last, leaves)
    torch.testing.assert_close(gradients(y, last, leaves), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", EVERY)
def test_step_agrees_with_plain_torch(name):
    cell = EVERY[name]
    p, x, states = inputs(cell, seed=2)
    new = kernel(cell, engine="interp").step(x[0], states, p)
    torch.testing.assert_close(new, tuple(ORACLES[name](p, x[0], *states)))


@pytest.mark.parametrize("name", EVERY)
def test_every_parameter_takes_part(name):
    p, x, states = inputs(EVERY[name])
    y, last = kernel(EVERY[name], engine="interp").sequence(x, states, p, Sequences(T))
    for parameter, gradient in zip(p, gradients(y, last, list(p.values())), strict=True):
        assert gradient.abs().max() > 1e-6, parameter


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("bias", [True, False])
def test_graph_is_legal(name, bias):
    graph = EVERY[name].graph(bias=bias)
    verify(graph)
    biases = [p.name for p in graph.params if p.name in ("b", "b_h")]
    assert bool(biases) <= bias


@pytest.mark.parametrize("name", EVERY)
def test_without_bias_is_a_bias_of_zero(name):
    cell = EVERY[name]
    p, x, states = inputs(cell)
    left = {param.name: p[param.name] for param in cell.graph(bias=False).params}
    zeroed = {k: v if k in left else torch.zeros_like(v) for k, v in p.items()}
    y, last = kernel(cell, engine="interp").sequence(x, states, zeroed, Sequences(T))
    other_y, other_last = kernel(cell, bias=False, engine="interp").sequence(
        x, states, left, Sequences(T)
    )
    torch.testing.assert_close((y, *last), (other_y, *other_last))


@pytest.mark.parametrize("name", EVERY)
def test_equations_name_every_state(name):
    lines = EVERY[name].show().splitlines()
    for state in EVERY[name].states:
        assert any(line.strip().startswith(f"{state}ₜ = ") for line in lines), lines


LIBRARY = {
    "rnn": ("RNN", {"nonlinearity": "tanh"}),
    "rnn_relu": ("RNN", {"nonlinearity": "relu"}),
    "irnn": ("RNN", {"nonlinearity": "relu"}),
    "lstm": ("LSTM", {}),
    "lstm_projected": ("LSTM", {"proj_size": 64}),
    "gru": ("GRU", {}),
}


@pytest.mark.parametrize("name", LIBRARY)
def test_cell_agrees_with_torchs_layer(name):
    kind, options = LIBRARY[name]
    layer = getattr(torch.nn, kind)(3, 65, **options).double()
    p = TorchParameters(*(w.detach() for w in layer.parameters()))
    x = torch.randn(T, B, 3, dtype=torch.float64)
    sizes = [size.value(EVERY[name].bind(3, 65)) for size in EVERY[name].graph().state_sizes]
    states = [torch.randn(B, size, dtype=torch.float64) for size in sizes]
    y, last = kernel(EVERY[name], engine="interp").sequence(x, states, p, Sequences(T))
    first = tuple(s.unsqueeze(0) for s in states)
    expected, _ = layer(x, first if len(first) > 1 else first[0])
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(last[0], expected[-1])
