"""Fixed points by constructions whose points, eigenvalues and time constants are known."""

import math

import pytest
import torch
from networks import lstm, rnn

from recurra.cells import Cell
from recurra.insight.fixed_points import fixed_points
from recurra.insight.long_drive import drive
from recurra.insight.recorded_model import record
from recurra.insight.state_geometry import state_space
from recurra.nn import Recurrent

X = torch.randn(50, 6, 3, dtype=torch.double, generator=torch.Generator().manual_seed(3))


class Linear(Cell):
    """h' = U h + W x."""

    states = ("h",)

    def step(self, x, h, W, U):
        return U @ h + W @ x


def linear(matrix):
    layer = Recurrent(Linear, 3, len(matrix)).double()
    with torch.no_grad():
        parameter(layer, "U").copy_(matrix)
    return layer


def parameter(layer, name):
    """The one parameter of a layer that has the name of the equations in its own."""
    (found,) = [p for n, p in layer.named_parameters() if name in n]
    return found


def run_of(model, x=X):
    return record(model, x).runs[0]


MATRIX = torch.tensor([[0.9, 0.2, 0.0], [-0.2, 0.9, 0.0], [0.0, 0.3, 0.5]], dtype=torch.double)


def test_a_linear_network_has_one_point_with_the_matrix_s_eigenvalues():
    model = linear(MATRIX)
    inputs = parameter(model, "W").detach()
    x = torch.tensor([1.0, -2.0, 0.5], dtype=torch.double)
    (point,) = fixed_points(run_of(model), x)
    expected = torch.linalg.solve(torch.eye(3, dtype=torch.double) - MATRIX, inputs @ x)
    assert torch.allclose(point.state, expected, atol=1e-8)
    sizes = torch.linalg.eigvals(MATRIX).abs().sort(descending=True).values
    assert torch.allclose(point.eigenvalues.abs(), sizes, atol=1e-8)
    assert point.is_fixed
    assert point.kind == "attractor"
    assert point.time_constant == pytest.approx(-1 / math.log(math.hypot(0.9, 0.2)))


def test_a_flip_flop_s_attractors_saddles_and_repeller():
    """h' = tanh(2 h) in each of two units: fixed where each is 0 or one of two, 9 in all."""
    x = torch.randn(60, 40, 3, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    model = rnn(2 * torch.eye(2))
    with torch.no_grad():
        model.weight_ih_l0.copy_(torch.randn(2, 3, generator=torch.Generator().manual_seed(2)))
    points = fixed_points(run_of(model, x), torch.zeros(3))
    end = 0.9575040240772687  # of t = tanh(2 t)
    states = {tuple((point.state / end).round(decimals=6).abs().tolist()) for point in points}
    kinds = [point.kind for point in points if point.is_fixed]
    assert kinds.count("attractor") == 4
    assert states <= {(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)}
    for point in points:
        zeros = int((point.state.abs() < 1e-6).sum())
        assert point.unstable == zeros
        slope = sorted([2.0] * zeros + [2 * (1 - end**2)] * (2 - zeros), reverse=True)
        assert torch.allclose(point.eigenvalues.abs(), torch.tensor(slope).double(), atol=1e-6)
    assert any(point.unstable for point in points)


def test_a_counter_has_no_fixed_point(counter):
    model = Recurrent(counter, 3, 4).double()
    assert not any(point.is_fixed for point in fixed_points(run_of(model), torch.ones(3)))


def test_forget_gates_have_the_time_constants_of_their_bias():
    (times,) = state_space(run_of(lstm(4.0), 0 * X)).times
    kept = torch.sigmoid(torch.tensor(4.0).double())
    assert (times.gate, times.state) == ("f", "c")
    assert times.steps.median() == pytest.approx(float(-1 / kept.log()), rel=0.1)


def test_a_gate_that_forgets_where_it_is_open(inverted):
    found = state_space(run_of(Recurrent(inverted, 3, 4).double()))
    assert found.times[0].gate == "f"
    assert 0.3 < float(found.times[0].steps.median()) < 5


@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_the_participation_ratio_is_the_number_of_equal_axes(dimensions):
    draw = torch.randn(400, 1, 5, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    model = Recurrent(Linear, 5, 6).double()
    with torch.no_grad():
        parameter(model, "U").zero_()
        parameter(model, "W").zero_()[:5] = torch.eye(5) * (torch.arange(5) < dimensions)
    found = state_space(run_of(model, draw))
    assert found.participation == pytest.approx(dimensions, rel=0.05)
    assert found.explained[: min(3, dimensions)] == pytest.approx(1 / dimensions, abs=0.05)


def test_slow_growth_without_bound_is_no_chaos():
    """A relu network that grows by 2 % a step stays below any fixed bound for long."""
    slow = drive(run_of(rnn(1.02 * torch.eye(4), nonlinearity="relu", bias=0.5)))
    assert not slow.bounded
    assert not slow.is_chaotic
    chaos = drive(
        run_of(rnn(3 * torch.randn(32, 32, generator=torch.Generator().manual_seed(0)) / 32**0.5))
    )
    assert chaos.bounded
    assert chaos.is_chaotic
