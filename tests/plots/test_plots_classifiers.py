"""Pictures of classifiers: they hold what they are given, and texts don't meet."""

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from recurra.plots import plot_accuracy_over_time, plot_confusion, svg
from recurra.plots.figure import INK


def random_counts(classes, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 30, (classes, classes)) + np.diag([1000] * classes)


def numbers(axes):
    """The text of each cell by row and column."""
    cells = {}
    for text in axes.texts:
        column, row = text.get_position()
        cells[int(row), int(column)] = text.get_text()
    return cells


def labels(ticks):
    return [tick.get_text() for tick in ticks]


def test_cells_are_shares_of_the_actual_class():
    (axes,) = plot_confusion([[9, 1], [0, 2000]], ["a$", "b"], "All").axes
    assert numbers(axes) == {(0, 0): "90 %\n9", (0, 1): "10 %\n1", (1, 1): "100 %\n2,000"}
    assert labels(axes.get_yticklabels()) == [r"a\$ (10)", "b (2,000)"]
    assert labels(axes.get_xticklabels()) == [r"a\$", "b"]
    assert axes.yaxis_inverted()


def test_more_classes_have_shares_alone():
    counts = np.diag([1000.0] * 7)
    counts[0, :4] = [500, 2, 497, 1]
    counts[1, 1:3] = [999, 1]
    counts[2, 2] = 0
    (axes,) = plot_confusion(counts, list("abcdefg")).axes
    cells = numbers(axes)
    assert {place: text for place, text in cells.items() if place[0] < 3} == {
        (0, 0): "50",
        (0, 1): "<1",
        (0, 2): "50",
        (0, 3): "<1",
        (1, 1): ">99",
        (1, 2): "<1",
    }


def test_the_right_ones_are_blue_and_the_more_the_darker():
    (axes,) = plot_confusion([[5, 5, 0], [1, 9, 0], [0, 0, 0]], list("abc")).axes
    (mesh,) = axes.collections
    colours = np.asarray(mesh.get_array())
    red, blue = colours[..., 0], colours[..., 2]
    assert (np.diag(blue > red)).all()
    assert (blue < red)[~np.eye(3, dtype=bool)].all()
    opacity = colours[..., 3]
    assert opacity[1, 1] > opacity[0, 0] == opacity[0, 1] > opacity[1, 0] > 0.2
    assert opacity[2].tolist() == [0, 0, 0]


def test_of_many_classes_the_most_confused_are_shown():
    """Classes 7 and 40 are confused most, then 3 and 9; 5 has many items and no mistakes."""
    counts = np.diag(np.full(60, 10.0))
    counts[5, 5] = 10_000
    counts[40, 7], counts[9, 3], counts[3, 20], counts[7, 30] = 8, 6, 1, 2
    names = [f"class {place}" for place in range(60)]
    (axes,) = plot_confusion(counts, names, most=4).axes
    shown = ["class 3", "class 7", "class 9", "class 40"]
    assert labels(axes.get_xticklabels()) == [*shown, "56 others"]
    assert [text.partition(" (")[0] for text in labels(axes.get_yticklabels())] == shown
    cells = {place: text.partition("\n")[0] for place, text in numbers(axes).items()}
    assert cells == {
        (0, 0): "91 %",
        (0, 4): "9 %",
        (1, 1): "83 %",
        (1, 4): "17 %",
        (2, 0): "38 %",
        (2, 2): "62 %",
        (3, 1): "44 %",
        (3, 3): "56 %",
    }


@pytest.mark.parametrize("count", [15, 16, 60])
def test_at_most_so_many_classes_are_shown(count):
    (axes,) = plot_confusion(random_counts(count), [f"{place}" for place in range(count)]).axes
    assert len(axes.get_yticks()) == 15
    assert len(axes.get_xticks()) == (15 if count == 15 else 16)


def shown_ticks(axis):
    low, high = sorted(axis.get_view_interval())
    return [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]


