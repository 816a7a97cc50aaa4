"""Each verdict on a network built to have the illness, and on one that doesn't."""

import pytest
import torch
from networks import lstm, orthogonal, rnn

from recurra.insight import clipped_share, inspect_model
from recurra.insight.recorded_model import record
from recurra.insight.saturation import activity_of
from recurra.nn import GRU, Recurrent

X = torch.randn(50, 2, 3, dtype=torch.double, generator=torch.Generator().manual_seed(3))


def tanh_network(gain):
    return rnn(orthogonal(8, gain))


def relu_network(recurrent, bias=0.1):
    return rnn(recurrent, nonlinearity="relu", bias=bias)


def chaotic_network(gain):
    torch.manual_seed(5)
    return rnn(torch.randn(40, 40) * gain / 40**0.5)


def saturated_gates():
    return lstm(3.0, others=8.0)


def saturated_tanh():
    model = lstm(3.0)
    with torch.no_grad():
        model.bias_ih_l0[16:24] = 5.0
    return model


# What ails it, what has it, what doesn't, and what the remedy says.
CASES = [
    ("vanishing", lambda: tanh_network(0.6), lambda: tanh_network(1.0), "use a gated cell, or ort"),
    ("vanishing", lambda: lstm(-1.0), lambda: lstm(4.0), "initialise the forget gate f open"),
    ("vanishing", lambda: relu_network(torch.eye(6) / 3), lambda: relu_network(torch.eye(6)), "g"),
    ("exploding", lambda: relu_network(1.2 * torch.eye(6)), lambda: tanh_network(1.0), "clip the"),
    ("forget gate closed", lambda: lstm(-6.0), lambda: lstm(3.0), "raise the forget bias"),
    ("saturated gates", saturated_gates, lambda: lstm(3.0), "scale the inputs or weights"),
    ("saturated tanh", saturated_tanh, lambda: lstm(3.0), "layer normalisation"),
    ("dead units", lambda: relu_network(torch.eye(6), -9.0), lambda: lstm(3.0), "instead of relu"),
    ("exploding units", lambda: relu_network(1.2 * torch.eye(6)), lambda: lstm(3.0), "use tanh"),
    ("chaotic", lambda: chaotic_network(2.5), lambda: chaotic_network(0.9), "scale the recurrent"),
]
IDS = [f"{case[0]} {number}" for number, case in enumerate(CASES)]


@pytest.mark.parametrize(("name", "ill", "well", "remedy"), CASES, ids=IDS)
def test_a_verdict_is_given_where_it_fits(name, ill, well, remedy):
    found = {v.name: v for v in inspect_model(ill(), X).verdicts}
    assert name in found
    assert remedy in found[name].remedy
    assert found[name].severity in ("warning", "severe")
    assert "healthy" not in found
    assert name not in {v.name for v in inspect_model(well(), X).verdicts}


@pytest.mark.parametrize("model", [lambda: tanh_network(1.0), lambda: lstm(4.0)])
def test_healthy_networks_are_told_so(model):
    (verdict,) = inspect_model(model(), X).verdicts
    assert (verdict.name, verdict.severity, verdict.remedy) == ("healthy", "good", "")
    assert "reaches at least 49 steps back" in verdict.text


def test_a_verdict_says_pace_cell_and_radius():
    model = relu_network(0.7937 * torch.eye(6), 1.0)
    (verdict,) = inspect_model(model, X, memory=25).verdicts
    assert verdict.text == (
        "gradient halves every 3.0 steps; 1 % is left after 20; simple RNN, spectral radius 0.79"
    )


def test_how_far_the_task_looks_back_decides():
    model = lstm(1.5)
    horizon = inspect_model(model, X).layers[0].flow.horizon.steps
    assert "vanishing" in {v.name for v in inspect_model(model, X, memory=horizon + 1).verdicts}
    assert "vanishing" not in {v.name for v in inspect_model(model, X, memory=horizon).verdicts}


@pytest.mark.parametrize(("share", "told"), [(0.9, True), (0.3, False)])
def test_clipping_too_often(share, told):
    metrics = [{"step": 10, "clipped_share": share}, {"step": 10, "validation": {"loss": 1}}]
    found = inspect_model(lstm(4.0), X, metrics=metrics)
    assert found.clipped == pytest.approx(share)
    assert ("clipping" in {v.name for v in found.verdicts}) == told


def test_the_share_of_clipped_steps_weighs_lines_by_their_steps():
    lines = [{"step": 10, "clipped_share": 1.0}, {"step": 40, "clipped_share": 0.0}]
    assert clipped_share(lines) == pytest.approx(0.25)
    assert clipped_share([]) is None


def test_shares_of_saturated_values():
    model = lstm(0.0)
    with torch.no_grad():
        model.bias_ih_l0[8:12], model.bias_ih_l0[12:14] = -9.0, 9.0
    by_name = {s.name: s for s in activity_of(record(model, X).runs[0]).saturation}
    assert list(by_name) == ["i", "f", "g", "o", "tanh(c)"]
    assert (by_name["f"].low, by_name["f"].high) == (0.5, 0.25)
    assert by_name["f"].unit_low.tolist() == [1.0] * 4 + [0.0] * 4
    assert (by_name["f"].keeps, by_name["i"].keeps) == ("c", None)


def test_a_gate_that_keeps_where_it_is_zero(inverted):
    gate = activity_of(record(Recurrent(inverted, 3, 4), X.float()).runs[0]).saturation[0]
    assert (gate.name, gate.keeps, gate.inverted) == ("f", "h", True)
    update = activity_of(record(GRU(3, 4), X.float()).runs[0]).saturation[1]
    assert (update.name, update.keeps, update.inverted) == ("z", "h", False)


def test_units_that_never_move():
    recurrent = torch.eye(6, dtype=torch.double)
    model = relu_network(recurrent)
    with torch.no_grad():
        model.bias_ih_l0[2], model.bias_ih_l0[5] = -50.0, -50.0
    assert activity_of(record(model, X).runs[0]).units.dead == (2, 5)
