"""How the members of an ensemble learnt: their losses over the steps."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from recurra.errors import MissingExtra
from recurra.plots.figure import COLOURS, INK, clean, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["curves_svg", "plot_learning"]


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


def curves_svg(rows: Sequence[Row]) -> str:
    """Loss, learning rate and gradient norm over the steps, as an SVG element.

    `rows` are the lines of a run's metrics.jsonl. Raises MissingExtra without matplotlib.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtra("matplotlib", "plot", "Drawing the curves of a training")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6.4), layout="constrained")
    loss, rate, norm = figure.subplots(3, 1, sharex=True, height_ratios=(3, 1, 1))
    trained = [row for row in rows if "loss" in row]
    steps = [row["step"] for row in trained]
    loss.plot(steps, [row["loss"] for row in trained], label="training", linewidth=1)
    held_out = [row for row in rows if "validation" in row]
    if held_out:
        values = [row["validation"]["loss"] for row in held_out]
        loss.plot([row["step"] for row in held_out], values, "o-", label="validation", markersize=4)
    loss.set_ylabel("loss (nats)")
    loss.legend(frameon=False)
    rate.plot(steps, [row["learning_rate"] for row in trained], linewidth=1)
    rate.set_ylabel("learning rate")
    norm.semilogy(steps, [row["gradient_norm"] for row in trained], linewidth=1)
    norm.set_ylabel("gradient norm")
    norm.set_xlabel("step")
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :]
