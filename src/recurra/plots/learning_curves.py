"""Learning curves: of one run, of an ensemble's members, and of contenders with their table."""

from __future__ import annotations

import math
import statistics
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recurra.plots.figure import (
    COLOURS,
    COLUMN,
    GREY,
    GRID,
    INK,
    add_title,
    legend_columns,
    line_style,
    log_ticks,
    new_figure,
    styled,
    verbatim,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "ComparedCurves",
    "plot_compared",
    "plot_members",
    "plot_optimiser",
    "plot_table",
    "plot_training",
]

MetricsLine = Mapping[str, Any]
"""A line of metrics.jsonl."""

_LEGEND = 4
"""A legend has room for so many members."""
_APART = 0.06
"""Labels at the right edge are at least so far apart, as a share of its height."""


@styled
def plot_training(lines: Sequence[MetricsLine], unit: str = "loss") -> Figure:
    """Draw the training loss of a run over its steps, with the validation loss as dots.

    `lines` are those of metrics.jsonl. Raises ValueError where no step was logged.
    """
    steps, losses = _logged(lines, "loss")
    figure = new_figure(COLUMN, 3.6)
    axes = figure.subplots()
    axes.plot(steps, losses, _marker(steps), label="training", linewidth=1.4, markersize=4)
    if points := _validations(lines):
        axes.plot(*zip(*points, strict=True), "o-", label="validation", markersize=4)
    _label_steps(axes, verbatim(unit), steps)
    axes.legend()
    return figure


@styled
def plot_optimiser(lines: Sequence[MetricsLine]) -> Figure:
    """Draw learning rate and gradient norm of a run over its training steps.

    `lines` are those of metrics.jsonl. Raises ValueError where no step was logged.
    """
    figure = new_figure(COLUMN, 3.6)
    rate, norm = figure.subplots(2, 1, sharex=True)
    for axes, name in ((rate, "learning_rate"), (norm, "gradient_norm")):
        steps, values = _logged(lines, name)
        axes.plot(steps, values, _marker(steps), linewidth=1.4, markersize=4)
        axes.set_ylabel(name.replace("_", " "))
    rate.set_ylim(bottom=0)
    log_ticks(norm)
    _label_steps(norm, "gradient norm", steps)
    figure.align_ylabels()
    return figure


def _logged(lines: Sequence[MetricsLine], name: str) -> tuple[list[int], list[float]]:
    """Steps, and a number of each of them."""
    trained = [line for line in lines if "loss" in line]
    if not trained:
        raise ValueError("no curve to draw: no step was logged")
    return [line["step"] for line in trained], [line[name] for line in trained]


def _marker(steps: Sequence[int]) -> str:
    """A line; with a dot where it is of one point, and would not be seen."""
    return "-" if len(steps) > 1 else "o-"


def _label_steps(axes: Axes, unit: str, steps: Sequence[int]) -> None:
    axes.set_ylabel(unit)
    axes.set_xlabel("training step")
    axes.set_xlim(0, 1.02 * max(steps))


@styled
def plot_members(members: Mapping[str, Sequence[MetricsLine]], unit: str = "loss") -> Figure:
    """Draw training (thin) and validation (dots) of each member, named where there are few.

    Values are lines of metrics.jsonl. Raises ValueError where no step was logged.
    """
    logged = {
        name: lines
        for name, lines in members.items()
        if any("loss" in line or "validation" in line for line in lines)
    }
    if not logged:
        raise ValueError("no curve to draw: no step was logged")
    figure = new_figure(COLUMN, 3.6)
    axes = figure.subplots()
    for index, (name, lines) in enumerate(logged.items()):
        prefix = f"{verbatim(name)}: " if len(logged) > 1 else ""
        _draw_member(axes, prefix, lines, COLOURS[index % len(COLOURS)])
    steps = [line["step"] for lines in logged.values() for line in lines]
    _label_steps(axes, verbatim(unit), steps)
    if len(logged) <= _LEGEND:
        axes.legend(ncols=1 if len(logged) == 1 else 2, fontsize=8)
    return figure


def _draw_member(axes: Axes, prefix: str, lines: Sequence[MetricsLine], colour: str) -> None:
    if points := [(line["step"], line["loss"]) for line in lines if "loss" in line]:
        thin: dict[str, Any] = {"linewidth": 0.9, "alpha": 0.6, "color": colour, "markersize": 3.5}
        steps, losses = zip(*points, strict=True)
        axes.plot(steps, losses, _marker(steps), label=f"{prefix}training", **thin)
    if points := _validations(lines):
        dots: dict[str, Any] = {"linewidth": 1.6, "markersize": 3.5, "color": colour}
        axes.plot(*zip(*points, strict=True), "o-", label=f"{prefix}validation", **dots)


def _validations(lines: Sequence[MetricsLine]) -> list[tuple[int, float]]:
    found = [(line["step"], line.get("validation", {}).get("loss")) for line in lines]
    return [(step, loss) for step, loss in found if loss is not None]


@dataclass(frozen=True)
class ComparedCurves:
    """The curves of one contender: (step, loss) of each training, finished ones and diverged ones.

    A diverged training may have no point at all.
    """

    label: str
    finished: Sequence[Sequence[tuple[int, float]]]
    diverged: Sequence[Sequence[tuple[int, float]]] = ()


