"""Values of units over time: the network unfolded, and gates as heat maps."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.plots.figure import (
    GREY,
    INK,
    PAPER,
    add_title,
    new_figure,
    styled,
    verbatim,
    visible,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["UnfoldedRow", "plot_gates", "plot_unfolded"]

DIVERGING, SEQUENTIAL = "RdBu_r", "viridis"
"""Colour maps that colour-blind readers can read (ColorBrewer's, and matplotlib's own)."""

UNITS = 6
"""At most so many units of each row are shown, those that vary most."""
SIDE, GAP = 0.62, 0.62
"""Width of a column's squares, and the height between two rows, in columns."""
THIN, THICK = 0.4, 5.0
"""Line widths of the arrows along time."""

HEAT_UNITS = 48
"""At most so many units of each value are shown in a heat map, spread over all that there are."""
HEAT_LABELS = 120
"""At most so many labels stand under a heat map; of more, some are left out."""


@dataclass(frozen=True, eq=False)
class UnfoldedRow:
    """One row of an unfolded network: the input, the states of a layer and direction, the output.

    `values` (T, size). A layer has `gradient` (T,), the norm of dL/dh_t, which gives the arrows
    between its steps their thickness; `reverse` reverses them.
    """

    name: str
    values: Any
    gradient: Any = None
    reverse: bool = False


@styled
def plot_unfolded(
    rows: Sequence[UnfoldedRow],
    labels: Sequence[str] = (),
    predictions: Sequence[str] = (),
    title: str = "The network unfolded in time",
) -> Figure:
    """Draw steps as columns, the first of `rows` at the bottom, units as coloured squares.

    Arrows go up from row to row and along time in each row that has a gradient: the thicker, the
    more of the gradient passes (on a logarithmic scale). `labels` stand under the columns,
    `predictions` above them.
    """
    arrays = [_most_varying(row.values) for row in rows]
    steps = len(arrays[0])
    heights = [a.shape[1] * SIDE * 0.55 for a in arrays]
    bottoms = np.concatenate([[0], np.cumsum([h + GAP for h in heights])[:-1]])
    top = float(bottoms[-1] + heights[-1])
    figure = new_figure(min(14, 1.6 + 0.82 * steps), 1.2 + 0.78 * top)
    axes = figure.subplots()
    image = None
    for index, (row, array) in enumerate(zip(rows, arrays, strict=True)):
        bottom, height = float(bottoms[index]), heights[index]
        image = _draw_row(axes, row, array, bottom, height)
        if index and not _is_same_layer(rows[index - 1], row):
            for t in range(steps):
                _draw_arrow(axes, (t, bottom - GAP), (t, bottom), 0.8, GREY)
    _draw_texts(axes, labels, -0.28, "top")
    _draw_texts(axes, predictions, top + 0.28, "bottom")
    below, above = (0.75 if texts else 0.15 for texts in (labels, predictions))
    axes.set(xlim=(-0.8, steps - 0.35), ylim=(-below, top + above), aspect="equal")
    axes.axis("off")
    axes.set_title(verbatim(title))
    assert image is not None
    bar = figure.colorbar(image, ax=axes, fraction=0.012, pad=0.01, aspect=30, ticks=[-1, 0, 1])
    bar.ax.set_yticklabels(["negative", "0", "positive"], fontsize=8)
    bar.outline.set_visible(False)
    return figure


def _most_varying(values: Any) -> Any:
    """At most UNITS columns, scaled so that the largest magnitude is 1."""
    array = np.asarray(values, dtype=float)
    if array.shape[1] > UNITS:
        array = array[:, np.sort(np.argsort(-array.std(0), kind="stable")[:UNITS])]
    return array / max(float(np.abs(array).max()), 1e-12)


def _draw_row(axes: Axes, row: UnfoldedRow, array: Any, bottom: float, height: float) -> Any:
    """Draw the squares of a row, its name, and arrows along time where it has a gradient."""
    image = _draw_squares(axes, array, bottom, height)
    middle = bottom + height / 2
    axes.text(-0.75, middle, verbatim(row.name), ha="right", va="center", fontsize=10)
    if row.gradient is not None:
        _draw_along_time(axes, row, middle)
    return image


def _draw_squares(axes: Axes, array: Any, bottom: float, height: float) -> Any:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    side = height / array.shape[1]
    patches = [
        Rectangle((t - SIDE / 2, bottom + unit * side), SIDE, side)
        for t in range(len(array))
        for unit in range(array.shape[1])
    ]
    squares = PatchCollection(patches, cmap=DIVERGING, edgecolor=PAPER, linewidth=0.8)
    squares.set_array(array.flatten())
    squares.set_clim(-1, 1)
    axes.add_collection(squares)
    for t in range(len(array)):
        frame = Rectangle((t - SIDE / 2, bottom), SIDE, height, fill=False, edgecolor=GREY, lw=0.8)
        axes.add_patch(frame)
    return squares


