"""Reliability of confidences: the share that is right for each confidence, and their numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from recurra.plots.figure import (
    COLUMN,
    GREY,
    add_title,
    line_style,
    new_figure,
    styled,
    verbatim,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["BinPoint", "plot_reliability"]

BinPoint = tuple[float, float, int]
"""Of a bin of confidences: their mean, the share that is right, and their number."""

_MARKERS = "osD^vP"


@styled
def plot_reliability(curves: Mapping[str, Sequence[BinPoint]], title: str = "") -> Figure:
    """Draw the share that is right against the confidence, one curve a name; numbers lie below.

    A curve on the diagonal is calibrated; below it, confidences are too high. Raises ValueError
    where there is no bin to draw.
    """
    if not any(curves.values()):
        raise ValueError("no bins of confidences to draw: give one or more")
    figure = new_figure(COLUMN, 4.6)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot((0, 1), (0, 1), color=GREY, linewidth=0.9, linestyle=":", label="ideal")
    for index, (name, bins) in enumerate(curves.items()):
        _draw_curve(above, below, bins, verbatim(name), index)
    above.set(xlim=(0, 1), ylim=(0, 1), ylabel="share right")
    above.legend(fontsize=8, loc="upper left")
    below.set(xlabel="confidence", ylabel="number", ylim=(0, None))
    add_title(figure, verbatim(title))
    return figure


def _draw_curve(above: Axes, below: Axes, bins: Sequence[BinPoint], label: str, index: int) -> None:
    style = line_style(index) | {"marker": _MARKERS[index % len(_MARKERS)], "markersize": 4}
    confidences, shares, counts = zip(*bins, strict=True) if bins else ((), (), ())
    above.plot(confidences, shares, label=label, **style)
    below.plot(confidences, counts, **style)
