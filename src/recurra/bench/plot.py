"""One picture of what was measured: times faster, below it the share of the peak; and costs."""

import importlib.util
import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recurra.bench.catalogue import RECURRA, Suite
from recurra.bench.plot_costs import costs_height, draw_costs
from recurra.bench.results import Result, Row
from recurra.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["check_plot", "figure_of", "picture"]

SUFFIXES = (".png", ".svg", ".pdf")
DARK, LIGHT = "#2f6db5", "#e39a4d"
COLOURS = {"training": DARK, "training loop": DARK, "forward": LIGHT, "one step": LIGHT}
LEAST_WIDTH, POINT_WIDTH, HEADER_HEIGHT = 8.0, 0.5, 0.7
RATIO_HEIGHT, SHARE_HEIGHT = 2.3, 1.3


@dataclass(frozen=True)
class Panel:
    """A layer in a suite: its rows by the work that was measured."""

    result: Result
    layer: str
    groups: dict[str, list[Row]]

    @property
    def points(self) -> int:
        """How many there are on the axis, which of costs is another; each work has all of them."""
        return 0 if self.result.suite.is_of_costs else len(next(iter(self.groups.values())))


def check_plot(path: Path, suites: Sequence[Suite]) -> None:
    """Raise ConfigError for a name that says no format, and for suites that have no ratio to draw;
    MissingExtra without matplotlib.
    """
    if not any(suite.ratios for suite in suites):
        names = ", ".join(suite.name for suite in suites)
        raise ConfigError(
            f"There is no ratio to draw in {names}; add the suite layers, or no plot."
        )
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"{path}: a plot's name ends in {', '.join(SUFFIXES)}; give it one.")
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtra("matplotlib", "plot", "Drawing what was measured")


def picture(results: Sequence[Result], caption: str, suffix: str) -> bytes:
    """The figure as a file's content; `suffix` is its format: .png, .svg or .pdf."""
    file = io.BytesIO()
    figure = figure_of(results, caption)
    figure.savefig(file, format=suffix.removeprefix("."), dpi=120)
    return file.getvalue()


def figure_of(results: Sequence[Result], caption: str) -> "Figure":
    """A panel for each suite and layer, of the suites that have a ratio; at least one has.

    Bars are the ratio at each point; below, where the suite knows it, bars are Recurra's share of
    the peak and marks the other contender's.
    """
    from matplotlib.figure import Figure

    panels = [panel for result in results if result.suite.ratios for panel in _panels(result)]
    heights = [height for panel in panels for height in _heights(panel)]
    widest = max(panel.points for panel in panels)
    width = max(LEAST_WIDTH, POINT_WIDTH * widest + 1.5)
    figure = Figure(figsize=(width, sum(heights) + HEADER_HEIGHT), layout="constrained")
    lines = textwrap.wrap(caption, int(width * 13))
    figure.suptitle("\n".join(lines), fontsize=9, x=0.01, ha="left")
    axes = iter(figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0])
    for panel in panels:
        _draw(panel, [next(axes) for _ in _heights(panel)], widest)
    return figure


def _panels(result: Result) -> list[Panel]:
    panels: dict[str, Panel] = {}
    for (layer, work), rows in result.groups().items():
        panels.setdefault(layer, Panel(result, layer, {})).groups[work] = rows
    return list(panels.values())


def _heights(panel: Panel) -> tuple[float, ...]:
    if panel.result.suite.is_of_costs:
        return (costs_height(panel.groups),)
    return (RATIO_HEIGHT, SHARE_HEIGHT) if panel.result.suite.has_share else (RATIO_HEIGHT,)


def _draw(panel: Panel, places: Sequence["Axes"], widest: int) -> None:
    suite = panel.result.suite
    if suite.is_of_costs:
        title = f"{suite.name}: {panel.layer}, cost in training"
        draw_costs(panel.groups, suite.ratios[0], title, places[0])
        return
    _draw_ratio(panel, places[0])
    if suite.has_share:
        _draw_share(panel, places[1])
    for axes in places:
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(-0.5, widest - 0.5)
        _part_batches(axes, next(iter(panel.groups.values())), is_lowest=axes is places[-1])


def _draw_ratio(panel: Panel, axes: "Axes") -> None:
    ratio = panel.result.suite.ratios[0]
    for work, rows, places, width in _bars(panel):
        values = [row.ratio(ratio) for row in rows]
        bars = axes.bar(places, values, width, color=COLOURS[work], label=work)
        axes.bar_label(bars, fmt="%.2g", fontsize=7, padding=1)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.margins(y=0.12)
    axes.set_ylabel(f"times {ratio.label}", fontsize=9)
    title = f"{panel.result.suite.name}: {panel.layer}, {ratio.ours} against {ratio.theirs}"
    axes.set_title(title, loc="left", fontsize=11)
    axes.legend(ncols=2, frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 0.98))


def _draw_share(panel: Panel, axes: "Axes") -> None:
    theirs = panel.result.suite.ratios[0].theirs
    marks = []
    for work, rows, places, width in _bars(panel):
        shares = {
            name: [100 * (panel.result.share(row, name) or 0) for row in rows]
            for name in (RECURRA, theirs)
        }
        axes.bar(places, shares[RECURRA], width, color=COLOURS[work])
        marks += axes.plot(places, shares[theirs], "_", color="black", ms=8, mew=1.6, label=theirs)
    axes.set_ylim(0, 100)
    axes.set_yticks((0, 25, 50, 75, 100))
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_ylabel("% of FMA peak", fontsize=9)
    axes.legend(handles=marks[:1], frameon=False, fontsize=8, loc="upper left")


def _bars(panel: Panel) -> list[tuple[str, list[Row], list[float], float]]:
    """Of each work: its rows, where their bars stand, and how wide those are."""
    width = 0.4
    shift = -width * (len(panel.groups) - 1) / 2
    return [
        (work, rows, [n + shift + width * place for n in range(len(rows))], width * 0.92)
        for place, (work, rows) in enumerate(panel.groups.items())
    ]


def _part_batches(axes: "Axes", rows: Sequence[Row], *, is_lowest: bool) -> None:
    """A line between batches; under the lowest bars the sizes, and under those B and T."""
    names = [str(row.point.size) if is_lowest else "" for row in rows]
    axes.set_xticks(range(len(rows)), names, fontsize=8)
    among: dict[str, list[int]] = {}
    for n, row in enumerate(rows):
        among.setdefault(f"B {row.point.batch}, T {row.point.steps}", []).append(n)
    for text, points in among.items():
        if points[0]:
            axes.axvline(points[0] - 0.5, color="#bbbbbb", linewidth=0.8)
        if is_lowest:
            _write_below(axes, text, sum(points) / len(points), 18)
    if is_lowest:
        _write_below(axes, "I = H", -0.75, 5)


def _write_below(axes: "Axes", text: str, place: float, points_down: int) -> None:
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