def boxes(figure):
    """The extent of every text that is shown, all of them within the picture."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    (axes,) = figure.axes
    ticks = [*shown_ticks(axes.xaxis), *shown_ticks(axes.yaxis)]
    texts = [*axes.texts, *ticks, axes.xaxis.label, axes.yaxis.label, figure._suptitle]
    texts += [text for legend in figure.legends for text in legend.get_texts()]
    extents = [one.get_window_extent(renderer) for one in texts if one and one.get_text()]
    inside = figure.bbox
    for extent in extents:
        assert extent.x0 >= inside.x0
        assert extent.x1 <= inside.x1
        assert extent.y0 >= inside.y0
        assert extent.y1 <= inside.y1
    return extents


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 10, 11, 15, 60])
@pytest.mark.parametrize("name", ["{}", "WIDE NAME of a class {}"])
def test_texts_do_not_meet(count, name):
    names = [name.format(place) for place in range(count)]
    extents = boxes(plot_confusion(100 * random_counts(count), names, "Held-out items"))
    assert len(extents) >= 2 * count + 3
    assert not [(a, b) for a, b in itertools.combinations(extents, 2) if a.overlaps(b)]


def test_a_dark_page_colours_the_texts():
    element = svg(plot_confusion([[9, 1], [2, 8]], ["a", "b"]))
    assert f"var(--ink, {INK})" in element
    assert "fill: #fff" not in element


def test_counts_and_names_are_of_one_size():
    for counts, names in (([[1, 2]], ["a"]), ([[1]], ["a", "b"]), (np.zeros((0, 0)), [])):
        with pytest.raises(ValueError, match=r"give \(K, K\) counts and K names"):
            plot_confusion(counts, names)


CURVES = {"lstm": ([0.5, 1], [0.6, 0.9]), "gru": ([1], [0.3]), "none": ([], [])}


def lines(axes):
    return {line.get_label(): line for line in axes.lines}


def test_accuracies_are_drawn_in_percent():
    figure = plot_accuracy_over_time(CURVES, {"gru": (0.25, 0.305), "rule": (1, 0.5)}, "Over time")
    (axes,) = figure.axes
    drawn = lines(axes)
    assert list(drawn) == [
        "lstm",
        "gru",
        "none",
        "gru, stopped early: 30.5 % after 25 %",
        "rule, stopped early: 50.0 % after 100 %",
        "lstm, at the end: 90.0 %",
    ]
    points = {name: list(zip(*line.get_data(), strict=True)) for name, line in drawn.items()}
    assert points["lstm"] == [(50, 60), (100, 90)]
    assert points["gru, stopped early: 30.5 % after 25 %"] == [(25, 30.5)]
    assert drawn["gru"].get_marker() == "o"
    colours = [drawn[name].get_color() for name in list(drawn)[:5]]
    assert colours[3] == colours[1]
    assert len({*colours}) == 4


def test_small_differences_are_not_drawn_as_large_ones():
    (axes,) = plot_accuracy_over_time({"a": ([0.5, 1], [0.99, 1.0])}).axes
    low, high = axes.get_ylim()
    assert high - low >= 20
    assert high > 100
    (axes,) = plot_accuracy_over_time({"a": ([0.5, 1], [0.0, 0.01])}).axes
    assert axes.get_ylim()[0] == 0


def test_texts_of_accuracies_do_not_meet():
    stops = dict.fromkeys(CURVES, (0.97, 0.9))
    extents = boxes(plot_accuracy_over_time(CURVES, stops, "Over time"))
    assert not [(a, b) for a, b in itertools.combinations(extents, 2) if a.overlaps(b)]


@pytest.mark.parametrize("curves", [{}, {"a": ([], [])}])
def test_without_a_point_there_is_no_picture(curves):
    with pytest.raises(ValueError, match="no accuracy to draw"):
        plot_accuracy_over_time(curves)
