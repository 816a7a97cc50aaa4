"""Draws overview.png, the picture of the README: speed against torch.nn, and gradient flow.

    python benchmarks/overview.py

The speeds are those of README.md beside this file, measured by `recurra bench layers --full` on a
processor with AVX-512. The gradients are computed here, before any training.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from recurra.insight import gradient_flow
from recurra.nn import Recurrent, init
from recurra.plots import COLOURS, image
from recurra.plots.figure import GREY, INK, line_style, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAGE = Path(__file__).with_name("README.md")
LAYERS = ("LSTM", "GRU", "RNN")
STEPS, HIDDEN, ROWS = 600, 32, 16


def grids() -> dict[str, list[float]]:
    """Times faster than torch.nn in a training step, at each size of the grid, by layer."""
    text = PAGE.read_text("utf-8").partition("### On a processor with AVX-512")[2]
    found = {}
    for name in LAYERS:
        table = text.partition(f"**{name}, training step**")[2].partition("\n**")[0]
        found[name] = [float(ratio) for ratio in re.findall(r"\| ([\d.]+) \(\d+ %\)", table)]
    return found


def flows() -> dict[str, list[float]]:
    """Gradient norms by steps back from the loss, relative to its start, by layer."""
    return {
        "simple RNN": _flow("rnn"),
        "LSTM, as torch.nn initialises it": _flow("lstm"),
        "LSTM, chrono initialisation": _flow("lstm", chrono=True),
    }


def _flow(cell: str, *, chrono: bool = False) -> list[float]:
    torch.manual_seed(0)
    layer = Recurrent(cell, 2, HIDDEN)
    if chrono:
        init.chrono_(layer, STEPS, spread=False)
    norms = gradient_flow(layer, torch.rand(STEPS, ROWS, 2))["layer"].longest.by_distance[0]
    return (norms / norms[0]).tolist()


@styled
def draw() -> Figure:
    """Draw the two panels: speed at the left, gradients at the right."""
    figure = new_figure(10.4, 3.9)
    speed, gradient = figure.subplots(1, 2, width_ratios=(4, 5))
    _draw_speed(speed)
    _draw_flow(gradient)
    return figure


def _draw_speed(axes: Axes) -> None:
    for place, ratios in enumerate(grids().values()):
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        spread = torch.linspace(-0.22, 0.22, len(ratios)).tolist()
        places = [place + shift for shift in spread]
        axes.plot(places, sorted(ratios), "o", color=COLOURS[place], markersize=4, alpha=0.8)
        axes.plot([place - 0.3, place + 0.3], [mean, mean], color=INK, linewidth=1.6)
        axes.annotate(f"{mean:.1f} ×", (place + 0.32, mean), va="center", fontsize=10)
    axes.axhline(1, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    axes.text(2.65, 0.98, "torch.nn", ha="right", va="top", fontsize=9, color=GREY)
    axes.set_yscale("log")
    axes.set_yticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
    axes.set_yticks([], minor=True)
    axes.set_xticks(range(len(LAYERS)), LAYERS)
    axes.set_xlim(-0.5, len(LAYERS) - 0.3)
    axes.set_ylim(0.85, 22)
    axes.set_ylabel("times as fast as torch.nn")
    axes.set_title("A training step")


def _draw_flow(axes: Axes) -> None:
    for index, (name, norms) in enumerate(flows().items()):
        style: dict[str, Any] = line_style(index)
        shown = [norm if norm > 1e-12 else math.nan for norm in norms]
        axes.loglog(range(1, len(shown)), shown[1:], label=name, linewidth=1.8, **style)
    axes.axhline(0.01, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    axes.text(STEPS, 0.013, "1 %", ha="right", fontsize=9, color=GREY)
    axes.set_xticks([1, 10, 100, 600], ["1", "10", "100", "600"])
    axes.set_ylim(1e-6, 3)
    axes.set_xlabel("steps back from the loss")
    axes.set_ylabel("gradient left")
    axes.set_title(f"The gradient's way back through {STEPS} steps, before training")
    axes.legend(loc="lower left")


if __name__ == "__main__":
    PAGE.with_name("overview.png").write_bytes(image(draw(), ".png"))
