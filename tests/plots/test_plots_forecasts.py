"""Pictures of forecasts: they hold the data they are given. Their looks are for eyes."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from recurra.plots import AnomalySeries, ForecastSeries, plot_anomalies, plot_forecasts

DAYS = np.datetime64("2024-02-26") + np.arange(9)


def forecast(**changes):
    known, point = np.arange(6.0), np.array([6.0, 7.0, 8.0])
    bands = {80: (point - 1, point + 1), 95: (point - 2, point + 2)}
    parts = {"title": "a", "stamps": DAYS[:6], "known": known, "ahead": DAYS[6:], "point": point}
    return ForecastSeries(**{**parts, "bands": bands, **changes})


def lines(axes):
    return {line.get_label(): np.asarray(line.get_ydata(), float) for line in axes.lines}


def words(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_forecast_starts_from_the_last_observation():
    axes = plot_forecasts([forecast()]).axes[0]
    assert lines(axes)["observed"].tolist() == [0, 1, 2, 3, 4, 5]
    assert lines(axes)["forecast"].tolist() == [5, 6, 7, 8]


def test_a_missing_last_observation_is_no_start():
    known = np.array([1, 2, 3, 4, 5, np.nan])
    assert lines(plot_forecasts([forecast(known=known)]).axes[0])["forecast"].tolist() == [6, 7, 8]


def test_wide_bands_are_light_and_lie_below():
    axes = plot_forecasts([forecast()]).axes[0]
    wide, narrow = axes.collections
    assert [area.get_paths()[0].get_extents().y1 for area in (wide, narrow)] == [10, 9]
    keys = {patch.get_label(): patch.get_alpha() for patch in axes.patches}
    assert list(keys) == ["95 % interval", "80 % interval"]
    seen = 1 - (1 - wide.get_alpha()) * (1 - narrow.get_alpha())
    assert [wide.get_alpha(), seen] == pytest.approx(list(keys.values()))
    assert wide.get_alpha() < seen


def test_actual_values_are_drawn_where_they_are_known():
    drawn = plot_forecasts([forecast(actual=np.array([9.0, 9.0, 9.0]))]).axes[0]
    assert [5, 9, 9, 9] in [line.get_ydata().tolist() for line in drawn.lines[:-1]]


def test_each_series_has_its_panel_and_all_share_a_legend():
    figure = plot_forecasts(
        [forecast(title=name, bands={}) for name in ("a", "b$", "c")], "All", "kW"
    )
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["a", r"b\$", "c", ""]
    assert figure.axes[0].get_ylabel() == "kW"
    assert words(figure) == ["observed", "forecast"]


def test_days_are_labelled_with_their_month():
    figure = plot_forecasts([forecast()])
    figure.draw_without_rendering()
    shown = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert "28 Feb" in shown or "27 Feb" in shown
    assert figure.axes[0].xaxis.get_offset_text().get_text() == "2024"


def test_stamps_may_be_whole_numbers():
    figure = plot_forecasts([forecast(stamps=np.arange(1, 7), ahead=np.arange(7, 10))])
    assert figure.axes[0].get_xlim()[1] == pytest.approx(9.08)


def test_anomalies_are_marked_from_the_threshold_on():
    scores = np.array([0.0, 3.0, np.nan, 2.9, 7.0])
    series = AnomalySeries("a", DAYS[:5], np.arange(5.0), scores, np.zeros(5), np.ones(5))
    above, below = plot_anomalies([series]).axes
    assert lines(above)["score ≥ 3"].tolist() == [1, 4]
    assert below.get_ylim()[1] > 7


@pytest.mark.parametrize("draw", [plot_forecasts, plot_anomalies])
def test_nothing_to_draw_is_an_error(draw):
    with pytest.raises(ValueError, match="no series to draw"):
        draw([])


@pytest.mark.parametrize("count", [1, 2])
def test_a_long_name_does_not_run_into_its_note(count):
    one = forecast(title="WIDE NAME of a series " * 9, note="MASE 0.665, 12 of 414 from the worst")
    figure = plot_forecasts([one] * count, small=count == 1)
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    texts = {text.get_text(): text for text in figure.axes[0].findobj(Text)}
    (title,) = (text for shown, text in texts.items() if shown.startswith("WIDE"))
    left, right = (t.get_window_extent(renderer) for t in (title, texts[one.note]))
    assert left.x1 < right.x0
