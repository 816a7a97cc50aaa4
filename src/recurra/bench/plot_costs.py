"""The part of the picture that shows what remedies cost: a bar for each, of each size."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from recurra.bench.catalogue import Ratio
from recurra.bench.results import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["costs_height", "draw_costs"]

COLOURS = ("#2f6db5", "#e39a4d", "#5a9e6f", "#a65a9e")
ROW_HEIGHT, EDGES = 0.32, 0.9


def costs_height(groups: Mapping[str, Sequence[Row]]) -> float:
    """Inches that the bars of these remedies need."""
    return ROW_HEIGHT * len(groups) + EDGES


def draw_costs(groups: Mapping[str, Sequence[Row]], ratio: Ratio, title: str, axes: "Axes") -> None:
    """Bars of each remedy's rows, in per cent beyond the same layer without it."""
    names, count = list(groups), len(next(iter(groups.values())))
    width = 0.8 / count
    for place in range(count):
        rows = [groups[name][place] for name in names]
        at = [n + width * (place - (count - 1) / 2) for n in range(len(names))]
        values = [100 * (row.ratio(ratio) - 1) for row in rows]
        point = rows[0].point
        label = f"H {point.size} (B {point.batch}, T {point.steps})"
        colour = COLOURS[place % len(COLOURS)]
        bars = axes.barh(at, values, width * 0.92, color=colour, label=label)
        axes.bar_label(bars, fmt="%.0f", fontsize=7, padding=2)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.8)
    axes.margins(x=0.08)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("% of a training step", fontsize=9)
    axes.set_title(title, loc="left", fontsize=11)
    axes.legend(ncols=4, frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 0.99))
