"""Forecasts of series with their intervals, and observations that are anomalies."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.plots.figure import (
    COLOURS,
    COLUMN,
    GREY,
    INK,
    PAPER,
    add_title,
    new_figure,
    shortened,
    styled,
    verbatim,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["AnomalySeries", "ForecastSeries", "plot_anomalies", "plot_forecasts"]

POINT, ANOMALY = COLOURS[0], COLOURS[1]
_SMALL = (COLUMN, 2.9)
_NOTE_LETTER = 0.072
"""The width in inches of a letter of the note beside a title."""
LIGHTEST, DARKEST = 0.16, 0.42
"""Opacity of the widest and of the narrowest interval."""


@dataclass(frozen=True, eq=False)
class ForecastSeries:
    """One series: its observations, its forecast, and the actual values where they are known.

    `stamps` (T,) and `ahead` (H,) are datetime64 or numbers; `known` (T,), `point` (H,) and
    `actual` (H,) floats, NaN where a value is missing. `bands` is percent -> lower and upper bound
    of that interval, (H,) each. A `note` is written small beside the title.
    """

    title: str
    stamps: Any
    known: Any
    ahead: Any
    point: Any
    bands: Mapping[float, tuple[Any, Any]] = field(default_factory=dict)
    actual: Any = None
    note: str = ""


@dataclass(frozen=True, eq=False)
class AnomalySeries:
    """One series with the anomaly score of each observation: `stamps`, `values`, `scores` (T,).

    `low` and `high` (T,) are the interval that was forecast one step before, if there is one.
    """

    title: str
    stamps: Any
    values: Any
    scores: Any
    low: Any = None
    high: Any = None


@styled
def plot_forecasts(
    series: Sequence[ForecastSeries], title: str = "", unit: str = "", *, small: bool = False
) -> Figure:
    """Draw one panel a series: history, point forecast, intervals from light (wide) to dark.

    `unit` is the label of the values' axis. `small` is for pictures that stand side by side on a
    page, which has a legend of its own. Raises ValueError where there is no series.
    """
    if not series:
        raise ValueError("no series to draw: give one or more")
    columns = 1 if len(series) == 1 else 2
    rows = math.ceil(len(series) / columns)
    height = 0.75 + (3.3 if len(series) == 1 else 2.35) * rows
    figure = new_figure(*(_SMALL if small else (10.5, height)))
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    room = figure.get_figwidth() / columns - 0.9
    for axes, one in zip(panels, series, strict=False):
        _draw_forecast(axes, one, unit, room)
    for axes in panels[len(series) :]:
        axes.axis("off")
    if not small:
        _add_legend(figure, panels[: len(series)])
    add_title(figure, verbatim(title))
    return figure


@styled
def plot_anomalies(
    series: Sequence[AnomalySeries], title: str = "", unit: str = "", threshold: float = 3.0
) -> Figure:
    """Draw each series above its scores; dots mark scores of `threshold` and more.

    Raises ValueError where there is no series.
    """
    if not series:
        raise ValueError("no series to draw: give one or more")
    figure = new_figure(10.5, 0.75 + 3.0 * len(series))
    heights = (3, 1) * len(series)
    panels = figure.subplots(2 * len(series), 1, squeeze=False, height_ratios=heights)[:, 0]
    for index, one in enumerate(series):
        above, below = panels[2 * index : 2 * index + 2]
        _draw_values(above, one, threshold, unit)
        _draw_scores(below, one, threshold)
        below.sharex(above)
        above.tick_params(labelbottom=False)
    _add_legend(figure, panels[::2])
    add_title(figure, verbatim(title))
    return figure


def _draw_forecast(axes: Axes, one: ForecastSeries, unit: str, room: float) -> None:
    """Draw one panel; title and note share a line of so many inches."""
    axes.plot(one.stamps, one.known, color=INK, linewidth=1, label="observed")
    stamp, value = _last_observation(one)
    ahead = np.concatenate([stamp, one.ahead])
    _draw_intervals(axes, ahead, value, one.bands)
    if one.actual is not None:
        axes.plot(ahead, np.concatenate([value, one.actual]), color=INK, linewidth=1)
    point = np.concatenate([value, one.point])
    marker = "o" if len(one.point) == 1 else None
    axes.plot(ahead, point, color=POINT, linewidth=1.8, marker=marker, ms=4, label="forecast")
    if len(one.stamps):
        axes.axvline(one.stamps[-1], color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
    title = shortened(one.title, room - _NOTE_LETTER * len(one.note))
    _label_axes(axes, title, unit)
    axes.set_title(verbatim(one.note), loc="right", fontsize=8.5, color=GREY)


def _last_observation(one: ForecastSeries) -> tuple[Any, Any]:
    """Stamp and value that the forecast starts from, (1,) each, or (0,) where it is missing."""
    is_there = len(one.known) > 0 and bool(np.isfinite(one.known[-1]))
    return (one.stamps[-1:], one.known[-1:]) if is_there else (one.ahead[:0], np.empty(0))


def _draw_intervals(axes: Axes, ahead: Any, value: Any, bands: Mapping[float, Any]) -> None:
    """Draw each interval, the widest first and lightest; `value` is where all of them begin."""
    widest = sorted(bands, reverse=True)
    shares, below = np.linspace(LIGHTEST, DARKEST, max(2, len(widest))), 0.0
    for percent, share in zip(widest, shares, strict=False):
        low, high = (np.concatenate([value, bound]) for bound in bands[percent])
        # Together with the wider ones below it has the opacity that the legend shows.
        alpha = 1 - (1 - float(share)) / (1 - below)
        axes.fill_between(ahead, low, high, color=POINT, alpha=alpha, linewidth=0)
        label = f"{percent:g} % interval"
        axes.fill(math.nan, math.nan, color=POINT, alpha=share, linewidth=0, label=label)
        below = float(share)


def _draw_values(axes: Axes, one: AnomalySeries, threshold: float, unit: str) -> None:
    if one.low is not None and one.high is not None:
        style: dict[str, Any] = {"color": POINT, "alpha": LIGHTEST, "linewidth": 0}
        axes.fill_between(one.stamps, one.low, one.high, label="one-step forecast", **style)
    axes.plot(one.stamps, one.values, color=INK, linewidth=0.9, label="observed")
    anomalies = np.flatnonzero(np.asarray(one.scores) >= threshold)
    axes.plot(
        np.asarray(one.stamps)[anomalies],
        np.asarray(one.values)[anomalies],
        "o",
        color=ANOMALY,
        markersize=5,
        markeredgecolor=PAPER,
        markeredgewidth=0.6,
        label=f"score ≥ {threshold:g}",
    )
    _label_axes(axes, one.title, unit)


def _draw_scores(axes: Axes, one: AnomalySeries, threshold: float) -> None:
    axes.vlines(one.stamps, 0, np.nan_to_num(one.scores), color=GREY, linewidth=0.8)
    high = np.asarray(one.scores) >= threshold
    axes.vlines(np.asarray(one.stamps)[high], 0, np.asarray(one.scores)[high], color=ANOMALY)
    axes.axhline(threshold, color=ANOMALY, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_ylim(0, 1.1 * max(threshold, float(np.nanmax(one.scores, initial=0))))
    _label_axes(axes, "", "score", ticks=3)


def _label_axes(axes: Axes, title: str, unit: str, ticks: int = 5) -> None:
    from matplotlib.dates import AutoDateLocator
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    if isinstance(axes.xaxis.get_major_locator(), AutoDateLocator):
        _set_date_ticks(axes)
    axes.yaxis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axes.set_title(verbatim(title), fontsize=10)
    axes.set_ylabel(verbatim(unit), fontsize=9)
    axes.margins(x=0.01)


def _set_date_ticks(axes: Axes) -> None:
    """Put at few stamps as much of their dates as they differ in: 27 Jul, 06:00."""
    from matplotlib import dates

    untyped: Any = dates
    locator = untyped.AutoDateLocator(minticks=3, maxticks=7, interval_multiples=False)
    formatter = untyped.ConciseDateFormatter(
        locator,
        formats=["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%H:%M:%S"],
        zero_formats=["%Y", "%b %Y", "%d %b", "%d %b", "%H:%M", "%H:%M"],
        offset_formats=["", "", "%Y", "%d %b %Y", "%d %b %Y", "%d %b %Y"],
    )
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(formatter)
    axes.xaxis.get_offset_text().set(fontsize=9, color=GREY)


def _add_legend(figure: Figure, panels: Iterable[Axes]) -> None:
    """Add one legend under all panels, with everything that any of them shows."""
    entries: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    figure.legend(
        entries.values(), entries.keys(), loc="outside lower left", ncols=max(1, len(entries))
    )
