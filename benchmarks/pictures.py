"""Draws the pictures of the benchmark page from its own tables, and that of the README.

    python benchmarks/pictures.py

overview.png has speed against torch.nn and gradient flow, which is computed here, before any
training; layers.png and remedies.png are the tables of these names in README.md beside this file.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from recurra.insight import gradient_flow
from recurra.nn import Recurrent, init
from recurra.plots import COLOURS, CostBars, RatioBars, image, plot_bars
from recurra.plots.figure import GREY, INK, line_style, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAGE = Path(__file__).with_name("README.md")
LAYERS = ("LSTM", "GRU", "RNN")
STEPS, HIDDEN, ROWS = 600, 32, 16


_ON_AVX512 = "### On a processor with AVX-512"


@dataclass(frozen=True)
class Grid:
    """A training step against torch.nn at each size: times as fast, and share of the FMA peak."""

    points: list[tuple[str, str]]
    ratios: list[float]
    shares: list[float]


def grids(processor: str = "AVX-512") -> dict[str, Grid]:
    """The grid of each layer on a processor, AVX2 or AVX-512, as the page has it."""
    older, _, newer = PAGE.read_text("utf-8").partition(_ON_AVX512)
    text, ending = (newer, ", training step") if processor == "AVX-512" else (older, "")
    return {name: _grid(text.partition(f"**{name}{ending}**")[2]) for name in LAYERS}


def _grid(text: str) -> Grid:
    """The table that a text begins with."""
    head, _, *rows = text.strip().partition("\n\n")[0].splitlines()
    sizes = re.findall(r"I = H = (\d+)", head)
    points, ratios, shares = [], [], []
    for row in rows:
        batch, steps, *cells = row.strip("| ").split(" | ")
        for size, cell in zip(sizes, cells, strict=True):
            ratio, share = re.fullmatch(r"([\d.]+) \((\d+) %\)", cell).groups()
            points.append((f"B {batch}, T {steps}", size))
            ratios.append(float(ratio))
            shares.append(float(share))
    return Grid(points, ratios, shares)


def costs() -> dict[str, dict[str, list[float]]]:
    """The cost of each remedy in per cent, at 64 and at 256 hidden units, by layer."""
    text = PAGE.read_text("utf-8").partition("## What remedies cost")[2]
    table = text[text.index("| H = ") :].partition("\n\n")[0].replace("*", "")
    found: dict[str, dict[str, list[float]]] = {"LSTM": {}, "GRU": {}}
    for row in table.splitlines()[2:]:
        name, *cells = [cell.strip() for cell in row.strip("|").split("|")][:3]
        for layer, cell in zip(found, cells, strict=True):
            if cell:
                found[layer][name] = [float(number) for number in cell.split(" / ")]
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
    flow = gradient_flow(layer, torch.rand(STEPS, ROWS, 2))["layer"]
    norms = flow.longest.over_time[0].flip(0)
    return (norms / norms[0]).tolist()


@styled
def draw_overview() -> Figure:
    """Draw the two panels: speed at the left, gradients at the right."""
    figure = new_figure(10.4, 3.9)
    speed, gradient = figure.subplots(1, 2, width_ratios=(4, 5))
    _draw_speed(speed)
    _draw_flow(gradient)
    return figure


def draw_layers() -> Figure:
    """Draw the grids of both processors: times as fast, and the shares of the peak below."""
    both = {processor: grids(processor) for processor in ("AVX2", "AVX-512")}
    panels = [
        RatioBars(
            f"{name}, a training step",
            "times as fast",
            both["AVX2"][name].points,
            {processor: grid[name].ratios for processor, grid in both.items()},
            {processor: grid[name].shares for processor, grid in both.items()},
            {processor: _rivals(grid[name]) for processor, grid in both.items()},
            "torch.nn",
        )
        for name in LAYERS
    ]
    caption = "Recurra against torch.nn on two cores: Zen 3 with AVX2, Zen 5 with AVX-512"
    return plot_bars(panels, caption, "I = H")


def _rivals(grid: Grid) -> list[float]:
    return [share / ratio for share, ratio in zip(grid.shares, grid.ratios, strict=True)]


def draw_remedies() -> Figure:
    """Draw the cost of each remedy, by layer and hidden size."""
    panels = []
    for layer, remedies in costs().items():
        small, large = zip(*remedies.values(), strict=True)
        sizes = {"H = 64": small, "H = 256": large}
        title = f"{layer}: the cost of each remedy"
        panels.append(CostBars(title, "% of a training step", list(remedies), sizes))
    return plot_bars(panels, "Two cores with AVX2, B = 32, T = 128", "")


def _draw_speed(axes: Axes) -> None:
    for place, grid in enumerate(grids().values()):
        ratios = grid.ratios
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
    for draw in (draw_overview, draw_layers, draw_remedies):
        file = f"{draw.__name__.removeprefix('draw_')}.png"
        PAGE.with_name(file).write_bytes(image(draw(), ".png"))
