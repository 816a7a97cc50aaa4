"""Gradient flow: how a gradient's norm goes with the distance in time from its loss."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from weft.insight.plot.figure import COLOURS, GREY, INK, clean, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_flow"]

SHARE = 0.01
FLOOR = 1e-12
"""Smaller shares stand at the lower edge."""


def plot_flow(
    curves: Mapping[str, Sequence[float]],
    title: str = "Gradient flow",
    *,
    strides: Mapping[str, int] = MappingProxyType({}),
) -> Figure:
    """One line a layer: norm of dL/ds_t relative to its start, by steps back from the loss.

    `curves` are norms (N,) by name, distance 0 first. A dot marks the horizon, where a line falls
    to 1 %. `strides` are how many steps apart the norms of dilated layers are.
    """
    figure = new_figure(8.6, 4.2)
    axes = figure.subplots()
    lowest, highest = SHARE / 10, 1.0
    for index, (name, norms) in enumerate(curves.items()):
        shares = _shares(norms)
        seen = [s for s in shares if s >= FLOOR]
        lowest, highest = min([lowest, *seen]), max([highest, *seen])
        _line(axes, name, shares, COLOURS[index % len(COLOURS)], strides.get(name, 1))
    axes.axhline(SHARE, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    steps = max((1 + (len(c) - 1) * strides.get(n, 1) for n, c in curves.items()), default=1)
    axes.set_xlim(-0.01 * steps, max(1, steps - 1) * 1.02)
    axes.set_ylim(lowest / 2, highest * 3)
    axes.text(
        max(1, steps - 1), SHARE * 1.15, "1 %", ha="right", va="bottom", color=GREY, fontsize=9
    )
    axes.set_xlabel("steps back from the loss")
    axes.set_ylabel("gradient norm, relative to its start")
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.grid(axis="y", color="#eeeeee", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=9, loc="upper right", ncols=1 + (len(curves) > 6))
    clean(axes)
    return figure


def _line(axes: Axes, name: str, shares: Sequence[float], colour: str, stride: int) -> None:
    axes.semilogy(
        range(0, len(shares) * stride, stride),
        [s if s >= FLOOR else math.nan for s in shares],
        color=colour,
        linewidth=1.8,
        label=name,
    )
    first = next((d for d, s in enumerate(shares) if s > 0), 0)
    horizon = next((d for d, s in enumerate(shares) if d >= first and s <= SHARE), None)
    if horizon is not None:
        place = max(shares[horizon], FLOOR)
        axes.plot(
            [horizon * stride], [place], "o", color=colour, markersize=6, markeredgecolor="white"
        )
        axes.annotate(
            str(horizon * stride),
            (horizon * stride, place),
            xytext=(6, 5),
            textcoords="offset points",
            color=colour,
            fontsize=9,
            fontweight="bold",
            bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none"},
        )


def _shares(norms: Sequence[float]) -> list[float]:
    start = next((n for n in norms if n > 0), 1.0)
    return [n / start for n in norms]
