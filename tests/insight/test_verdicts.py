"""Each verdict on a network built to have the illness, and on one that doesn't."""

import pytest
import torch
from networks import lstm, orthogonal, rnn
from torch import nn
from torch.nn import functional

from recurra.insight import clipped_share, inspect_model
from recurra.insight.recorded_model import record
from recurra.insight.saturation import activity_of
from recurra.nn import GRU, Recurrent, Stack

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


@torch.no_grad()
def gates(**biases):
    """A long short-term memory with those biases, and an open forget gate."""
    model = lstm(3.0)
    for name, value in biases.items():
        place = "ifgo".index(name)
        model.bias_ih_l0[8 * place : 8 * place + 8] = value
    return model


@torch.no_grad()
def update(bias):
    """A gated recurrent unit with that bias of its update gate."""
    model = GRU(3, 8).double()
    model.bias_ih_l0[8:16] = bias
    return model


@torch.no_grad()
def alike(value):
    model = GRU(3, 8).double()
    for parameter in model.parameters():
        parameter.fill_(value)
    return model


@torch.no_grad()
def large(factor):
    torch.manual_seed(1)
    model = GRU(3, 8).double()
    for weight in (model.weight_hh_l0, model.weight_ih_l0):
        weight.mul_(factor)
    return model


# What ails it, what has it, what doesn't, and what the remedy says.
CASES = [
    ("vanishing", lambda: tanh_network(0.6), lambda: tanh_network(1.0), "--init orthogonal"),
    ("vanishing", lambda: lstm(-1.0), lambda: lstm(4.0), "keeps 27 % a step: raise the forget"),
    ("vanishing", lambda: relu_network(torch.eye(6) / 3), lambda: relu_network(torch.eye(6)), "g"),
    ("exploding", lambda: relu_network(1.2 * torch.eye(6)), lambda: tanh_network(1.0), "clip the"),
    ("output gate closed", lambda: gates(o=-9.0), lambda: gates(o=-1.0), "set the bias of o to 0"),
    ("input gate closed", lambda: gates(i=-9.0), lambda: gates(i=-1.0), "set the bias of i to 0"),
    ("update gate closed", lambda: update(9.0), lambda: update(1.0), "set the bias of z to 0"),
    ("identical units", lambda: alike(0.05), lambda: lstm(4.0), "reset_parameters"),
    ("zero weights", lambda: alike(0.0), lambda: lstm(4.0), "reset_parameters"),
    ("weights too large", lambda: large(40.0), lambda: large(2.0), "lower the learning rate"),
    ("forget gate closed", lambda: lstm(-6.0), lambda: lstm(3.0), "raise the forget bias"),
    ("saturated gates", saturated_gates, lambda: lstm(3.0), "scale the inputs or weights"),
    ("saturated tanh", saturated_tanh, lambda: lstm(3.0), "layer normalisation"),
    ("dead units", lambda: relu_network(torch.eye(6), -9.0), lambda: lstm(3.0), "instead of relu"),
    ("unstable", lambda: relu_network(1.3 * torch.eye(6)), lambda: lstm(3.0), "use tanh"),
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
        "gradient halves every 3.0 steps; 1 % is left after 20 steps, and the task needs 25; "
        "simple RNN, spectral radius 0.79"
    )
    assert verdict.confidence == "high"


def test_how_far_the_task_looks_back_decides():
    model = lstm(1.5)
    horizon = inspect_model(model, X).layers[0].flow.horizon.steps
    assert "vanishing" in {v.name for v in inspect_model(model, X, memory=horizon + 1).verdicts}
    assert "vanishing" not in {v.name for v in inspect_model(model, X, memory=horizon).verdicts}


def names(found, *severities):
    return [v.name for v in found.verdicts if v.severity in (severities or ("warning", "severe"))]


class Head(nn.Module):
    """Layers and a linear head over what `reads` takes of their outputs."""

    def __init__(self, layers, outputs, reads=lambda y: y):
        super().__init__()
        self.layers, self.reads = layers, reads
        self.head = nn.Linear(layers.output_size, outputs).to(next(layers.parameters()).dtype)

    def forward(self, x, lengths=None):
        return self.head(self.reads(self.layers(x, lengths=lengths)[0]))


def squared(target):
    return lambda y: (y - target).square().mean()


def test_a_head_that_reads_a_direction_at_its_start():
    torch.manual_seed(1)
    layers = Recurrent("lstm", 3, 8, bidirectional=True).double()
    target = torch.randn(2, 1).double()
    for reads, told in [(lambda y: y[-1], True), (lambda y: y.mean(0), False)]:
        found = inspect_model(Head(layers, 1, reads), X, loss=squared(target))
        assert ("direction read at its start" in names(found)) == told
    first = inspect_model(Head(layers, 1, lambda y: y[-1]), X, loss=squared(target)).verdicts[0]
    assert first.layer.endswith("backward")
    assert "has read 1 step of 50" in first.text


