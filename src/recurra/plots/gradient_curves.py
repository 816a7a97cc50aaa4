"""Gradient flow: how a gradient's norm goes with the distance in time from its loss."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from recurra.plots.figure import COLOURS, GREY, INK, clean, new_figure

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
    colours: Sequence[str] = COLOURS,
) -> Figure:
    """One line a layer: norm of dL/ds_t relative to its start, by steps back from the loss.

    `curves` are norms (N,) by name, distance 0 first. A dot marks the horizon, where a line falls
    to 1 %, and the legend says at which step. `strides` are how many steps apart the norms of
    dilated layers are.
    """
    figure = new_figure(8.6, 4.2)
    axes = figure.subplots()
    lowest, highest = SHARE / 10, 1.0
    told = []
    for index, (name, norms) in enumerate(curves.items()):
        shares = _shares(norms)
        seen = [s for s in shares if s >= FLOOR]
        lowest, highest = min([lowest, *seen]), max([highest, *seen])
        colour, stride = colours[index % len(colours)], strides.get(name, 1)
        told.append(f"{name}: {_line(axes, name, shares, colour, stride)}")
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
    lines = [line for line in axes.lines if line.get_label() in curves]
    axes.legend(
        lines, told, title="horizon, in steps", title_fontsize=9, alignment="left",
        frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.01, 1),
    )  # fmt: skip
    clean(axes)
    return figure


def _line(axes: Axes, name: str, shares: Sequence[float], colour: str, stride: int) -> str:
    """Draw a line; its horizon in words."""
    axes.semilogy(
        range(0, len(shares) * stride, stride),
        [s if s >= FLOOR else math.nan for s in shares],
        color=colour,
        linewidth=1.8,
        label=name,
    )
    first = next((d for d, s in enumerate(shares) if s > 0), 0)
    horizon = next((d for d, s in enumerate(shares) if d >= first and s <= SHARE), None)
    if horizon is None:
        return f"≥ {(len(shares) - 1) * stride}"
    place, steps = max(shares[horizon], FLOOR), horizon * stride
    axes.plot([steps], [place], "o", color=colour, markersize=6, markeredgecolor="white")
    return str(steps)


def _shares(norms: Sequence[float]) -> list[float]:
    start = next((n for n in norms if n > 0), 1.0)
    return [n / start for n in norms]
