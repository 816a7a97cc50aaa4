"""The curves of a training, drawn by matplotlib where it is installed."""

import importlib.util
import io
from collections.abc import Mapping, Sequence
from typing import Any

from recurra.errors import MissingExtra

__all__ = ["curves_svg"]

Row = Mapping[str, Any]


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
