"""What all pictures share: a figure, its colours, and how it becomes SVG or PNG."""

from __future__ import annotations

import importlib.util
import io
from typing import TYPE_CHECKING

from recurra.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "GREY", "INK", "clean", "new_figure", "png", "readable", "svg"]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6a51a3", "#7f7f7f")
"""Told apart by colour-blind eyes too (M. Okabe and K. Ito), repeated where there are more."""
INK, GREY = "#222222", "#8a8a8a"


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that size in inches. Raises MissingExtra without matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtra("matplotlib", "plot", "Drawing a network")
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def svg(figure: Figure) -> str:
    """A figure as an SVG element, the same for the same figure; it loads nothing."""
    from matplotlib import rc_context

    file = io.StringIO()
    with rc_context({"svg.hashsalt": "recurra"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :]


def png(figure: Figure, dpi: int = 110) -> bytes:
    """A figure as the bytes of a PNG."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    return file.getvalue()


def clean(axes: Axes) -> None:
    """Leave out the frame's upper and right side, and make the rest light."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(color=GREY, labelcolor=INK, labelsize=9)


def readable(label: str) -> str:
    """A token as it stands under a picture: spaces and line ends can be seen."""
    shown = label.replace("\n", "↵").replace("\t", "→").replace(" ", "·")
    # A dollar sign would start mathematics.
    return shown.replace("$", r"\$")
