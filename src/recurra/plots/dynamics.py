"""The dynamics of layers: what a step does to a small change, and Lyapunov exponents."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.plots.figure import COLOURS, GREY, INK, clean, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_dynamics"]

Curve = tuple[Sequence[float], Sequence[float], Sequence[float]]
"""Times, spectral radius and norm of the Jacobian at each of them."""


def plot_dynamics(curves: Mapping[str, Curve], exponents: Mapping[str, Sequence[float]]) -> Figure:
    """Radius (full line) and norm (thin) of each layer's Jacobian over time; its exponents beside.

    Both are by layer's name; exponents come per step in nats, the largest first. Those that are
    -inf, directions forgotten at once, aren't drawn.
    """
    figure = new_figure(11, 3.8)
    over_time, spectrum = figure.subplots(1, 2, width_ratios=(3, 2))
    for index, (name, (times, radius, norm)) in enumerate(curves.items()):
        colour = COLOURS[index % len(COLOURS)]
        over_time.plot(times, radius, color=colour, linewidth=1.8, label=f"{name}: radius")
        over_time.plot(times, norm, color=colour, linewidth=0.9, alpha=0.55, label=f"{name}: norm")
    over_time.axhline(1, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    over_time.set_ylim(0, 1.3 * over_time.get_ylim()[1])
    over_time.set_xlabel("step")
    over_time.set_title("Jacobian of a step", loc="left", fontsize=11, color=INK)
    over_time.legend(frameon=False, fontsize=8, ncols=2, loc="upper right")
    for index, (name, values) in enumerate(exponents.items()):
        _spectrum(spectrum, name, values, COLOURS[index % len(COLOURS)])
    spectrum.axhline(0, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    spectrum.set_xlabel("index")
    spectrum.set_ylabel("nats per step")
    spectrum.legend(frameon=False, fontsize=9, loc="lower left")
    spectrum.set_title("Lyapunov exponents", loc="left", fontsize=11, color=INK)
    for axes in (over_time, spectrum):
        clean(axes)
    return figure


def _spectrum(axes: Any, name: str, values: Sequence[float], colour: str) -> None:
    finite = np.array([v for v in values if math.isfinite(v)])
    largest = f"{finite[0]:+.3f}" if len(finite) else "-inf"
    axes.plot(
        np.arange(1, len(finite) + 1),
        finite,
        "o-",
        color=colour,
        markersize=3,
        linewidth=1,
        label=f"{name}: largest {largest}",
    )
