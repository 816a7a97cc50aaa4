"""The network unfolded in time, with its values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.plots.figure import GREY, INK, new_figure, readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Row", "plot_unfolded"]

UNITS = 6
"""So many units are shown of each row, spread over all that there are."""
SIDE, GAP = 0.62, 0.62
"""Width of a column's squares, and the height between two rows, in columns."""
THIN, THICK = 0.4, 5.0


@dataclass(frozen=True, eq=False)
class Row:
    """One row of an unfolded network: the input, the states of a layer and direction, the output.

    `values` (T, size). A layer has `gradient` (T,), the norm of dL/dh_t, which gives the arrows
    between its steps their thickness; `reverse` turns them round.
    """

    name: str
    values: Any
    gradient: Any = None
    reverse: bool = False


def plot_unfolded(
    rows: Sequence[Row],
    labels: Sequence[str] = (),
    predictions: Sequence[str] = (),
    title: str = "The network unfolded in time",
) -> Figure:
    """Steps as columns, the first of `rows` at the bottom, units as squares coloured by value.

    Arrows go up from row to row and along time in each row that has a gradient: the thicker, the
    more of the gradient passes (a logarithm's scale). `labels` stand under the columns,
    `predictions` above them.
    """
    arrays = [_chosen(row.values) for row in rows]
    steps = len(arrays[0])
    heights = [a.shape[1] * SIDE * 0.55 for a in arrays]
    bottoms = np.concatenate([[0], np.cumsum([h + GAP for h in heights])[:-1]])
    top = float(bottoms[-1] + heights[-1])
    figure = new_figure(min(14, 1.6 + 0.82 * steps), 1.5 + 0.72 * top)
    axes = figure.subplots()
    image = None
    for index, (row, array) in enumerate(zip(rows, arrays, strict=True)):
        image = _squares(axes, array, float(bottoms[index]), heights[index])
        middle = float(bottoms[index]) + heights[index] / 2
        axes.text(-0.75, middle, row.name, ha="right", va="center", fontsize=10, color=INK)
        if row.gradient is not None:
            _along(axes, row, middle)
        if index and not _is_beside(rows[index - 1], row):
            _up(axes, steps, float(bottoms[index - 1]) + heights[index - 1], float(bottoms[index]))
    _text(axes, labels, -0.28, "top")
    _text(axes, predictions, top + 0.28, "bottom")
    axes.set_xlim(-0.8, steps - 0.35)
    axes.set_ylim(-0.75, top + 0.75)
    axes.set_aspect("equal")
    axes.axis("off")
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    assert image is not None
    _bar(figure, axes, image)
    return figure


def _bar(figure: Figure, axes: Axes, image: Any) -> None:
    bar = figure.colorbar(image, ax=axes, fraction=0.012, pad=0.01, aspect=30, ticks=[-1, 0, 1])
    bar.ax.set_yticklabels(["negative", "0", "positive"], fontsize=8)
    bar.outline.set_visible(False)


def _chosen(values: Any) -> Any:
    """At most UNITS columns, scaled so that the largest magnitude is 1."""
    array = np.asarray(values, dtype=float)
    count = array.shape[1]
    if count > UNITS:
        # Those that vary most have most to show.
        array = array[:, np.sort(np.argsort(-array.std(0), kind="stable")[:UNITS])]
    return array / max(float(np.abs(array).max()), 1e-12)


def _squares(axes: Axes, array: Any, bottom: float, height: float) -> Any:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    side = height / array.shape[1]
    patches = [
        Rectangle((t - SIDE / 2, bottom + unit * side), SIDE, side)
        for t in range(len(array))
        for unit in range(array.shape[1])
    ]
    squares = PatchCollection(patches, cmap="RdBu_r", edgecolor="white", linewidth=0.8)
    squares.set_array(array.flatten())
    squares.set_clim(-1, 1)
    axes.add_collection(squares)
    for t in range(len(array)):
        frame = Rectangle((t - SIDE / 2, bottom), SIDE, height, fill=False, edgecolor=GREY, lw=0.8)
        axes.add_patch(frame)
    return squares


def _along(axes: Axes, row: Row, middle: float) -> None:
    """Arrows from each step to the next."""
    gradient = np.asarray(row.gradient, dtype=float)
    for t in range(len(gradient) - 1):
        start, end, passes = (t + 1, t, gradient[t + 1]) if row.reverse else (t, t + 1, gradient[t])
        sign = -1 if row.reverse else 1
        _arrow(
            axes,
            (start + sign * SIDE / 2, middle),
            (end - sign * SIDE / 2, middle),
            _width(passes, gradient),
        )


def _width(passes: float, gradient: Any) -> float:
    """A line's width: three decades of the gradient lie between thin and thick."""
    largest = float(np.max(gradient))
    if not passes > 0 or largest == 0:
        return THIN
    share = 1 + np.log10(passes / largest) / 3
    return THIN + (THICK - THIN) * float(np.clip(share, 0, 1))


def _up(axes: Axes, steps: int, start: float, end: float) -> None:
    for t in range(steps):
        _arrow(axes, (t, start), (t, end), 0.8, GREY)


def _arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    width: float,
    colour: str = INK,
) -> None:
    axes.annotate(
        "",
        xy=end,
        xytext=start,
        arrowprops={
            "arrowstyle": f"-|>,head_length={0.25 + width * 0.06},head_width={0.1 + width * 0.045}",
            "color": colour,
            "lw": width,
            "shrinkA": 0,
            "shrinkB": 0,
            "joinstyle": "miter",
        },
    )


def _is_beside(below: Row, row: Row) -> bool:
    """Whether two rows are the directions of one layer, which don't read one another."""
    return row.reverse and not below.reverse and below.gradient is not None


def _text(axes: Axes, labels: Sequence[str], height: float, side: str) -> None:
    for t, label in enumerate(labels):
        axes.text(
            t, height, readable(label), ha="center", va=side, fontsize=11, family="monospace",
            color=INK,
        )  # fmt: skip
