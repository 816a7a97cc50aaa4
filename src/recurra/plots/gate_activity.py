"""Gate activity over a text or a series: units by steps, with the steps' labels under them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.plots.figure import INK, clean, new_figure, readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_gates"]

UNITS = 48
"""So many units are shown of each value, spread over all that there are."""
LABELS = 120
"""So many labels fit under a picture; of more, some are left out."""


def plot_gates(
    values: Mapping[str, Any], labels: Sequence[str] = (), title: str = "Gate activity"
) -> Figure:
    """A heat map for each value: units (from the least to the most active) over steps.

    `values` are arrays or tensors (T, size) by name; what lies in 0..1 is coloured from shut to
    open, anything else from negative to positive. `labels` name the steps: characters, say.
    """
    arrays = {name: np.asarray(value, dtype=float) for name, value in values.items()}
    figure = new_figure(11, 0.9 + 1.35 * len(arrays))
    panels = figure.subplots(len(arrays), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, array) in zip(panels, arrays.items(), strict=True):
        _heat(figure, axes, name, array)
    _label(panels[-1], labels, len(next(iter(arrays.values()))))
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
    return figure


def _heat(figure: Figure, axes: Axes, name: str, array: Any) -> None:
    order = np.argsort(array.mean(0), kind="stable")
    shown = array[:, order[np.linspace(0, len(order) - 1, min(UNITS, len(order))).astype(int)]]
    low, high, colours = _scale(array)
    image = axes.imshow(
        shown.T,
        aspect="auto",
        origin="lower",
        cmap=colours,
        vmin=low,
        vmax=high,
        interpolation="nearest",
    )
    axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=12, color=INK)
    axes.set_yticks([])
    axes.tick_params(bottom=False, labelbottom=False)
    clean(axes)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, pad=0.008, fraction=0.02, aspect=12)
    bar.set_ticks([low, high] if low == 0 else [low, 0, high])
    bar.ax.tick_params(labelsize=8, length=2)
    bar.outline.set_visible(False)


def _scale(array: Any) -> tuple[float, float, str]:
    if array.min() >= 0 and array.max() <= 1:
        return 0.0, 1.0, "viridis"
    bound = float(np.abs(array).max())
    bound = 1.0 if 0.3 < bound <= 1 else float(f"{bound:.2g}")
    return -bound, bound, "RdBu_r"


def _label(axes: Axes, labels: Sequence[str], steps: int) -> None:
    if not labels:
        axes.tick_params(bottom=True, labelbottom=True, labelsize=9)
        axes.set_xlabel("step")
        return
    every = -(-steps // LABELS)
    places = range(0, steps, every)
    longest = max(len(label) for label in labels)
    axes.set_xticks(
        list(places),
        [readable(labels[place]) for place in places],
        fontsize=9 if steps <= 80 else 8,
        family="monospace",
        rotation=0 if longest == 1 else 90,
    )
    axes.tick_params(bottom=False, labelbottom=True, pad=2)
