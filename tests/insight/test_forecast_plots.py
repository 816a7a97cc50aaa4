"""Pictures of forecasts: they hold what they are given. How they look is for eyes."""

import importlib.util

import numpy as np
import pytest

from recurra.errors import MissingExtra
from recurra.plots import (
    Course,
    Surprises,
    plot_anomalies,
    plot_forecasts,
    plot_learning,
    svg,
)

DAYS = np.datetime64("2024-02-26") + np.arange(9)


def course(**changes):
    known, point = np.arange(6.0), np.array([6.0, 7.0, 8.0])
    bands = {80: (point - 1, point + 1), 95: (point - 2, point + 2)}
    parts = {"title": "a", "stamps": DAYS[:6], "known": known, "ahead": DAYS[6:], "point": point}
    return Course(**{**parts, "bands": bands, **changes})


def lines(axes):
    return {line.get_label(): np.asarray(line.get_ydata(), float) for line in axes.lines}


def words(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_forecast_sets_out_from_the_last_observation():
    axes = plot_forecasts([course()]).axes[0]
    assert lines(axes)["observed"].tolist() == [0, 1, 2, 3, 4, 5]
    assert lines(axes)["forecast"].tolist() == [5, 6, 7, 8]


def test_a_missing_last_observation_is_no_start():
    known = np.array([1, 2, 3, 4, 5, np.nan])
    assert lines(plot_forecasts([course(known=known)]).axes[0])["forecast"].tolist() == [6, 7, 8]


def test_wide_bands_are_light_and_lie_below():
    wide, narrow = plot_forecasts([course()]).axes[0].collections
    assert (wide.get_label(), narrow.get_label()) == ("95 % interval", "80 % interval")
    assert wide.get_facecolor()[0, :3].sum() > narrow.get_facecolor()[0, :3].sum()
    assert wide.get_paths()[0].get_extents().y1 == 10


def test_the_truth_is_drawn_where_it_is_known():
    drawn = plot_forecasts([course(truth=np.array([9.0, 9.0, 9.0]))]).axes[0]
    assert [5, 9, 9, 9] in [line.get_ydata().tolist() for line in drawn.lines[:-1]]


def test_each_series_has_its_panel_and_all_share_a_legend():
    figure = plot_forecasts(
        [course(title=name, bands={}) for name in ("a", "b$", "c")], "All", "kW"
    )
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["a", r"b\$", "c", ""]
    assert figure.axes[0].get_ylabel() == "kW"
    assert words(figure) == ["observed", "forecast"]


def test_days_are_told_with_their_month():
    figure = plot_forecasts([course()])
    figure.draw_without_rendering()
    shown = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert "28 Feb" in shown or "27 Feb" in shown
    assert figure.axes[0].xaxis.get_offset_text().get_text() == "2024"


def test_stamps_may_be_whole_numbers():
    figure = plot_forecasts([course(stamps=np.arange(1, 7), ahead=np.arange(7, 10))])
    assert figure.axes[0].get_xlim()[1] == pytest.approx(9.08)


def test_surprises_are_marked_from_the_threshold_on():
    scores = np.array([0.0, 3.0, np.nan, 2.9, 7.0])
    series = Surprises("a", DAYS[:5], np.arange(5.0), scores, np.zeros(5), np.ones(5))
    above, below = plot_anomalies([series]).axes
    assert lines(above)["score of 3 and more"].tolist() == [1, 4]
    assert below.get_ylim()[1] > 7


def test_members_have_a_curve_of_each_kind():
    rows = [
        {"step": 1, "loss": 3.0},
        {"step": 2, "loss": 2.0},
        {"step": 2, "validation": {"loss": 1}},
    ]
    drawn = lines(plot_learning({"one": rows, "two": rows[:2], "three": []}).axes[0])
    assert {name: values.tolist() for name, values in drawn.items()} == {
        "one: training": [3, 2],
        "one: held back": [1],
        "two: training": [3, 2],
    }


@pytest.mark.parametrize("draw", [plot_forecasts, plot_anomalies, plot_learning])
def test_nothing_to_draw_is_an_error(draw):
    with pytest.raises(ValueError, match=r"no .* to draw"):
        draw({} if draw is plot_learning else [])


def test_without_matplotlib_the_remedy_is_told(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"recurra\[plot\]"):
        plot_forecasts([course()])


def test_the_same_picture_is_the_same_text():
    assert svg(plot_forecasts([course()])) == svg(plot_forecasts([course()]))
