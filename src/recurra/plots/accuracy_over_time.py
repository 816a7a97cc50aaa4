"""Accuracy of early classification: against the share of the sequences that is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from recurra.plots.figure import (
    COLUMN,
    GREY,
    PAPER,
    add_title,
    legend_columns,
    line_style,
    new_figure,
    styled,
    verbatim,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["AccuracyCurve", "plot_accuracy_over_time"]

_LEAST_HEIGHT = 20
"""The axis of accuracies has so many percent at least."""

AccuracyCurve = tuple[Sequence[float], Sequence[float]]
"""Shares of the sequences that are read, from 0 to 1, and the accuracy after each of them."""


@styled
def plot_accuracy_over_time(
    curves: Mapping[str, AccuracyCurve],
    stops: Mapping[str, tuple[float, float]] | None = None,
    title: str = "",
) -> Figure:
    """Draw accuracies against the share that is read, one curve a name.

    `stops` are points by name: the mean share that a stopping rule reads, and its accuracy; one
    with the name of a curve has its colour. The dotted line is the accuracy at the end of the first
    curve. Raises ValueError where there is no point of a curve to draw.
    """
    from matplotlib.ticker import MaxNLocator

    if not any(len(shares) for shares, _ in curves.values()):
        raise ValueError("no accuracy to draw: give a curve of one point or more")
    figure = new_figure(COLUMN, 3.9)
    axes = figure.subplots()
    for index, (name, curve) in enumerate(curves.items()):
        _draw_curve(axes, name, curve, index)
    names = [*curves]
    for name, point in (stops or {}).items():
        _draw_stop(axes, name, point, names.index(name) if name in names else len(names))
    _draw_end(axes, curves)
    low, high = axes.dataLim.intervaly
    axes.set(xlim=(0, 102), xlabel="% of the sequence read", ylabel="% right")
    axes.set_ylim(max(0, min(low - 2, high - _LEAST_HEIGHT)), high + 2)
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True))
    labels = axes.get_legend_handles_labels()[1]
    figure.legend(loc="outside lower left", ncols=legend_columns(labels, COLUMN))
    add_title(figure, verbatim(title))
    return figure


def _draw_curve(axes: Axes, name: str, curve: AccuracyCurve, index: int) -> None:
    shares, accuracies = ([100 * value for value in values] for values in curve)
    marker = "o" if len(shares) == 1 else None
    style = line_style(index)
    axes.plot(shares, accuracies, label=verbatim(name), marker=marker, markersize=4, **style)


def _draw_end(axes: Axes, curves: Mapping[str, AccuracyCurve]) -> None:
    """Draw the last accuracy of the first curve that has one."""
    name, last = next((name, curve[1][-1]) for name, curve in curves.items() if len(curve[1]))
    label = f"{name}, at the end: {100 * last:.1f} %"
    axes.axhline(100 * last, color=GREY, linewidth=0.9, linestyle=":", label=verbatim(label))


def _draw_stop(axes: Axes, name: str, point: tuple[float, float], index: int) -> None:
    """Draw a point, whose figures are in the legend, where no curve passes."""
    share, accuracy = (100 * value for value in point)
    label = f"{name}, stopped early: {accuracy:.1f} % after {share:.0f} %"
    style = {"color": line_style(index)["color"], "markersize": 7, "markeredgecolor": PAPER}
    axes.plot(share, accuracy, "D", label=verbatim(label), clip_on=False, zorder=3, **style)
