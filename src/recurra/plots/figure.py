"""The one style of all pictures: palette, figure, and a figure as SVG, PNG or PDF."""

from __future__ import annotations

import functools
import importlib.util
import io
from collections.abc import Callable, Iterable
from html import escape
from typing import TYPE_CHECKING, Any, ParamSpec

from recurra.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "COLUMN",
    "FORMATS",
    "GREY",
    "GRID",
    "INK",
    "PAPER",
    "add_title",
    "image",
    "legend_columns",
    "line_style",
    "log_ticks",
    "new_figure",
    "require_matplotlib",
    "shortened",
    "styled",
    "svg",
    "verbatim",
    "visible",
]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Categories, in the order they are used: the colours of M. Okabe and K. Ito, "Color Universal
Design" (2008, https://jfly.uni-koeln.de/color), which colour-blind readers can distinguish. Their
black and yellow are left out: one vanishes on a dark page, the other on a white one."""
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (6, 1.5, 1.5, 1.5)))
"""Line styles, one for each round through the colours."""

# Odd values that no data has, so that `svg` can replace them by the colours of its page.
INK, GREY, GRID, PAPER = "#222426", "#6e7276", "#e3e5e7", "#fdfefe"
_OF_PAGE = {INK: "ink", GREY: "muted", GRID: "grid", PAPER: "paper"}

FORMATS = (".png", ".svg", ".pdf")
_DPI = 160

COLUMN = 5.6
"""The width in inches of pictures for a page: two stand side by side on a wide page, and on a
narrow one their texts can still be read."""
_DATES = {"svg": "Date", "pdf": "CreationDate"}

_STYLE: dict[Any, Any] = {  # the keys are literals of matplotlib's own types
    "font.size": 10,
    "text.color": INK,
    "figure.facecolor": "white",
    "figure.titlesize": 11,
    "axes.facecolor": "none",
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.labelsize": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.axisbelow": True,
    "axes.prop_cycle": f"cycler('color', {list(COLOURS)})",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "legend.title_fontsize": 9,
    "legend.labelcolor": INK,
    **{f"{axis}tick.color": GREY for axis in "xy"},
    **{f"{axis}tick.labelcolor": INK for axis in "xy"},
    **{f"{axis}tick.labelsize": 9 for axis in "xy"},
}

Arguments = ParamSpec("Arguments")


def require_matplotlib() -> None:
    """Raise MissingExtra where matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtra("matplotlib", "plot", "Drawing")


def styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Decorate a function that draws a figure: it has the style, or raises MissingExtra."""

    @functools.wraps(draw)
    def draw_in_style(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        require_matplotlib()
        from matplotlib import rc_context

        with rc_context(_STYLE):
            return draw(*args, **kwargs)

    return draw_in_style


def new_figure(width: float, height: float) -> Figure:
    """Create an empty figure of that size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def add_title(figure: Figure, title: str) -> None:
    """Write a title above all panels, at the left."""
    if title:
        figure.suptitle(title, x=0.01, ha="left")


def line_style(index: int) -> dict[str, Any]:
    """Colour and dashes of the line of that index: colours first, then dashed ones.

    >>> line_style(0) == line_style(6)
    False
    """
    rounds, place = divmod(index, len(COLOURS))
    return {"color": COLOURS[place], "linestyle": DASHES[rounds % len(DASHES)]}


def legend_columns(labels: Iterable[str], width: float) -> int:
    """The number of columns of a legend of that width in inches, by its longest label.

    >>> legend_columns(["lstm", "gru"], 5.6), legend_columns(["a" * 60], 5.6)
    (5, 1)
    """
    longest = max((len(label) for label in labels), default=0)
    return max(1, int(width / (0.6 + 0.085 * longest)))


def shortened(text: str, width: float) -> str:
    """A text that is cut where it is longer than so many inches, in letters of 10 points.

    >>> shortened("abc", 1), shortened("a series with a long name", 1)
    ('abc', 'a series wi…')
    """
    most = max(1, int(width / 0.083))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def log_ticks(axes: Axes) -> None:
    """Scale y by logarithms; label plain numbers where powers of ten are too far apart."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

    axes.set_yscale("log")
    low, high = axes.get_ylim()
    if high < 10 * low:
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def image(figure: Figure, suffix: str) -> bytes:
    """A figure as the content of a file, the same for the same figure; `suffix` is in FORMATS."""
    return _saved(figure, suffix.removeprefix("."))


def svg(figure: Figure, label: str = "") -> str:
    """A figure as an SVG element, the same for the same figure; it loads nothing.

    The `label` is for those who hear a page read.

    It is transparent, and takes the colours of text and axes from the variables --ink, --muted,
    --grid and --paper of its page, so that it fits a light page and a dark one.
    """
    text = _saved(figure, "svg", facecolor="none").decode()
    name = f' aria-label="{escape(label)}"' if label else ""
    element = f'<svg role="img"{name}{text[text.index("<svg") + 4 :]}'
    for colour, name in _OF_PAGE.items():
        element = element.replace(colour, f"var(--{name}, {colour})")
    return element


def _saved(figure: Figure, kind: str, **how: Any) -> bytes:
    from matplotlib import rc_context

    file = io.BytesIO()
    metadata = {_DATES[kind]: None} if kind in _DATES else {}
    with rc_context({"svg.hashsalt": "recurra"}):
        figure.savefig(file, format=kind, dpi=_DPI, metadata=metadata, **how)
    return file.getvalue()


def verbatim(text: str) -> str:
    """A text that is drawn as it is: a dollar sign would start mathematics."""
    return text.replace("$", r"\$")


def visible(label: str) -> str:
    """A token as it is drawn, with visible spaces, tabs and line ends."""
    return verbatim(label.replace("\n", "↵").replace("\t", "→").replace(" ", "·"))
