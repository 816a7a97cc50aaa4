"""Gradient flow: norms by distance from the loss, a training's as a heat map, layers' dynamics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.plots.figure import (
    COLOURS,
    COLUMN,
    GREY,
    PAPER,
    add_title,
    legend_columns,
    line_style,
    new_figure,
    shortened,
    styled,
    verbatim,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "plot_exponents",
    "plot_flow",
    "plot_heat",
    "plot_jacobians",
]


SHARE = 0.01
"""The share of the gradient at which its horizon lies."""
FLOOR = 1e-12
"""Smaller shares are not drawn; a horizon among them lies at this value."""
LOWEST, HIGHEST = -4.0, 2.0
"""The decades that colours show, relative to the window's end."""
SMOOTH = 7
"""The horizon is smoothed by a running median over so many watched steps."""
TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
GROWING = ("#fdfdf0", "#9ecae1", "#3182bd", "#08306b")
LINE, RIM = "#ffffff", "#10101a"
"""The horizon, which lies on dark colours and on light ones."""

JacobianCurve = tuple[Sequence[float], Sequence[float], Sequence[float]]
"""Times, spectral radius and norm of the Jacobian at each of them."""


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
    figure = new_figure(COLUMN, 0.6 + height * len(layers))
    panels = figure.subplots(len(layers), 1, sharex=True, squeeze=False)[:, 0]
    grids = {name: _grid(some) for name, some in layers.items()}
    grows = any(np.nanmax(shares) > 2 for _, _, shares in grids.values())
    for axes, (name, grid) in zip(panels, grids.items(), strict=True):
        image = _draw_panel(axes, name, *grid, grows=grows)
    panels[-1].set_xlabel("training step")
    _add_colour_bar(figure, panels, image, grows=grows)
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


