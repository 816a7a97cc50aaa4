"""Pictures of networks: they hold the data they are given. Their looks are for eyes."""

import numpy as np
import pytest
import torch

from recurra.plots import (
    UnfoldedRow,
    plot_exponents,
    plot_flow,
    plot_gates,
    plot_heat,
    plot_jacobians,
    plot_unfolded,
)

CURVES = {"a": [0.5**d for d in range(20)], "b": [0.99**d for d in range(20)]}


def lines_of(axes):
    return {line.get_label(): np.asarray(line.get_ydata()) for line in axes.lines}


def test_gradient_flow_is_relative_and_marks_the_horizon():
    figure = plot_flow({"a": [7 * v for v in CURVES["a"]], "b": CURVES["b"]})
    axes = figure.axes[0]
    lines = lines_of(axes)
    np.testing.assert_allclose(lines["a"], CURVES["a"])
    assert axes.get_yscale() == "log"
    # 0.5 ** 7 is the first below 1 %
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["a: 7", "b: ≥ 19"]
    assert "1 %" in [t.get_text() for t in axes.texts]


def test_dilated_layers_are_drawn_over_the_steps_of_the_sequence():
    figure = plot_flow(CURVES, strides={"a": 3})
    axes = figure.axes[0]
    (line,) = [line for line in axes.lines if line.get_label() == "a"]
    assert list(line.get_xdata()) == list(range(0, 60, 3))
    assert figure.legends[0].get_texts()[0].get_text() == "a: 21"


def test_a_curve_keeps_its_colour_where_others_are_missing():
    both = plot_flow(CURVES).axes[0]
    alone = plot_flow({"b": CURVES["b"]}, order=["a", "b"]).axes[0]
    colours = [{x.get_label(): x.get_color() for x in axes.lines}["b"] for axes in (both, alone)]
    assert colours[0] == colours[1]


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
    layer = UnfoldedRow("h", torch.rand(4, 9), torch.tensor([1e-4, 1, 10, 5]))
    rows = [UnfoldedRow("in", torch.rand(4, 2)), layer, UnfoldedRow("out", torch.rand(4, 2))]
    axes = plot_unfolded(rows, list("abcd"), list("bcde")).axes[0]
    words = [t.get_text() for t in axes.texts]
    assert [w for w in words if len(w) == 1 and w != "h"] == list("abcdbcde")
    arrows = [t.arrow_patch for t in axes.texts if getattr(t, "arrow_patch", None)]
    widths = [a.get_linewidth() for a in arrows]
    along = widths[:3] if len(set(widths[:3])) > 1 else widths[4:7]
    assert len(arrows) == 3 + 2 * 4
    assert along == sorted(along)


def test_dynamics_leave_out_exponents_that_are_not_finite():
    (over_time,) = plot_jacobians({"a": ([0, 1], [0.5, 0.6], [1.0, 1.1])}).axes
    (spectrum,) = plot_exponents({"a": [0.1, -2.0, -np.inf]}).axes
    assert lines_of(over_time)["a: radius"].tolist() == [0.5, 0.6]
    assert lines_of(spectrum)["a: largest +0.100"].tolist() == [0.1, -2.0]


def falling(factor, steps=(0, 50, 100), layer="layer", count=20):
    """Lines of gradients.jsonl with norms that fall by a factor from step to step."""
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
    assert [a.get_title(loc="right") for a in axes[:2]] == [
        "1 % left after 4 steps", "1 % left after ≥ 19 steps",
    ]  # fmt: skip


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


def test_without_a_gradient_over_time_there_is_no_heat_map():
    with pytest.raises(ValueError, match="no layer to draw"):
        plot_heat([])