@styled
def plot_compared(
    contenders: Sequence[ComparedCurves],
    levels: Sequence[tuple[float, str]] = (),
    *,
    title: str = "",
    unit: str = "loss",
    source: str = "",
) -> Figure:
    """Draw loss against steps: for each contender the median, with a band for all its trainings.

    A cross is where a training diverged. `levels` are dashed lines with a label each, `source` is
    where their figures are from.
    """
    columns = legend_columns([one.label for one in contenders], 0.75 * COLUMN)
    rows = math.ceil(len(contenders) / columns)
    figure = new_figure(COLUMN, 4.4 + 0.2 * rows)
    axes = figure.subplots()
    for index, contender in enumerate(contenders):
        _draw_contender(axes, contender, line_style(index))
    axes.set_xlim(left=0)
    axes.set_xlabel("training steps")
    axes.set_ylabel(verbatim(unit))
    axes.grid(axis="y")
    for value, _ in levels:
        axes.axhline(value, color=GREY, linestyle="--", linewidth=0.8, zorder=1)
    log_ticks(axes)
    _write_levels(axes, sorted(levels))
    if source:
        _write_source(axes, source)
    add_title(figure, verbatim(title))
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns)
    return figure


def _draw_contender(axes: Axes, contender: ComparedCurves, style: dict[str, Any]) -> None:
    label, colour = verbatim(contender.label), style["color"]
    curves = [dict(curve) for curve in contender.finished if curve]
    if curves:
        steps = sorted(set.intersection(*(set(curve) for curve in curves)))
        values = [sorted(curve[step] for curve in curves) for step in steps]
        middle = [statistics.median(column) for column in values]
        axes.plot(steps, middle, linewidth=1.6, label=label, **style)
        low, high = [column[0] for column in values], [column[-1] for column in values]
        axes.fill_between(steps, low, high, color=colour, alpha=0.18, linewidth=0)
    for index, curve in enumerate(contender.diverged):
        name = f"{label}: diverged" if index == 0 and not curves else None
        points = curve or [(0, math.nan)]
        dotted: dict[str, Any] = {"linewidth": 1, "linestyle": ":", "label": name}
        axes.plot(*zip(*points, strict=True), color=colour, **dotted)
        axes.plot(*points[-1], "x", color=colour, markersize=8, markeredgewidth=2)


def _write_source(axes: Axes, source: str) -> None:
    axes.annotate(
        f"dashed: {verbatim(source)}",
        (1, 0),
        xytext=(0, -38),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=8,
        color=GREY,
    )


def _write_levels(axes: Axes, levels: Sequence[tuple[float, str]]) -> None:
    """Write labels beside the axes, moved where they would overlap."""
    # Fixed here, since the labels' places follow from the limits.
    low, high = (math.log(value) for value in axes.get_ylim())
    axes.set_ylim(axes.get_ylim())
    wanted = [(math.log(value) - low) / (high - low) for value, _ in levels]
    for (_, text), place, level in zip(levels, _spread_apart(wanted), wanted, strict=True):
        axes.annotate(
            verbatim(text),
            (1, level),
            xytext=(1.03, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            fontsize=8,
            color=GREY,
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.6},
            annotation_clip=False,
        )


def _spread_apart(wanted: Sequence[float]) -> list[float]:
    """Move sorted places that are too close: each such group is spread about its middle.

    >>> [round(place, 2) for place in _spread_apart([0.1, 0.5, 0.5])]
    [0.1, 0.47, 0.53]
    """
    groups: list[list[float]] = []
    for place in wanted:
        groups.append([place])
        while len(groups) > 1 and _places(groups[-2])[-1] + _APART > _places(groups[-1])[0]:
            groups[-2:] = [groups[-2] + groups[-1]]
    return [place for group in groups for place in _places(group)]


def _places(group: Sequence[float]) -> list[float]:
    middle = sum(group) / len(group)
    return [middle + _APART * (index - (len(group) - 1) / 2) for index in range(len(group))]


@styled
def plot_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    others: Sequence[Sequence[str]] = (),
    notes: Sequence[str] = (),
) -> Figure:
    """Draw a table of contenders, beside each name its line of the learning curves.

    `others` are rows below that have no line, `notes` are written under the table. The first column
    is aligned to the left, the others to the right.
    """
    written = [line for note in notes for line in textwrap.wrap(note, 130)]
    lines = [columns, *rows, *others]
    height = 0.34 * len(lines) + 0.2 * len(written) + 0.5
    figure = new_figure(12, height)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0.01, 0, 0.98, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(height, 0))
    edges = _column_edges(lines)
    for index, cells in enumerate(lines):
        y, is_row = 0.35 + 0.34 * index, 0 < index <= len(rows)
        _write_cells(axes, cells, edges, y, INK if is_row else GREY)
        if is_row:
            axes.plot([0, 0.016], [y, y], linewidth=3, clip_on=False, **line_style(index - 1))
        axes.axhline(y + 0.17, color=GREY if index in (0, len(rows)) else GRID, lw=0.7)
    for index, note in enumerate(written):
        y = 0.35 + 0.34 * len(lines) + 0.2 * index
        axes.text(0, y, verbatim(note), fontsize=8, color=GREY, va="center")
    return figure


def _column_edges(lines: Sequence[Sequence[str]]) -> list[float]:
    """The right edge of each column, which is as wide as its longest text."""
    widths = [max(len(line[column]) for line in lines) + 3 for column in range(len(lines[0]))]
    return [sum(widths[: column + 1]) / sum(widths) for column in range(len(widths))]


def _write_cells(
    axes: Axes, cells: Sequence[str], edges: Sequence[float], y: float, colour: str
) -> None:
    style: dict[str, Any] = {"va": "center", "fontsize": 10, "color": colour}
    axes.text(0.022, y, verbatim(cells[0]), **style)
    for text, edge in zip(cells[1:], edges[1:], strict=True):
        axes.text(edge, y, verbatim(text), ha="right", **style)