def _draw_along_time(axes: Axes, row: UnfoldedRow, middle: float) -> None:
    """Draw arrows from each step to the next."""
    gradient = np.asarray(row.gradient, dtype=float)
    for t in range(len(gradient) - 1):
        start, end, passes = (t + 1, t, gradient[t + 1]) if row.reverse else (t, t + 1, gradient[t])
        edge = -SIDE / 2 if row.reverse else SIDE / 2
        width = _arrow_width(passes, gradient)
        _draw_arrow(axes, (start + edge, middle), (end - edge, middle), width, INK)


def _arrow_width(passes: float, gradient: Any) -> float:
    """The width of an arrow: three decades of the gradient lie between thin and thick."""
    largest = float(np.max(gradient))
    if not passes > 0 or largest == 0:
        return THIN
    share = 1 + np.log10(passes / largest) / 3
    return THIN + (THICK - THIN) * float(np.clip(share, 0, 1))


def _draw_arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], width: float, colour: str
) -> None:
    head = f"head_length={0.25 + width * 0.06},head_width={0.1 + width * 0.045}"
    arrow = {
        "arrowstyle": f"-|>,{head}",
        "color": colour,
        "lw": width,
        "shrinkA": 0,
        "shrinkB": 0,
        "joinstyle": "miter",
    }
    axes.annotate("", xy=end, xytext=start, arrowprops=arrow)


def _is_same_layer(below: UnfoldedRow, row: UnfoldedRow) -> bool:
    """Check whether two rows are the directions of one layer, which don't read one another."""
    return row.reverse and not below.reverse and below.gradient is not None


def _draw_texts(axes: Axes, labels: Sequence[str], height: float, side: str) -> None:
    style: dict[str, Any] = {"ha": "center", "va": side, "fontsize": 11, "family": "monospace"}
    for t, label in enumerate(labels):
        axes.text(t, height, visible(label), **style)


@styled
def plot_gates(
    values: Mapping[str, Any], labels: Sequence[str] = (), title: str = "Gate activity"
) -> Figure:
    """Draw a heat map for each value: units, from the least to the most active, over steps.

    `values` are arrays or tensors (T, size) by name; those within 0..1 are coloured from closed to
    open, any others from negative to positive. `labels` name the steps: characters, say.
    """
    arrays = {name: np.asarray(value, dtype=float) for name, value in values.items()}
    figure = new_figure(11, 0.9 + 1.35 * len(arrays))
    panels = figure.subplots(len(arrays), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, array) in zip(panels, arrays.items(), strict=True):
        _draw_heat(figure, axes, name, array)
    _label_steps(panels[-1], labels, len(next(iter(arrays.values()))))
    add_title(figure, verbatim(title))
    return figure


def _draw_heat(figure: Figure, axes: Axes, name: str, array: Any) -> None:
    order = np.argsort(array.mean(0), kind="stable")
    places = np.linspace(0, len(order) - 1, min(HEAT_UNITS, len(order))).astype(int)
    low, high, colours = _scale(array)
    image = axes.imshow(
        array[:, order[places]].T,
        aspect="auto",
        origin="lower",
        cmap=colours,
        vmin=low,
        vmax=high,
        interpolation="nearest",
    )
    words = textwrap.fill(name, 14)
    axes.set_ylabel(verbatim(words), rotation=0, ha="right", va="center", fontsize=11)
    axes.set_yticks([])
    axes.tick_params(bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, pad=0.008, fraction=0.02, aspect=12)
    ticks = [low, high] if low == 0 else [low, 0, high]
    bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    bar.ax.tick_params(labelsize=8, length=2)
    bar.outline.set_visible(False)


def _scale(array: Any) -> tuple[float, float, str]:
    if array.min() >= 0 and array.max() <= 1:
        return 0.0, 1.0, SEQUENTIAL
    bound = float(np.abs(array).max())
    bound = 1.0 if 0.3 < bound <= 1 else float(f"{bound:.2g}")
    return -bound, bound, DIVERGING


def _label_steps(axes: Axes, labels: Sequence[str], steps: int) -> None:
    if not labels:
        axes.tick_params(bottom=True, labelbottom=True)
        axes.set_xlabel("step")
        return
    places = range(0, steps, -(-steps // HEAT_LABELS))
    longest = max(len(label) for label in labels)
    axes.set_xticks(
        list(places),
        [visible(labels[place]) for place in places],
        fontsize=9 if steps <= 80 else 8,
        family="monospace",
        rotation=0 if longest == 1 else 90,
    )
    axes.tick_params(bottom=False, labelbottom=True, pad=2)
