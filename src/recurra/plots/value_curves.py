"""Actual and predicted values of series, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.plots.figure import (
    COLOURS,
    COLUMN,
    INK,
    add_title,
    new_figure,
    shortened,
    styled,
    verbatim,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ValueCurve", "plot_value_curves"]


@dataclass(frozen=True, eq=False)
class ValueCurve:
    """One series: `steps`, `actual` (NaN where unknown) and `predicted` values, all (T,).

    `band` is the lower and the upper end of an interval, (T,) each.
    """

    title: str
    steps: Any
    actual: Any
    predicted: Any
    band: tuple[Any, Any] | None = None


@styled
def plot_value_curves(curves: Sequence[ValueCurve], title: str = "") -> Figure:
    """Draw a panel for each series: actual values, predicted ones, and the band about them.

    Raises ValueError where there is none.
    """
    if not curves:
        raise ValueError("no curve to draw: give one or more")
    figure = new_figure(2 * COLUMN, 2.2 * len(curves) + 0.4)
    panels = figure.subplots(len(curves), squeeze=False)[:, 0]
    for axes, curve in zip(panels, curves, strict=True):
        _draw(axes, curve)
    panels[-1].set_xlabel("step")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=3)
    add_title(figure, verbatim(title))
    return figure


def _draw(axes: Axes, curve: ValueCurve) -> None:
    actual = np.asarray(curve.actual, np.float64)
    neighbours = np.isfinite(actual[1:]) & np.isfinite(actual[:-1])
    rare = not neighbours.any()
    style = {"linestyle": "none", "marker": ".", "markersize": 4} if rare else {"linewidth": 1.1}
    if curve.band is not None:
        axes.fill_between(
            curve.steps, *curve.band, color=COLOURS[0], alpha=0.18, linewidth=0, label="interval"
        )
    axes.plot(curve.steps, actual, color=INK, label="actual", **style)
    axes.plot(curve.steps, curve.predicted, color=COLOURS[0], linewidth=1.1, label="predicted")
    axes.set_title(verbatim(shortened(curve.title, 2 * COLUMN - 1)), loc="left")
    axes.margins(x=0.01)
