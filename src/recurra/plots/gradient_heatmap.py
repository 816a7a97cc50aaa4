"""Gradient flow over a training: distance in time over training steps, as a heat map."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.plots.figure import INK, add_title, new_figure, styled, verbatim

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_heat"]

SHARE = 0.01
LOWEST, HIGHEST = -4.0, 2.0
"""The decades that colours show, relative to the window's end."""
SMOOTH = 7
"""The horizon is smoothed by a running median over so many watched steps."""
TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
GROWING = ("#fdfdf0", "#9ecae1", "#3182bd", "#08306b")
LINE, RIM = "#ffffff", "#10101a"
"""The horizon, which lies on dark colours and on light ones."""


@styled
def plot_heat(
    lines: Sequence[Mapping[str, Any]], title: str = "Gradient flow during training"
) -> Figure:
    """Draw one panel a layer: training steps to the right, steps back in time upwards.

    `lines` are those of a run's gradients.jsonl. Colours are the gradient's norm relative to that
    at the window's end; the line is the horizon, where 1 % of it is left. Raises ValueError where
    there is no line of two steps in time or more.
    """
    layers = _layers(lines)
    if not layers:
        raise ValueError("no layer to draw: the lines hold no gradient over two steps or more")
    height = 2.5 if len(layers) <= 3 else 1.7
    figure = new_figure(9, 0.6 + height * len(layers))
    panels = figure.subplots(len(layers), 1, sharex=True, squeeze=False)[:, 0]
    grids = {name: _grid(some) for name, some in layers.items()}
    grows = any(np.nanmax(shares) > 2 for _, _, shares in grids.values())
    for axes, (name, grid) in zip(panels, grids.items(), strict=True):
        image = _draw_draw_panel(axes, name, *grid, grows=grows)
    panels[-1].set_xlabel("training step")
    _add_colour_add_colour_bar(figure, panels, image, grows=grows)
    add_title(figure, verbatim(title))
    return figure


def _layers(lines: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Group lines by layer, without those of a single step or without a gradient."""
    layers: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        if len(line["norms"]) > 1 and line["norms"][0] > 0:
            layers.setdefault(line["layer"], []).append(line)
    return layers


def _grid(lines: Sequence[Mapping[str, Any]]) -> tuple[Any, Any, Any]:
    """Training steps (N,), distances from 1 on (D,), and shares (D, N), NaN beyond a window."""
    steps = np.array([line["step"] for line in lines], dtype=float)
    distances = np.array(max((line["distances"] for line in lines), key=lambda d: d[-1]))[1:]
    columns = [_column(line, distances) for line in lines]
    return steps, distances, np.stack(columns, axis=1)


def _column(line: Mapping[str, Any], distances: Any) -> Any:
    shares = np.maximum(np.asarray(line["norms"]) / line["norms"][0], 1e-300)
    between = np.exp(np.interp(distances, line["distances"], np.log(shares)))
    return np.where(distances <= line["distances"][-1], between, np.nan)


def _draw_draw_panel(
    axes: Axes, name: str, steps: Any, distances: Any, shares: Any, *, grows: bool
) -> Any:
    image = axes.pcolormesh(
        _edges(steps),
        np.exp(_edges(np.log(distances))),
        np.clip(np.log10(shares), LOWEST, HIGHEST),
        cmap=_colours(grows=grows),
        vmin=LOWEST,
        vmax=HIGHEST if grows else 0,
        rasterized=True,
    )
    axes.set_yscale("log")
    axes.set_xlim(left=max(0, _edges(steps)[0]))  # the first cell begins before the training
    ticks = [t for t in TICKS if t <= distances[-1]]
    axes.set_yticks(ticks, [str(t) for t in ticks])
    axes.set_yticks([], minor=True)
    axes.set_ylabel("steps back")
    axes.set_title(verbatim(name), fontsize=10)
    _draw_horizon(axes, steps, distances, shares)
    return image


def _draw_horizon(axes: Axes, steps: Any, distances: Any, shares: Any) -> None:
    from matplotlib.patheffects import Normal, Stroke

    crossings = [_crossing(distances, column) for column in shares.T]
    line = _smooth(np.array(crossings))
    rim = [Stroke(linewidth=4, foreground=RIM), Normal()]
    axes.plot(steps, line, color=LINE, linewidth=1.8, path_effects=rim, label="horizon")
    last = line[-1]
    reach = f"{last:.0f}" if last < distances[-1] else f"≥ {distances[-1]}"
    axes.annotate(
        f"1 % after {reach}",
        (1, min(last, distances[-1])),
        xycoords=axes.get_yaxis_transform(),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        fontweight="bold",
        color=INK,
        annotation_clip=False,
    )


def _crossing(distances: Any, shares: Any) -> float:
    """The distance at which 1 % is left, interpolated; the largest distance where more is left."""
    known = np.concatenate([[1.0], shares[~np.isnan(shares)]])
    below = np.flatnonzero(known <= SHARE)
    if not len(below):
        return float(distances[len(known) - 2])
    at = int(below[0])
    places = np.concatenate([[0], distances])[at - 1 : at + 1]
    return max(1.0, float(np.interp(-math.log(SHARE), -np.log(known[at - 1 : at + 1]), places)))


def _smooth(values: Any) -> Any:
    half = min(SMOOTH, len(values)) // 2
    return np.array(
        [np.median(values[max(0, i - half) : i + half + 1]) for i in range(len(values))]
    )


def _edges(centres: Any) -> Any:
    """The bounds of cells around values: one more than there are values."""
    if len(centres) == 1:
        return centres[0] + np.array([-0.5, 0.5])
    middles = (centres[1:] + centres[:-1]) / 2
    return np.concatenate(
        [[1.5 * centres[0] - 0.5 * centres[1]], middles, [2 * centres[-1] - middles[-1]]]
    )


def _colours(*, grows: bool) -> Any:
    """From dark, vanished, to light, unchanged; from there to blue where gradients grow."""
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap, ListedColormap

    fading = colormaps["inferno"](np.linspace(0.03, 0.97, 256))
    if not grows:
        return ListedColormap(fading)
    # Continuous with the other map: a gradient just below its start is much like one above.
    blues = LinearSegmentedColormap.from_list("growing", [fading[-1], *GROWING])
    growing = blues(np.linspace(0, 1, round(256 * HIGHEST / -LOWEST)))
    return ListedColormap(np.concatenate([fading, growing]))


def _add_colour_add_colour_bar(figure: Figure, panels: Any, image: Any, *, grows: bool) -> None:
    bar = figure.colorbar(image, ax=list(panels), pad=0.05, fraction=0.025, aspect=22)
    ticks = [-4, -3, -2, -1, 0, *([1, 2] if grows else [])]
    words = ["≤ 0.01 %", "0.1 %", "1 %", "10 %", "100 %", *(["× 10", "≥ × 100"] if grows else [])]
    bar.set_ticks(ticks, labels=words)
    bar.ax.tick_params(labelsize=8, length=2)
    bar.outline.set_visible(False)
