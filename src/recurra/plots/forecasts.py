"""Forecasts of series with their bands, and observations that were a surprise."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.plots.figure import COLOURS, GREY, INK, clean, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Course", "Surprises", "plot_anomalies", "plot_forecasts"]

POINT, ODD = COLOURS[0], COLOURS[1]
LIGHTEST, DARKEST = 0.16, 0.42
"""How much of the point forecast's colour the widest and the narrowest band have."""


@dataclass(frozen=True, eq=False)
class Course:
    """One series: what was known, what was forecast, and what came where that is known.

    `stamps` (T,) and `ahead` (H,) are datetime64 or numbers, `known` (T,), `point` (H,) and `truth`
    (H,) floats, NaN where there is nothing. `bands` is percent -> its lower and upper bound, (H,)
    each. A `note` stands small beside the title.
    """

    title: str
    stamps: Any
    known: Any
    ahead: Any
    point: Any
    bands: Mapping[float, tuple[Any, Any]] = field(default_factory=dict)
    truth: Any = None
    note: str = ""


@dataclass(frozen=True, eq=False)
class Surprises:
    """One series and how surprising each observation was: `stamps`, `values` and `scores` (T,).

    `low` and `high` (T,) bound what was expected one step before, where that is known.
    """

    title: str
    stamps: Any
    values: Any
    scores: Any
    low: Any = None
    high: Any = None


def plot_forecasts(courses: Sequence[Course], title: str = "", unit: str = "") -> Figure:
    """One panel a series: history, point forecast, bands from light (wide) to dark (narrow).

    `unit` is what the values are of. Raises ValueError where there is no series.
    """
    if not courses:
        raise ValueError("no series to draw: give one or more")
    columns = 1 if len(courses) == 1 else 2
    rows = math.ceil(len(courses) / columns)
    figure = new_figure(10.5, 0.75 + (3.3 if len(courses) == 1 else 2.35) * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, course in zip(panels, courses, strict=False):
        _course(axes, course, unit)
    for axes in panels[len(courses) :]:
        axes.axis("off")
    _legend(figure, panels[: len(courses)])
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
    return figure


def plot_anomalies(
    series: Sequence[Surprises], title: str = "", unit: str = "", threshold: float = 3.0
) -> Figure:
    """Each series above its scores; dots mark the observations of `threshold` and more.

    Raises ValueError where there is no series.
    """
    if not series:
        raise ValueError("no series to draw: give one or more")
    figure = new_figure(10.5, 0.75 + 3.0 * len(series))
    heights = (3, 1) * len(series)
    panels = figure.subplots(2 * len(series), 1, squeeze=False, height_ratios=heights)[:, 0]
    for index, one in enumerate(series):
        above, below = panels[2 * index : 2 * index + 2]
        _values(above, one, threshold, unit)
        _scores(below, one, threshold)
        below.sharex(above)
        above.tick_params(labelbottom=False)
    _legend(figure, panels[::2])
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
    return figure


def _course(axes: Axes, course: Course, unit: str) -> None:
    axes.plot(course.stamps, course.known, color=INK, linewidth=1, label="observed")
    start = _start(course)
    ahead = np.concatenate([start[0], course.ahead])
    for percent, colour in _shades(course.bands):
        low, high = (np.concatenate([start[1], bound]) for bound in course.bands[percent])
        axes.fill_between(
            ahead, low, high, color=colour, linewidth=0, label=f"{percent:g} % interval"
        )
    if course.truth is not None:
        axes.plot(ahead, np.concatenate([start[1], course.truth]), color=INK, linewidth=1)
    point = np.concatenate([start[1], course.point])
    marker = "o" if len(course.point) == 1 else None
    axes.plot(ahead, point, color=POINT, linewidth=1.8, marker=marker, ms=4, label="forecast")
    if len(course.stamps):
        axes.axvline(course.stamps[-1], color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
    _dress(axes, course.title, unit)
    axes.set_title(course.note, loc="right", fontsize=8.5, color=GREY)


def _start(course: Course) -> tuple[Any, Any]:
    """The last observation, from which forecasts set out; nothing where it is missing."""
    there = len(course.known) > 0 and bool(np.isfinite(course.known[-1]))
    return (course.stamps[-1:], course.known[-1:]) if there else (course.ahead[:0], np.empty(0))


def _shades(bands: Mapping[float, Any]) -> list[tuple[float, tuple[float, ...]]]:
    """Each band's colour, the widest first and lightest."""
    from matplotlib.colors import to_rgb

    widest = sorted(bands, reverse=True)
    shares = np.linspace(LIGHTEST, DARKEST, max(2, len(widest)))
    return [
        (percent, tuple(1 - share * (1 - part) for part in to_rgb(POINT)))
        for percent, share in zip(widest, shares, strict=False)
    ]


def _values(axes: Axes, one: Surprises, threshold: float, unit: str) -> None:
    if one.low is not None and one.high is not None:
        light = _shades({0: None})[0][1]
        axes.fill_between(
            one.stamps, one.low, one.high, color=light, linewidth=0, label="expected a step before"
        )
    axes.plot(one.stamps, one.values, color=INK, linewidth=0.9, label="observed")
    odd = np.flatnonzero(np.asarray(one.scores) >= threshold)
    axes.plot(
        np.asarray(one.stamps)[odd],
        np.asarray(one.values)[odd],
        "o",
        color=ODD,
        markersize=5,
        markeredgecolor="white",
        markeredgewidth=0.6,
        label=f"score of {threshold:g} and more",
    )
    _dress(axes, one.title, unit)


def _scores(axes: Axes, one: Surprises, threshold: float) -> None:
    axes.vlines(one.stamps, 0, np.nan_to_num(one.scores), color=GREY, linewidth=0.8)
    odd = np.asarray(one.scores) >= threshold
    axes.vlines(np.asarray(one.stamps)[odd], 0, np.asarray(one.scores)[odd], color=ODD)
    axes.axhline(threshold, color=ODD, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_ylim(0, 1.1 * max(threshold, float(np.nanmax(one.scores, initial=0))))
    _dress(axes, "", "score", ticks=3)


def _dress(axes: Axes, title: str, unit: str, ticks: int = 5) -> None:
    from matplotlib.dates import AutoDateLocator
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    if isinstance(axes.xaxis.get_major_locator(), AutoDateLocator):
        _date(axes)
    axes.yaxis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axes.set_title(title.replace("$", r"\$"), loc="left", fontsize=10, color=INK)
    axes.set_ylabel(unit.replace("$", r"\$"), fontsize=9, color=INK)
    axes.margins(x=0.01)
    clean(axes)


def _date(axes: Axes) -> None:
    """Few stamps, each with as much of its date as tells it from the others: 27 Jul, 06:00."""
    from matplotlib import dates

    made: Any = dates  # it is untyped
    locator = made.AutoDateLocator(minticks=3, maxticks=7, interval_multiples=False)
    formatter = made.ConciseDateFormatter(
        locator,
        formats=["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%H:%M:%S"],
        zero_formats=["%Y", "%b %Y", "%d %b", "%d %b", "%H:%M", "%H:%M"],
        offset_formats=["", "", "%Y", "%d %b %Y", "%d %b %Y", "%d %b %Y"],
    )
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(formatter)
    axes.xaxis.get_offset_text().set(fontsize=9, color=GREY)


def _legend(figure: Figure, panels: Iterable[Axes]) -> None:
    """One legend under all panels, of everything that any of them shows."""
    found: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    figure.legend(
        found.values(),
        found.keys(),
        loc="outside lower left",
        ncols=len(found),
        frameon=False,
        fontsize=9,
    )
