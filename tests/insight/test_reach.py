"""How far gradients reach, against products of Jacobians by autograd and against known networks."""

import pytest
import torch
from networks import lstm, orthogonal, rnn
from torch import nn

from recurra.insight import gradient_flow
from recurra.insight.dynamics import step_jacobians
from recurra.insight.reach import reach_of
from recurra.insight.recorded_model import record
from recurra.nn import GRU, LSTM, RNN, Recurrent, Stack


def reach(model, batch):
    recorded = record(model, batch)
    return reach_of(recorded.runs[-1], recorded.strides[-1])


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru", "slstm", "lstm_peephole", "indrnn"])
@pytest.mark.parametrize("reverse", [False, True])
def test_norms_are_those_of_products_of_jacobians(cell, reverse):
    torch.manual_seed(1)
    layer = Recurrent(cell, 3, 4, bidirectional=reverse).double()
    run = record(layer, torch.randn(9, 1, 3).double()).runs[-1]
    found = reach_of(run)
    states = [s.shape[-1] for s in run.before[0]]
    start = len(found.norms[0]) - 1  # the last step of the row
    heard = torch.randn(
        start + 1, 4, generator=torch.Generator().manual_seed(0), dtype=torch.double
    )
    cotangent = torch.cat([heard[start] / heard[start].norm(), torch.zeros(sum(states[1:]))])
    jacobians = [j for _, j in step_jacobians(run, 0)]
    for distance, jacobian in enumerate(reversed(jacobians[1:]), start=1):
        cotangent = cotangent @ jacobian
        parts = torch.stack([part.norm() for part in cotangent.split(states)])
        torch.testing.assert_close(found.norms[distance, start], parts, rtol=1e-9, atol=1e-15)


def test_a_linear_network_keeps_its_gradient():
    model = rnn(torch.eye(6).roll(1, 0), nonlinearity="relu", bias=50.0)
    horizon = reach(model, torch.randn(40, 2, 3).double()).horizon
    assert not horizon.reached
    assert horizon.factor == pytest.approx(1, abs=1e-6)
    assert str(horizon) == "at least 39 steps"
    halves = rnn(0.5 * torch.eye(6), nonlinearity="relu", bias=50.0)
    found = reach(halves, torch.randn(40, 2, 3).double()).horizon
    assert (found.steps, found.factor) == (7, pytest.approx(0.5))
    assert found.pace == "halves at every step"
    grows = rnn(1.1 * torch.eye(6), nonlinearity="relu", bias=50.0)
    found = reach(grows, torch.randn(20, 2, 3).double()).horizon
    assert found.pace == "doubles every 7.3 steps"
    assert found.growth == pytest.approx(1.1**14, rel=0.5)


LOSSES = {
    "the last output": lambda out: out[0][-1].square().sum(),
    "a mean over the steps": lambda out: out[0].mean(0).square().sum(),
    "each step": lambda out: out[0].square().sum((1, 2)),
    "the state": lambda out: out[1].sum(),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_the_horizon_is_a_property_of_the_network_not_of_the_loss(loss):
    torch.manual_seed(2)
    model, x = rnn(orthogonal(8, 0.6)), torch.randn(60, 4, 3).double()
    own = gradient_flow(model, x, loss=loss)["layer"].horizon
    assert own == gradient_flow(model, x)["layer"].horizon
    assert 7 <= own.steps <= 12


def test_rows_of_different_lengths_change_nothing():
    torch.manual_seed(3)
    model, x = LSTM(3, 6).double(), torch.randn(40, 8, 3).double()
    lengths = torch.tensor([40, 12, 25, 33, 18, 40, 29, 15])
    whole = reach(model, x).horizon
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    for batch in ({"input": x, "lengths": lengths}, packed):
        ragged = reach(model, batch).horizon
        assert ragged.growth == pytest.approx(1.0)
        assert ragged.factor == pytest.approx(whole.factor, rel=0.05)
        assert ragged.steps == pytest.approx(whole.steps, abs=2)


@pytest.mark.parametrize("steps", [30, 60, 200])
def test_the_number_of_steps_that_are_looked_at_changes_nothing(steps):
    torch.manual_seed(4)
    model = GRU(3, 16).double()
    x = torch.randn(200, 4, 3, generator=torch.Generator().manual_seed(5)).double()
    assert reach(model, x[:steps]).horizon.steps == pytest.approx(11, abs=2)


def test_a_dilated_layer_is_told_in_steps_of_the_sequence():
    torch.manual_seed(6)
    stack = Stack.of("gru", 3, 4, dilation=3).double()
    x = torch.randn(60, 2, 3).double()
    plain = reach(stack.layers[0].layer, x[2::3]).horizon
    assert reach(stack, x).horizon.steps == pytest.approx(3 * plain.steps, abs=3)


def test_a_segments_start_ends_the_reach():
    resets = torch.zeros(30, 2, dtype=torch.bool)
    resets[24] = True
    found = reach(lstm(5.0), {"input": torch.randn(30, 2, 3).double(), "resets": resets})
    from_last = found.norms[:, -1].square().sum(-1).sqrt()
    assert int(from_last.isfinite().sum()) == 6  # steps 29 to 24


def test_the_memory_is_the_state_that_carries_farthest():
    layer = gradient_flow(lstm(5.0), torch.randn(40, 2, 3).double()).layers[0]
    assert layer.longest.name == "c"
    assert layer.reach.of_state("c").factor == pytest.approx(
        torch.tensor(5.0).sigmoid().item(), abs=0.02
    )


def test_a_gradient_that_overflows_has_grown():
    model = rnn(1e30 * torch.eye(3), nonlinearity="relu", bias=1.0)
    assert reach(model, torch.ones(9, 1, 3).double()).horizon.growth > 1e100


def test_nothing_of_the_layer_is_changed():
    layer = RNN(3, 4)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    random = torch.get_rng_state()
    reach(layer, torch.randn(9, 2, 3, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(before[n], v) for n, v in layer.state_dict().items())
