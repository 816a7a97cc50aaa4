"""How the members of an ensemble learnt: their losses over the steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from recurra.insight.plot.figure import COLOURS, INK, clean, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_learning"]

Row = Mapping[str, Any]

_NAMED = 4
"""Members that a legend has room for."""


def plot_learning(members: Mapping[str, Sequence[Row]], unit: str = "loss") -> Figure:
    """Training (thin) and validation (dots) of each member, by its name where there are few.

    Values are lines of metrics.jsonl. Raises ValueError where no step was logged.
    """
    logged = {
        name: rows
        for name, rows in members.items()
        if any("loss" in row or "validation" in row for row in rows)
    }
    if not logged:
        raise ValueError("no curve to draw: no step was logged")
    figure = new_figure(9, 3.6)
    axes = figure.subplots()
    for index, (name, rows) in enumerate(logged.items()):
        _member(axes, name if len(logged) > 1 else "", rows, COLOURS[index % len(COLOURS)])
    axes.set_xlabel("step")
    axes.set_ylabel(unit, color=INK)
    if len(logged) <= _NAMED:
        axes.legend(frameon=False, fontsize=9, ncols=2)
    clean(axes)
    return figure


def _member(axes: Axes, name: str, rows: Sequence[Row], colour: str) -> None:
    prefix = f"{name}: " if name else ""
    for what, style, width in (("training", "-", 0.9), ("held back", "o-", 1.6)):
        chosen = [(row["step"], _loss(row, what)) for row in rows if _loss(row, what) is not None]
        if chosen:
            steps, losses = zip(*chosen, strict=True)
            axes.plot(
                steps,
                losses,
                style,
                color=colour,
                linewidth=width,
                markersize=3.5,
                alpha=0.6 if what == "training" else 1,
                label=f"{prefix}{what}",
            )


def _loss(row: Row, what: str) -> Any:
    return row.get("loss") if what == "training" else row.get("validation", {}).get("loss")
