"""Pictures: they hold what they are given. How they look is for eyes."""

import importlib.util
import re

import numpy as np
import pytest
import torch
from networks import lstm

from weft.errors import MissingExtra, RunError
from weft.insight import Picture, Section, amended, inspect_model, inspection_sections, report
from weft.insight.plot import Row, plot_dynamics, plot_flow, plot_gates, plot_unfolded, png, svg

CURVES = {"a": [0.5**d for d in range(20)], "b": [0.99**d for d in range(20)]}


def lines_of(axes):
    return {line.get_label(): np.asarray(line.get_ydata()) for line in axes.lines}


def test_gradient_flow_is_relative_and_marks_the_horizon():
    axes = plot_flow({"a": [7 * v for v in CURVES["a"]], "b": CURVES["b"]}).axes[0]
    lines = lines_of(axes)
    np.testing.assert_allclose(lines["a"], CURVES["a"])
    assert axes.get_yscale() == "log"
    assert "7" in [t.get_text() for t in axes.texts]  # 0.5 ** 7 is the first below 1 %
    assert "1 %" in [t.get_text() for t in axes.texts]


def test_gates_are_sorted_by_activity_and_labelled():
    values = torch.rand(5, 3) * 0.1 + torch.tensor([0.8, 0.0, 0.4])
    values[0, 0], values[1, 1] = 0.9, 0.0
    figure = plot_gates({"f": values, "c": values * 30 - 9}, ["a", " ", "$", "\n", "e"])
    image = figure.axes[0].images[0]
    np.testing.assert_allclose(image.get_array(), values.T[[1, 2, 0]], rtol=1e-6)
    assert image.get_clim() == (0, 1)
    assert figure.axes[1].images[0].get_clim() == (-18, 18)
    shown = [t.get_text() for t in figure.axes[1].get_xticklabels()]
    assert shown == ["a", "·", r"\$", "↵", "e"]


def test_the_unfolded_network_has_arrows_as_thick_as_the_gradient():
    rows = [Row("in", torch.rand(4, 2)), Row("h", torch.rand(4, 9), torch.tensor([1e-4, 1, 10, 5]))]
    axes = plot_unfolded([*rows, Row("out", torch.rand(4, 2))], list("abcd"), list("bcde")).axes[0]
    words = [t.get_text() for t in axes.texts]
    assert [w for w in words if len(w) == 1 and w != "h"] == list("abcdbcde")
    arrows = [t.arrow_patch for t in axes.texts if getattr(t, "arrow_patch", None)]
    widths = [a.get_linewidth() for a in arrows]
    along = widths[:3] if len(set(widths[:3])) > 1 else widths[4:7]
    assert len(arrows) == 3 + 2 * 4
    assert along == sorted(along)


def test_dynamics_leave_out_what_is_not_finite():
    figure = plot_dynamics({"a": ([0, 1], [0.5, 0.6], [1.0, 1.1])}, {"a": [0.1, -2.0, -np.inf]})
    over_time, spectrum = figure.axes[:2]
    assert lines_of(over_time)["a: radius"].tolist() == [0.5, 0.6]
    assert lines_of(spectrum)["a: largest +0.100"].tolist() == [0.1, -2.0]


def test_svg_is_the_same_for_the_same_picture_and_loads_nothing():
    first, second = svg(plot_flow(CURVES)), svg(plot_flow(CURVES))
    assert first.startswith("<svg")
    assert first == second
    assert not re.search(r'href="(?!#|data:)', first)
    assert png(plot_flow(CURVES)).startswith(b"\x89PNG")


@pytest.fixture(scope="module")
def found():
    return inspect_model(lstm(-1.0), torch.randn(20, 2, 3, dtype=torch.double))


def test_an_inspection_as_sections(found):
    sections = inspection_sections(found, list("abcdefghijklmnopqrst"), torch.rand(20, 5))
    titles = [s.title for s in sections]
    assert titles[:2] == ["Verdicts", "Layers"]
    assert titles[2:] == [
        "Gradient flow", "The network unfolded in time", "Activity of layer", "Dynamics",
    ]  # fmt: skip
    assert all(isinstance(s.content, Picture) for s in sections[2:])
    assert "start the forget gate f open" in report("x", sections[:2])


def test_without_matplotlib_a_sentence_stands_there(found, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="Drawing a network needs matplotlib"):
        plot_flow(CURVES)
    page = report("x", inspection_sections(found))
    assert "<svg" not in page
    assert "pip install &#x27;weft[plot]&#x27;" in page


def test_a_page_is_amended_and_amended_again():
    page = report("A run", [Section("Data", {"a": 1})])
    once = amended(page, "inspection", [Section("New", "first")])
    twice = amended(once, "inspection", [Section("New", "second")])
    assert "first" in once
    assert "first" not in twice
    assert twice.count("<h2>New</h2>") == 1
    assert amended(twice, "inspection", [Section("New", "first")]) == once
    assert twice.endswith("</body></html>\n")


def test_a_page_that_is_not_whole_is_refused():
    with pytest.raises(RunError, match=r"report\.html is not whole; delete it"):
        amended("<html>", "inspection", [])
