"""Sections of an inspection, for models of any task, and of a training's gradient flow."""

import importlib.util
import re

import pytest
import torch

from recurra.insight import inspect_model
from recurra.nn import LSTM, Layer, Recurrent, Stack
from recurra.reports import Picture, inspection_sections, layer_row, report, watched_sections
from recurra.reports.inspection_report import _gates, _unfolded


@torch.no_grad()
def forgetful():
    """An LSTM whose forget gates are closed."""
    layer = LSTM(3, 4).double()
    for parameter in layer.parameters():
        parameter.mul_(0.3)
    layer.bias_ih_l0.view(4, 4)[1] = -3.0
    return layer


@pytest.fixture(scope="module")
def inspection():
    x = torch.randn(16, 2, 3, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    return inspect_model(forgetful(), x)


def test_an_inspection_as_sections(inspection):
    sections = inspection_sections(inspection, list("abcdefghijklmnop"), torch.rand(16, 2))
    assert [s.title for s in sections] == [
        "Verdicts", "Gradient flow", "The network unfolded in time", "Activity of layer",
        "Dynamics", "State space", "States", "Layers",
    ]  # fmt: skip
    assert all(isinstance(s.content, Picture) for s in sections[1:-2])
    assert "raise the forget bias (--init forget-bias:1)" in report("x", sections[:1])


def test_a_task_without_labels_outputs_or_predictions(inspection):
    page = report("x", inspection_sections(inspection))
    assert page.count("<svg") == 6
    assert "<!-- output -->" not in page


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("lstm", ["input gate i", "forget gate f", "candidate g", "output gate o", "tanh(c)"]),
        ("gru", ["reset gate r", "forget gate z", "candidate n"]),
        ("mgu", ["forget gate f", "candidate n"]),
        ("rglru", ["recurrence gate r", "input gate i"]),
    ],
)
def test_gates_are_spelled_out(cell, expected):
    found = inspect_model(Recurrent(cell, 4, 4), torch.rand(6, 2, 4))
    saturated = layer_row(found.layers[0])[-1]
    assert re.findall(r"(?:^|, )(.*?) \d+ %", saturated) == expected


def test_pictures_are_of_the_steps_of_a_row(inspection):
    assert len(_unfolded(inspection, None, 0)[0].values) == 12
    x, lengths = torch.randn(9, 2, 3, dtype=torch.double), torch.tensor([9, 5])
    found = inspect_model(forgetful(), {"input": x, "lengths": lengths})
    rows = _unfolded(found, torch.rand(9, 2), 1)
    assert [len(row.values) for row in rows] == [5, 5, 5]
    assert torch.equal(rows[0].values, x[:5, 1])
    heat = _gates(found, found.layers[0], list("abcde"), 1)()
    assert heat.axes[0].images[0].get_array().shape == (4, 5)


def test_a_dilated_layer_is_shown_step_by_step():
    torch.manual_seed(0)
    stack = Stack(3, [Layer("gru", 4), Layer("gru", 4, dilation=2)])
    x = torch.randn(7, 2, 3)
    found = inspect_model(stack, x)
    assert [tuple(values["h"].shape) for values in found.values.values()] == [(7, 2, 4), (8, 2, 4)]
    rows = _unfolded(found, None, 1)
    assert [len(row.values) for row in rows] == [7, 7, 7]
    assert len(rows[2].gradient) == 7
    torch.testing.assert_close(rows[2].values, stack(x)[0][:, 1].detach())


def falling(factor, count=20):
    norms = [3 * factor**d for d in range(count)]
    line = {"layer": "layer", "distances": list(range(count)), "norms": norms}
    return [{"step": step, **line} for step in (0, 50, 100)]


def test_a_training_as_a_section():
    (section,) = watched_sections(falling(0.5))
    assert section.title == "Gradient flow during training"
    assert section.content.svgs[0].startswith("<svg")
    assert not re.search(r'href="(?!#|data:)', section.content.svgs[0])
    assert watched_sections([]) == watched_sections(falling(0.5, count=1)) == []


def test_without_matplotlib_a_sentence_stands_there(inspection, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    page = report("x", inspection_sections(inspection) + watched_sections(falling(0.5)))
    assert "<svg" not in page
    assert page.count("pip install &#x27;recurra[plot]&#x27;") == 2
