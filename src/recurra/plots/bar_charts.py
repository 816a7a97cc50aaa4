"""Bars of benchmarks: ratios at the points of a grid, shares of the peak below them, and costs."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from recurra.plots.figure import COLOURS, GREY, INK, add_title, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["CostBars", "RatioBars", "plot_bars"]

BAR_COLOURS = (COLOURS[0], COLOURS[4], COLOURS[2], COLOURS[3])
"""Neighbouring bars differ in lightness, too."""

LEAST_WIDTH, POINT_WIDTH, CAPTION_HEIGHT = 8.0, 0.5, 0.7
RATIO_HEIGHT, SHARE_HEIGHT = 2.3, 1.3
COST_HEIGHT, COST_EDGES = 0.32, 0.9


@dataclass(frozen=True)
class RatioBars:
    """One panel of ratios: bars of each series at each point of a grid, a line at 1.

    `points` are (group, name) of each point. `shares` are percentages of the peak by series, drawn
    as bars in a panel below; `rival_shares` are those of the rival `rival`, drawn as marks.
    """

    title: str
    unit: str
    points: Sequence[tuple[str, str]]
    ratios: Mapping[str, Sequence[float]]
    shares: Mapping[str, Sequence[float]] = field(default_factory=dict)
    rival_shares: Mapping[str, Sequence[float]] = field(default_factory=dict)
    rival: str = ""

    @property
    def heights(self) -> tuple[float, ...]:
        """The heights of its panels, in inches."""
        return (RATIO_HEIGHT, SHARE_HEIGHT) if self.shares else (RATIO_HEIGHT,)


@dataclass(frozen=True)
class CostBars:
    """One panel of costs in percent: horizontal bars of each series for each of `names`."""

    title: str
    unit: str
    names: Sequence[str]
    costs: Mapping[str, Sequence[float]]

    @property
    def heights(self) -> tuple[float, ...]:
        """The height of its panel, in inches."""
        return (COST_HEIGHT * len(self.names) + COST_EDGES,)


@styled
def plot_bars(panels: Sequence[RatioBars | CostBars], caption: str, below: str) -> Figure:
    """Draw the panels one below another; `below` names the points, at the left of their names."""
    heights = [height for panel in panels for height in panel.heights]
    widest = max((len(panel.points) for panel in panels if isinstance(panel, RatioBars)), default=0)
    width = max(LEAST_WIDTH, POINT_WIDTH * widest + 1.5)
    figure = new_figure(width, sum(heights) + CAPTION_HEIGHT)
    add_title(figure, "\n".join(textwrap.wrap(caption, int(width * 13))))
    places = iter(figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0])
    for panel in panels:
        if isinstance(panel, CostBars):
            _draw_costs(panel, next(places))
        else:
            _draw_ratios(panel, [next(places) for _ in panel.heights], widest, below)
    return figure


def _draw_ratios(panel: RatioBars, places: Sequence[Axes], widest: int, below: str) -> None:
    above = places[0]
    for index, (name, values, at, width) in enumerate(_bars(panel.ratios)):
        bars = above.bar(at, values, width, color=BAR_COLOURS[index % len(BAR_COLOURS)], label=name)
        above.bar_label(bars, fmt="%.2g", fontsize=7, padding=1)
    above.axhline(1, color=INK, linewidth=0.8)
    above.margins(y=0.12)
    above.set_ylabel(panel.unit, fontsize=9)
    above.set_title(panel.title)
    above.legend(ncols=2, fontsize=8, loc="lower right", bbox_to_anchor=(1, 0.98))
    if panel.shares:
        _draw_shares(panel, places[1])
    for axes in places:
        axes.set_xlim(-0.5, widest - 0.5)
        _label_points(axes, panel.points, below if axes is places[-1] else None)


def _draw_shares(panel: RatioBars, axes: Axes) -> None:
    marks = []
    for index, (name, values, at, width) in enumerate(_bars(panel.shares)):
        axes.bar(at, values, width, color=BAR_COLOURS[index % len(BAR_COLOURS)])
        rival = panel.rival_shares[name]
        marks += axes.plot(at, rival, "_", color=INK, ms=8, mew=1.6, label=panel.rival)
    axes.set_ylim(0, 100)
    axes.set_yticks((0, 25, 50, 75, 100))
    axes.grid(axis="y")
    axes.set_ylabel("% of FMA peak", fontsize=9)
    axes.legend(handles=marks[:1], fontsize=8, loc="upper left")


def _bars(
    series: Mapping[str, Sequence[float]],
) -> list[tuple[str, Sequence[float], list[float], float]]:
    """Of each series its name, values, and the places and the width of its bars."""
    width = 0.4
    shift = -width * (len(series) - 1) / 2
    return [
        (name, values, [n + shift + width * place for n in range(len(values))], width * 0.92)
        for place, (name, values) in enumerate(series.items())
    ]


def _label_points(axes: Axes, points: Sequence[tuple[str, str]], below: str | None) -> None:
    """Draw a line between groups; under the lowest bars write names, and under those the groups."""
    names = [name if below is not None else "" for _, name in points]
    axes.set_xticks(range(len(points)), names, fontsize=8)
    members: dict[str, list[int]] = {}
    for n, (group, _) in enumerate(points):
        members.setdefault(group, []).append(n)
    for group, places in members.items():
        if places[0]:
            axes.axvline(places[0] - 0.5, color=GREY, linewidth=0.6)
        if below is not None:
            _write_below(axes, group, sum(places) / len(places), 18)
    if below is not None:
        _write_below(axes, below, -0.75, 5)


def _write_below(axes: Axes, text: str, place: float, points_down: int) -> None:
    axes.annotate(
        text,
        (place, 0),
        xytext=(0, -points_down),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=8,
        annotation_clip=False,
    )


def _draw_costs(panel: CostBars, axes: Axes) -> None:
    width = 0.8 / len(panel.costs)
    for index, (label, values) in enumerate(panel.costs.items()):
        shift = width * (index - (len(panel.costs) - 1) / 2)
        places = [n + shift for n in range(len(panel.names))]
        colour = BAR_COLOURS[index % len(BAR_COLOURS)]
        bars = axes.barh(places, values, width * 0.92, color=colour, label=label)
        axes.bar_label(bars, fmt="%.0f", fontsize=7, padding=2)
    axes.set_yticks(range(len(panel.names)), panel.names, fontsize=8)
    axes.invert_yaxis()
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.margins(x=0.08)
    axes.set_xlabel(panel.unit, fontsize=9, loc="left")
    axes.set_title(panel.title)
    # Beside the label, below the numbers: 2.2 lines of text under the axis.
    axes.legend(ncols=4, fontsize=8, loc="upper right", bbox_to_anchor=(1, 0), borderaxespad=2.2)