def test_depth_without_skip_connections():
    torch.manual_seed(2)
    x, target = torch.randn(30, 16, 2), torch.randn(30, 16, 1)
    plain = Head(Recurrent("rnn", 2, 16, num_layers=12), 1)
    stack = Head(Stack.of("rnn", 2, 16, 12, skip="residual"), 1)
    assert "vanishing across layers" in names(inspect_model(plain, x, loss=squared(target)))
    assert "vanishing across layers" not in names(inspect_model(stack, x, loss=squared(target)))


@pytest.mark.parametrize(("factor", "told"), [(1e-4, True), (1.0, False), (60, True), (1e4, True)])
def test_the_scale_of_the_input(factor, told):
    found = inspect_model(lstm(4.0), factor * X)
    assert ("input scale" in names(found)) == told


def test_padding_that_is_read_as_data():
    torch.manual_seed(3)
    x, lengths = torch.randn(40, 16, 3), torch.arange(10, 42, 2)
    x = x * (torch.arange(40).view(-1, 1) < lengths).unsqueeze(-1)
    model, target = Head(Recurrent("gru", 3, 8), 1, lambda y: y[-1]), torch.randn(16, 1)
    assert "padding read" in names(inspect_model(model, x, loss=squared(target)))
    inside = {"x": x, "lengths": lengths}
    assert "padding read" not in names(inspect_model(model, inside, loss=squared(target)))
    pulses = (torch.rand(40, 16, 3) < 0.03).float()  # zeros are data here
    assert "padding read" not in names(inspect_model(model, pulses, loss=squared(target)))


def echo(distance, steps=48):
    x = torch.randn(steps, 32, 1, generator=torch.Generator().manual_seed(4))
    return x, functional.pad(x, (0, 0, 0, 0, distance, 0))[:steps]


def test_a_window_of_training_that_is_shorter_than_the_dependence():
    torch.manual_seed(5)
    model = Head(Recurrent("lstm", 1, 16), 1)
    with torch.no_grad():
        model.layers.b_l0[16:32] = 3.0
    x, target = echo(10)
    found = inspect_model(model, x, loss=squared(target), window=8).verdicts[0]
    assert (found.name, found.severity) == ("window too short", "severe")
    assert "inputs 10 steps back" in found.text
    wide = inspect_model(model, x, loss=squared(target), window=16)
    assert "window too short" not in names(wide)


def test_a_short_horizon_where_the_task_needs_more_and_where_it_needs_no_more():
    torch.manual_seed(6)
    model = Head(Recurrent("rnn", 1, 16), 1)
    x, target = echo(12)
    found = inspect_model(model, x, loss=squared(target)).verdicts[0]
    assert (found.name, found.severity, found.confidence) == ("vanishing", "severe", "high")
    assert "inputs 12 steps back" in found.text
    near = trained(model, *echo(1))
    assert not names(inspect_model(near, x, loss=squared(echo(1)[1])))


def trained(model, x, target, steps=150):
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        squared(target)(model(x)).backward()
        optimizer.step()
    return model


def test_shut_gates_of_a_network_that_does_its_task_are_a_note():
    torch.manual_seed(7)
    model = Head(Recurrent("lstm", 1, 16), 1)
    with torch.no_grad():
        model.layers.b_l0[16:32] = -6.0  # the task needs no memory
    x, target = echo(0)
    trained(model, x, target)
    with torch.no_grad():
        model.layers.b_l0[16:32] = -6.0
    found = inspect_model(model, x, loss=squared(target))
    assert not names(found)
    assert "forget gate closed" in names(found, "note")
    assert found.task.skill > 0.9


def test_a_loss_that_is_not_the_tasks_makes_symptoms_notes():
    found = inspect_model(lstm(-6.0), X, loss=lambda out: out[0].sum(), judges=False)
    assert not names(found)
    assert names(found, "note")


def test_a_network_that_has_learnt_nothing_for_no_reason_that_is_seen():
    torch.manual_seed(8)
    model = Head(Recurrent("lstm", 1, 16), 1)
    with torch.no_grad():
        model.layers.b_l0[16:32] = 3.0
    x, _ = echo(1)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(9))
    found = inspect_model(model, x, loss=squared(noise)).verdicts[0]
    assert (found.name, found.confidence) == ("nothing learnt", "low")


def test_causes_come_before_their_effects():
    found = inspect_model(alike(0.0), X)
    assert names(found)[0] == "zero weights"


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
