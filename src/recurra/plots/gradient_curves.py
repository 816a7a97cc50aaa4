"""Gradients over time: their norm by distance from the loss, and the dynamics of each layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from recurra.plots.figure import COLOURS, GREY, PAPER, line_style, new_figure, styled, verbatim

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_dynamics", "plot_flow"]

SHARE = 0.01
FLOOR = 1e-12
"""Smaller shares are not drawn; a horizon among them lies at this value."""

JacobianCurve = tuple[Sequence[float], Sequence[float], Sequence[float]]
"""Times, spectral radius and norm of the Jacobian at each of them."""


@styled
def plot_flow(
    curves: Mapping[str, Sequence[float]],
    title: str = "Gradient flow",
    *,
    strides: Mapping[str, int] = MappingProxyType({}),
    order: Sequence[str] = (),
) -> Figure:
    """Draw one line a layer: norm of dL/ds_t relative to its start, by steps back from the loss.

    `curves` are norms (N,) by name, distance 0 first. A dot marks the horizon, where a line falls
    to 1 %, and the legend gives its step. `strides` are how many steps apart the norms of dilated
    layers are. `order` holds all names that colours are given to, where some have no curve.
    """
    figure = new_figure(8.6, 4.2)
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
    axes.legend(
        handles,
        labels,
        title="horizon, in steps",
        alignment="left",
        loc="upper left",
        bbox_to_anchor=(1.01, 1),
    )
    return figure


def _frame(axes: Axes, curves: Mapping[str, Sequence[float]], last: int) -> None:
    """Set limits and labels, and draw the line at 1 %; `last` is the largest distance."""
    seen = [s for norms in curves.values() for s in _shares(norms) if s >= FLOOR]
    axes.axhline(SHARE, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    axes.text(last, SHARE * 1.15, "1 %", ha="right", va="bottom", color=GREY, fontsize=9)
    axes.set_xlim(-0.01 * (last + 1), last * 1.02)
    axes.set_ylim(min([SHARE / 10, *seen]) / 2, max([1.0, *seen]) * 3)
    axes.set_xlabel("steps back from the loss")
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
def plot_dynamics(
    curves: Mapping[str, JacobianCurve], exponents: Mapping[str, Sequence[float]]
) -> Figure:
    """Draw radius (thick) and norm (thin) of each layer's Jacobian over time, and its exponents.

    Both are by layer's name; exponents are per step in nats, the largest first. Those that are
    -inf, directions forgotten in one step, aren't drawn.
    """
    figure = new_figure(11, 3.8)
    over_time, spectrum = figure.subplots(1, 2, width_ratios=(3, 2))
    for index, (name, (times, radius, norm)) in enumerate(curves.items()):
        style, shown = line_style(index), verbatim(name)
        over_time.plot(times, radius, linewidth=1.8, label=f"{shown}: radius", **style)
        over_time.plot(times, norm, linewidth=0.9, alpha=0.55, label=f"{shown}: norm", **style)
    over_time.axhline(1, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    over_time.set_ylim(0, 1.3 * over_time.get_ylim()[1])
    over_time.set_xlabel("step")
    over_time.set_title("Jacobian of one step")
    over_time.legend(fontsize=8, ncols=2, loc="upper right")
    for index, (name, values) in enumerate(exponents.items()):
        _draw_spectrum(spectrum, verbatim(name), values, COLOURS[index % len(COLOURS)])
    spectrum.axhline(0, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    spectrum.set_xlabel("index")
    spectrum.set_ylabel("nats per step")
    spectrum.legend(loc="lower left")
    spectrum.set_title("Lyapunov exponents")
    return figure


def _draw_spectrum(axes: Axes, name: str, values: Sequence[float], colour: str) -> None:
    finite = np.array([v for v in values if math.isfinite(v)])
    largest = f"{finite[0]:+.3f}" if len(finite) else "-inf"
    places = np.arange(1, len(finite) + 1)
    label = f"{name}: largest {largest}"
    axes.plot(places, finite, "o-", color=colour, markersize=3, linewidth=1, label=label)