def _draw_panel(
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
    reach = _draw_horizon(axes, steps, distances, shares)
    axes.set_title(verbatim(shortened(name, 2.2)), fontsize=10)
    axes.set_title(f"1 % left after {reach} steps", loc="right", fontsize=9)
    return image


def _draw_horizon(axes: Axes, steps: Any, distances: Any, shares: Any) -> str:
    """Draw where 1 % is left; how far back that is at last."""
    from matplotlib.patheffects import Normal, Stroke

    crossings = [_crossing(distances, column) for column in shares.T]
    line = _smooth(np.array(crossings))
    rim = [Stroke(linewidth=4, foreground=RIM), Normal()]
    axes.plot(steps, line, color=LINE, linewidth=1.8, path_effects=rim, label="horizon")
    last = line[-1]
    return f"{last:.0f}" if last < distances[-1] else f"≥ {distances[-1]}"


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


def _add_colour_bar(figure: Figure, panels: Any, image: Any, *, grows: bool) -> None:
    bar = figure.colorbar(image, ax=list(panels), pad=0.05, fraction=0.025, aspect=22)
    ticks = [-4, -3, -2, -1, 0, *([1, 2] if grows else [])]
    words = ["≤ 0.01 %", "0.1 %", "1 %", "10 %", "100 %", *(["× 10", "≥ × 100"] if grows else [])]
    bar.set_ticks(ticks, labels=words)
    bar.ax.tick_params(labelsize=8, length=2)
    bar.outline.set_visible(False)


@styled
def plot_flow(
    curves: Mapping[str, Sequence[float]],
    title: str = "Gradient flow",
    *,
    strides: Mapping[str, int] = MappingProxyType({}),
    order: Sequence[str] = (),
) -> Figure:
    """Draw one line a layer: norm of a gradient relative to its start, by steps back from there.

    `curves` are norms (N,) by name, distance 0 first. A dot marks the horizon, where a line falls
    to 1 %, and the legend gives its step. `strides` are how many steps apart the norms of dilated
    layers are. `order` holds all names that colours are given to, where some have no curve.
    """
    figure = new_figure(COLUMN, 3.6 + 0.2 * len(curves))
    axes = figure.subplots()
    names, handles, labels = list(order or curves), [], []
    for name, norms in curves.items():
        style, stride = line_style(names.index(name)), strides.get(name, 1)
        shares = _shares(norms)
        places = range(0, len(shares) * stride, stride)
        drawn = [share if share >= FLOOR else math.nan for share in shares]
        handles += axes.semilogy(places, drawn, linewidth=1.8, label=name, **style)
        labels.append(f"{verbatim(name)}: {_mark_horizon(axes, shares, style['color'], stride)}")
    lengths = [(len(norms) - 1) * strides.get(name, 1) for name, norms in curves.items()]
    _frame(axes, curves, max([1, *lengths]))
    axes.set_title(verbatim(title))
    figure.legend(
        handles,
        labels,
        title="horizon, in steps",
        alignment="left",
        loc="outside lower left",
        ncols=legend_columns(labels, COLUMN),
    )
    return figure


def _frame(axes: Axes, curves: Mapping[str, Sequence[float]], last: int) -> None:
    """Set limits and labels, and draw the line at 1 %; `last` is the largest distance."""
    seen = [s for norms in curves.values() for s in _shares(norms) if s >= FLOOR]
    axes.axhline(SHARE, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    axes.text(last, SHARE * 1.15, "1 %", ha="right", va="bottom", color=GREY, fontsize=9)
    axes.set_xlim(-0.01 * (last + 1), last * 1.02)
    axes.set_ylim(min([SHARE / 10, *seen]) / 2, max([1.0, *seen]) * 3)
    axes.set_xlabel("steps back from a layer's output")
    axes.set_ylabel("gradient norm, relative to its start")
    axes.grid(axis="y")


def _mark_horizon(axes: Axes, shares: Sequence[float], colour: str, stride: int) -> str:
    """Draw a dot at the horizon, if there is one; return it as text."""
    first = next((d for d, s in enumerate(shares) if s > 0), 0)
    horizon = next((d for d, s in enumerate(shares) if d >= first and s <= SHARE), None)
    if horizon is None:
        return f"≥ {(len(shares) - 1) * stride}"
    place, steps = max(shares[horizon], FLOOR), horizon * stride
    axes.plot([steps], [place], "o", color=colour, markersize=6, markeredgecolor=PAPER)
    return str(steps)


def _shares(norms: Sequence[float]) -> list[float]:
    start = next((n for n in norms if n > 0), 1.0)
    return [n / start for n in norms]


@styled
def plot_jacobians(curves: Mapping[str, JacobianCurve]) -> Figure:
    """Draw spectral radius (thick) and norm (thin) of each layer's Jacobian over time, by name."""
    figure = new_figure(COLUMN, 3.4 + 0.2 * len(curves))
    axes = figure.subplots()
    for index, (name, (times, radius, norm)) in enumerate(curves.items()):
        style, shown = line_style(index), verbatim(name)
        axes.plot(times, radius, linewidth=1.8, label=f"{shown}: radius", **style)
        axes.plot(times, norm, linewidth=1, alpha=0.75, label=f"{shown}: norm", **style)
    axes.axhline(1, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("step")
    axes.set_title("Jacobian of one step")
    figure.legend(loc="outside lower left", ncols=2)
    return figure


@styled
def plot_exponents(exponents: Mapping[str, Sequence[float]]) -> Figure:
    """Draw each layer's Lyapunov exponents by name: nats per step, the largest first.

    Those that are -inf, directions forgotten in one step, aren't drawn.
    """
    figure = new_figure(COLUMN, 3.4 + 0.2 * len(exponents))
    axes = figure.subplots()
    for index, (name, values) in enumerate(exponents.items()):
        _draw_spectrum(axes, verbatim(name), values, COLOURS[index % len(COLOURS)])
    axes.axhline(0, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    axes.set_xlabel("index")
    axes.set_ylabel("nats per step")
    axes.set_title("Lyapunov exponents")
    figure.legend(loc="outside lower left", ncols=1)
    return figure


def _draw_spectrum(axes: Axes, name: str, values: Sequence[float], colour: str) -> None:
    finite = np.array([v for v in values if math.isfinite(v)])
    largest = f"{finite[0]:+.3f}" if len(finite) else "-inf"
    places = np.arange(1, len(finite) + 1)
    label = f"{name}: largest {largest}"
    axes.plot(places, finite, "o-", color=colour, markersize=3, linewidth=1, label=label)
