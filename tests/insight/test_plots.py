"""Pictures: they hold what they are given. How they look is for eyes."""

import importlib.util
import re

import numpy as np
import pytest
import torch
from networks import lstm

from recurra.errors import MissingExtra, RunError
from recurra.insight import inspect_model
from recurra.plots import (
    Row,
    plot_dynamics,
    plot_flow,
    plot_gates,
    plot_heat,
    plot_unfolded,
    png,
    svg,
)
from recurra.reports import (
    Picture,
    Section,
    amended,
    carried_over,
    inspection_sections,
    report,
    watched_sections,
)

CURVES = {"a": [0.5**d for d in range(20)], "b": [0.99**d for d in range(20)]}


def lines_of(axes):
    return {line.get_label(): np.asarray(line.get_ydata()) for line in axes.lines}


def test_gradient_flow_is_relative_and_marks_the_horizon():
    axes = plot_flow({"a": [7 * v for v in CURVES["a"]], "b": CURVES["b"]}).axes[0]
    lines = lines_of(axes)
    np.testing.assert_allclose(lines["a"], CURVES["a"])
    assert axes.get_yscale() == "log"
    # 0.5 ** 7 is the first below 1 %
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["a: 7", "b: ≥ 19"]
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
    figure = plot_flow(CURVES)
    first, second = svg(figure), svg(plot_flow(CURVES))
    assert first.startswith("<svg")
    assert first == second
    assert not re.search(r'href="(?!#|data:)', first)
    assert png(figure, dpi=20).startswith(b"\x89PNG")


def falling(factor, steps=(0, 50, 100), layer="layer", count=20):
    norms = [3 * factor**d for d in range(count)]
    line = {"layer": layer, "distances": list(range(count)), "norms": norms}
    return [{"step": step, **line} for step in steps]


def horizon_of(axes):
    (line,) = axes.lines
    return line.get_ydata().tolist()


def test_the_heat_map_is_relative_and_has_its_horizon():
    axes = plot_heat(falling(0.1**0.5) + falling(0.99, layer="other")).axes
    assert [a.get_title(loc="left") for a in axes[:2]] == ["layer", "other"]
    shares = np.asarray(axes[0].collections[0].get_array())
    np.testing.assert_allclose(shares[:8, 0], [-0.5 * d for d in range(1, 9)])
    assert shares.min() == -4
    assert horizon_of(axes[0]) == pytest.approx([4.0] * 3)
    assert horizon_of(axes[1]) == [19] * 3
    assert [a.texts[0].get_text() for a in axes[:2]] == ["1 % after 4", "1 % after ≥ 19"]


def test_a_heat_map_of_gradients_that_grow_has_colours_for_that():
    (panel, bar) = plot_heat(falling(1.5)).axes
    assert panel.collections[0].get_clim() == (-4, 2)
    assert [t.get_text() for t in bar.get_yticklabels()][-2:] == ["× 10", "≥ × 100"]
    assert plot_heat(falling(0.5)).axes[0].collections[0].get_clim() == (-4, 0)


def test_windows_of_several_lengths_share_a_heat_map():
    lines = falling(0.5) + falling(0.5, steps=(150,), count=6)
    shares = plot_heat(lines).axes[0].collections[0].get_array()
    assert np.isfinite(np.asarray(shares)[:5, 3]).all()
    assert np.ma.getmaskarray(shares)[5:, 3].all()


def test_a_training_as_a_section():
    (section,) = watched_sections(falling(0.5))
    assert section.title == "Gradient flow while training"
    assert section.content.svg.startswith("<svg")
    assert not re.search(r'href="(?!#|data:)', section.content.svg)
    assert watched_sections([]) == watched_sections(falling(0.5, count=1)) == []
    with pytest.raises(ValueError, match="no layer to draw"):
        plot_heat([])


@pytest.fixture(scope="module")
def found():
    return inspect_model(lstm(-1.0, size=4), torch.randn(16, 2, 3, dtype=torch.double))


def test_an_inspection_as_sections(found):
    sections = inspection_sections(found, list("abcdefghijklmnop"), torch.rand(16, 2))
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
    page = report("x", inspection_sections(found) + watched_sections(falling(0.5)))
    assert "<svg" not in page
    assert page.count("pip install &#x27;recurra[plot]&#x27;") == 2


def test_a_page_is_amended_and_amended_again():
    page = report("A run", [Section("Data", {"a": 1})])
    once = amended(page, "inspection", [Section("New", "first")])
    twice = amended(once, "inspection", [Section("New", "second")])
    assert "first" in once
    assert "first" not in twice
    assert twice.count("<h2>New</h2>") == 1
    assert amended(twice, "inspection", [Section("New", "first")]) == once
    assert twice.endswith("</body></html>\n")


def test_what_a_page_was_amended_with_is_carried_over():
    old, new = report("Old", []), report("New", [])
    assert carried_over(old, new, "inspection") == new
    block = [Section("Kept", "as it was")]
    assert carried_over(amended(old, "i", block), new, "i") == amended(new, "i", block)


def test_a_page_that_is_not_whole_is_refused():
    with pytest.raises(RunError, match=r"report\.html is not whole; delete it"):
        amended("<html>", "inspection", [])
    with pytest.raises(RunError, match=r"report\.html is not whole; delete it"):
        carried_over("<html>", report("New", []), "inspection")
