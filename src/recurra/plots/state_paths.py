"""Trajectories of states along their principal components, with fixed points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recurra.plots.figure import COLOURS, new_figure, shortened, styled, verbatim

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["StateCloud", "plot_states"]


@dataclass(frozen=True)
class StateCloud:
    """What is drawn of a layer: `paths` of places (steps, 2), and points in the same axes.

    `points` have a place (2,), whether they are stable, and whether they are fixed (or slow).
    `shares` are those of the variance along both axes.
    """

    paths: Sequence[Any]
    points: Sequence[tuple[Any, bool, bool]]
    shares: tuple[float, float]


@styled
def plot_states(clouds: Mapping[str, StateCloud]) -> Figure:
    """Draw each layer's states; a path begins at its dot.

    Discs are attractors, crosses other fixed points; those of slow points are hollow.
    """
    columns = min(2, len(clouds))
    rows = -(-len(clouds) // columns)
    figure = new_figure(7.0 if columns > 1 else 5.0, 3.4 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, (name, cloud) in zip(panels, clouds.items(), strict=False):
        _draw(axes, cloud)
        axes.set_title(verbatim(shortened(name, 2.6)), fontsize=10)
    for axes in panels[len(clouds) :]:
        axes.set_visible(False)
    return figure


def _draw(axes: Axes, cloud: StateCloud) -> None:
    for path in cloud.paths:
        axes.plot(path[:, 0], path[:, 1], color=COLOURS[5], linewidth=0.9, alpha=0.8)
        axes.plot(path[:1, 0], path[:1, 1], "o", color=COLOURS[5], markersize=3.5)
    for place, is_stable, is_fixed in cloud.points:
        colour = COLOURS[0] if is_stable else COLOURS[1]
        axes.plot(
            [place[0]],
            [place[1]],
            "o" if is_stable else "X",
            color=colour if is_fixed else "none",
            markeredgecolor="white" if is_fixed else colour,
            markersize=8,
            zorder=5,
        )
    axes.set_xlabel(f"component 1 ({100 * cloud.shares[0]:.0f} % of the variance)")
    axes.set_ylabel(f"component 2 ({100 * cloud.shares[1]:.0f} %)")
