"""Every cell of the literature, as Weft says it, against plain torch: values and gradients."""

import pytest
import torch
from literature import CELLS
from oracles import ORACLES, run

from weft.compile import kernel
from weft.ir import verify

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
    assert CELLS.keys() == ORACLES.keys()
    assert len(CELLS) == 26


@pytest.mark.parametrize("name", CELLS)
def test_cell_agrees_with_plain_torch(name):
    cell = CELLS[name]
    p, x, states = inputs(cell)
    y, last = kernel(cell, engine="interp").sequence(x, states, p)
    expected_y, expected_last = run(ORACLES[name], p, x, states)
    torch.testing.assert_close((y, *last), (expected_y, *expected_last), rtol=1e-10, atol=1e-12)
    leaves = [*p.values(), x, *states]
    expected = gradients(expected_y, expected_last, leaves)
    torch.testing.assert_close(gradients(y, last, leaves), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", CELLS)
def test_step_agrees_with_plain_torch(name):
    cell = CELLS[name]
    p, x, states = inputs(cell, seed=2)
    new = kernel(cell, engine="interp").step(x[0], states, p)
    torch.testing.assert_close(new, tuple(ORACLES[name](p, x[0], *states)))


@pytest.mark.parametrize("name", CELLS)
def test_every_parameter_takes_part(name):
    p, x, states = inputs(CELLS[name])
    y, last = kernel(CELLS[name], engine="interp").sequence(x, states, p)
    for parameter, gradient in zip(p, gradients(y, last, list(p.values())), strict=True):
        assert gradient.abs().max() > 1e-6, parameter


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("bias", [True, False])
def test_graph_is_legal(name, bias):
    graph = CELLS[name].graph(bias=bias)
    verify(graph)
    biases = [p.name for p in graph.params if p.name in ("b", "b_h")]
    assert bool(biases) <= bias


@pytest.mark.parametrize("name", CELLS)
def test_without_bias_is_a_bias_of_zero(name):
    cell = CELLS[name]
    p, x, states = inputs(cell)
    zeroed = {k: torch.zeros_like(v) if k == "b" else v for k, v in p.items()}
    y, last = kernel(cell, engine="interp").sequence(x, states, zeroed)
    left = {k: v for k, v in p.items() if k != "b"}
    other_y, other_last = kernel(cell, bias=False, engine="interp").sequence(x, states, left)
    torch.testing.assert_close((y, *last), (other_y, *other_last))


@pytest.mark.parametrize("name", CELLS)
def test_equations_name_every_state(name):
    lines = CELLS[name].show().splitlines()
    for state in CELLS[name].states:
        assert any(line.strip().startswith(f"{state}ₜ = ") for line in lines), lines
