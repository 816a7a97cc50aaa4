"""Learning curves: of a run, of members, of contenders and their table."""

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from recurra.plots import (
    ComparedCurves,
    plot_compared,
    plot_members,
    plot_optimiser,
    plot_table,
    plot_training,
)
from recurra.plots.learning_curves import _spread_apart

RUN = [
    {"step": step, "epoch": 1, "loss": 3 / step, "learning_rate": 1e-3, "gradient_norm": 1.0}
    for step in range(1, 30)
] + [{"step": 29, "epoch": 1, "validation": {"loss": 0.2}}]


def lines(axes):
    return {line.get_label(): np.asarray(line.get_ydata(), float) for line in axes.lines}


def test_a_run_has_its_loss_and_the_steps_of_its_optimiser():
    (loss,) = plot_training(RUN, "loss (nats)").axes
    rate, norm = plot_optimiser(RUN).axes
    assert lines(loss)["validation"].tolist() == [0.2]
    assert lines(loss)["training"].tolist() == [3 / step for step in range(1, 30)]
    assert [axes.get_ylabel() for axes in (loss, rate, norm)] == [
        "loss (nats)", "learning rate", "gradient norm",
    ]  # fmt: skip
    assert rate.get_ylim()[0] == 0
    assert "validation" not in lines(plot_training(RUN[:-1]).axes[0])


@pytest.mark.parametrize("draw", [plot_training, plot_optimiser])
def test_one_logged_step_is_a_dot_and_none_is_an_error(draw):
    assert draw(RUN[:1]).axes[0].lines[0].get_marker() == "o"
    with pytest.raises(ValueError, match="no step was logged"):
        draw(RUN[-1:])


def test_members_have_a_curve_of_each_kind():
    rows = [
        {"step": 1, "loss": 3.0},
        {"step": 2, "loss": 2.0},
        {"step": 2, "validation": {"loss": 1}},
    ]
    drawn = lines(plot_members({"one": rows, "two": rows[:2], "three": []}).axes[0])
    assert {name: values.tolist() for name, values in drawn.items()} == {
        "one: training": [3, 2],
        "one: validation": [1],
        "two: training": [3, 2],
    }
    with pytest.raises(ValueError, match="no curve to draw"):
        plot_members({"three": []})


def test_a_member_of_a_single_point_is_seen():
    """A line of one point without a marker is nothing, though the legend names it."""
    axes = plot_members({"one": RUN[-2:], "two": RUN[:5]}).axes[0]
    markers = {line.get_label(): line.get_marker() for line in axes.lines}
    assert markers == {"one: training": "o", "one: validation": "o", "two: training": "None"}


SEEDS = [[(1, 0.5), (2, 0.1), (3, 0.4)], [(1, 0.5), (2, 0.3)], [(1, 0.5), (2, 0.2)]]


def test_contenders_have_the_median_over_their_common_steps_and_a_band():
    axes = plot_compared([ComparedCurves("gru", SEEDS), ComparedCurves("rnn", [])]).axes[0]
    assert lines(axes)["gru"].tolist() == [0.5, 0.2]
    (band,) = axes.collections
    assert band.get_paths()[0].get_extents().bounds == pytest.approx((1, 0.1, 1, 0.4))


def test_a_cross_is_where_a_training_diverged():
    mixed = ComparedCurves("gru", SEEDS, diverged=[[(1, 0.9)]])
    bad = ComparedCurves("rnn", [], diverged=[[(1, 0.9), (2, 7.0)], []])
    axes = plot_compared([mixed, bad]).axes[0]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["gru", "rnn: diverged"]
    crosses = [line.get_ydata().tolist() for line in axes.lines if line.get_marker() == "x"]
    assert crosses[:2] == [[0.9], [7.0]]


def test_levels_are_dashed_and_their_labels_don_t_overlap():
    levels = [(0.3, "chance"), (0.31, "LSTM 0.31")]
    axes = plot_compared([ComparedCurves("gru", SEEDS)], levels, source="a paper").axes[0]
    dashed = [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--"]
    assert dashed == [0.3, 0.31]
    assert {"chance", "LSTM 0.31", "dashed: a paper"} <= {text.get_text() for text in axes.texts}
    assert np.diff(_spread_apart([0.2, 0.21, 0.5])).min() > 0.04


def test_the_texts_around_the_curves_don_t_run_into_one_another():
    names = ["lstm, chrono-constant", "gru, 12 layers, residual", "minGRU", "rnn", "irnn", "lstm"]
    contenders = [ComparedCurves(name, [[(1, 0.5), (100, 1e-6)]]) for name in names]
    levels = [(0.167, "by chance"), (0.164, "LSTM 0.164"), (5.8e-5, "TCN 5.8e-05")]
    figure = plot_compared(contenders, levels, title="adding, T = 600", source="Bai 2018, table 1")
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    (axes,) = figure.axes
    texts = [axes.xaxis.label, *axes.texts, *axes.get_legend().get_texts(), *figure.texts]
    texts = [figure._suptitle, *texts] if figure._suptitle not in texts else texts
    boxes = [text.get_window_extent(renderer) for text in texts if text.get_text()]
    assert len(boxes) >= 1 + 1 + len(levels) + 1 + len(names)
    meet = [(a, b) for a, b in itertools.combinations(boxes, 2) if a.overlaps(b)]
    assert meet == []


def test_the_table_has_its_texts_and_the_lines_of_the_curves():
    columns, rows = ("cell", "loss"), [("gru", "0.2"), ("rnn", "0.4")]
    axes = plot_table(columns, rows, [("by chance", "0.5")], ["a note"]).axes[0]
    shown = {text.get_text() for text in axes.texts}
    assert {*columns, *rows[0], *rows[1], "by chance", "0.5", "a note"} <= shown
    curves = plot_compared([ComparedCurves(name, SEEDS) for name, _ in rows]).axes[0]
    drawn = {line.get_label(): line.get_color() for line in curves.lines}
    keys = [line.get_color() for line in axes.lines if len(line.get_xdata()) == 2][:]
    assert [key for key in keys if key in drawn.values()] == [drawn["gru"], drawn["rnn"]]
