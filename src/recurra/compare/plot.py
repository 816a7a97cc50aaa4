"""The pictures of a comparison: learning curves, and the table."""

import importlib.util
import io
import math
import statistics
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from recurra.compare.results import Outcome, Row
from recurra.compare.table import Findings, table_of
from recurra.errors import MissingExtra
from recurra.plots.gradient_curves import plot_flow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "curves_figure",
    "flow_figure",
    "image",
    "require_matplotlib",
    "table_figure",
]

COLOURS = (
    "#2f6db5",
    "#e0812f",
    "#3a9a52",
    "#c23b3b",
    "#7d5fb2",
    "#8a5a44",
    "#d66fb0",
    "#2aa8b8",
    "#a8a82e",
    "#444c52",
)
GREY = "#6b6b6b"
_APART = 0.045
"""Labels at the right edge stand at least so far apart, as a share of its height."""


def require_matplotlib() -> None:
    """Raise MissingExtra where matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtra("matplotlib", "plot", "Drawing a comparison")


def image(figure: "Figure", suffix: str) -> bytes:
    """A figure as a file's content, the same for the same figure; `suffix` is png or svg."""
    file = io.BytesIO()
    stamp = {"Date": None} if suffix == "svg" else {}
    figure.savefig(file, format=suffix, dpi=130, metadata=stamp)
    return file.getvalue()


def curves_figure(findings: Findings) -> "Figure":
    """Validation loss against steps: a line for the median over seeds, a band for all of them.

    Dashed lines are chance and published figures; a cross is where a training diverged.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for row, colour in zip(findings.rows, _colours(findings), strict=True):
        _draw_row(axes, row, colour)
    axes.set_yscale("log")
    axes.set_xlim(left=0)
    axes.set_xlabel("training steps")
    axes.set_ylabel(f"validation {findings.facts.loss}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    _draw_levels(axes, findings)
    _label_less_than_a_decade(axes)
    title = f"{findings.facts.title}: {_budget(findings)}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0, 1), ncols=6)
    return figure


def _colours(findings: Findings) -> list[str]:
    return [COLOURS[index % len(COLOURS)] for index in range(len(findings.rows))]


def _budget(findings: Findings) -> str:
    comparison = findings.comparison
    size = (
        f"{comparison.parameters:,} parameters"
        if comparison.parameters
        else f"{comparison.hidden} hidden units"
    )
    return f"{size}, {comparison.seeds} seed{'s' if comparison.seeds > 1 else ''}"


def _draw_row(axes: "Axes", row: Row, colour: str) -> None:
    curves = [dict(outcome.curve) for outcome in row.finished if outcome.curve]
    label = row.entry.label
    if curves:
        steps = sorted(set.intersection(*(set(curve) for curve in curves)))
        values = [sorted(curve[step] for curve in curves) for step in steps]
        middle = [statistics.median(column) for column in values]
        axes.plot(steps, middle, color=colour, linewidth=1.6, label=label)
        low, high = [column[0] for column in values], [column[-1] for column in values]
        axes.fill_between(steps, low, high, color=colour, alpha=0.18, linewidth=0)
    for outcome in row.outcomes:
        if outcome.diverged is not None:
            _draw_diverged(axes, outcome, colour, None if curves else f"{label}: diverged")
            curves = curves or [{}]


def _draw_diverged(axes: "Axes", outcome: Outcome, colour: str, label: str | None) -> None:
    steps, losses = zip(*(outcome.curve or [(0, math.nan)]), strict=True)
    axes.plot(steps, losses, color=colour, linewidth=1, linestyle=":", label=label)
    axes.plot(steps[-1], losses[-1], "x", color=colour, markersize=8, markeredgewidth=2)


def _draw_levels(axes: "Axes", findings: Findings) -> None:
    """A dashed line and a label at the right edge for chance and each published figure."""
    facts = findings.facts
    levels = []
    if facts.chance_loss is not None:
        levels.append((facts.chance_loss, "by chance"))
    if facts.measure == "loss":
        levels += [
            (figure.value, f"{figure.name} {figure.value:.3g}") for figure in facts.published
        ]
    for value, _ in levels:
        axes.axhline(value, color=GREY, linestyle="--", linewidth=0.8, zorder=1)
    _write_levels(axes, sorted(levels))
    if facts.measure == "loss" and facts.published:
        source = facts.published[0].source
        axes.annotate(
            f"dashed: {source}",
            (1, 0),
            xytext=(0, -30),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=8,
            color=GREY,
        )


def _label_less_than_a_decade(axes: "Axes") -> None:
    """Plain numbers where powers of ten are too far apart to be read off."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

    low, high = axes.get_ylim()
    if high < 10 * low:
        axes.yaxis.set_major_locator(MaxNLocator(6))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def _write_levels(axes: "Axes", levels: Sequence[tuple[float, str]]) -> None:
    """Labels beside the axes, pushed up where they would overlap."""
    # The limits are those of everything drawn, and stay.
    low, high = (math.log(value) for value in axes.get_ylim())
    axes.set_ylim(axes.get_ylim())
    wanted = [(math.log(value) - low) / (high - low) for value, _ in levels]
    for (_, text), place, level in zip(levels, _apart(wanted), wanted, strict=True):
        axes.annotate(
            text,
            (1, level),
            xytext=(1.03, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            fontsize=8,
            color=GREY,
            arrowprops={"arrowstyle": "-", "color": "#bbbbbb", "linewidth": 0.6},
            annotation_clip=False,
        )


def _apart(wanted: Sequence[float]) -> list[float]:
    """Places for labels, which are sorted: groups that would overlap are spread about their middle.

    >>> [round(place, 2) for place in _apart([0.1, 0.5, 0.5])]
    [0.1, 0.48, 0.52]
    """
    groups: list[list[float]] = []
    for place in wanted:
        groups.append([place])
        while len(groups) > 1 and _last(groups[-2]) + _APART > _spread(groups[-1])[0]:
            groups[-2:] = [groups[-2] + groups[-1]]
    return [place for group in groups for place in _spread(group)]


def _spread(group: Sequence[float]) -> list[float]:
    middle = sum(group) / len(group)
    return [middle + _APART * (index - (len(group) - 1) / 2) for index in range(len(group))]


def _last(group: Sequence[float]) -> float:
    return _spread(group)[-1]


def flow_figure(findings: Findings, *, trained: bool) -> "Figure | None":
    """The gradient's norm by steps back from the loss, of the seed in the middle of each cell.

    None where no cell has one yet.
    """
    found = {
        row.entry.label: (row.horizon if trained else row.horizon_at_start, colour)
        for row, colour in zip(findings.rows, _colours(findings), strict=True)
    }
    known = {label: (reach, colour) for label, (reach, colour) in found.items() if reach}
    if not known:
        return None
    return plot_flow(
        {label: reach.norms for label, (reach, _) in known.items()},
        f"{findings.facts.title}, {'after' if trained else 'before'} training",
        strides={label: reach.stride for label, (reach, _) in known.items()},
        colours=[colour for _, colour in known.values()],
    )


def table_figure(findings: Findings) -> "Figure":
    """The table with each cell's colour of the learning curves beside its name."""
    from matplotlib.figure import Figure

    table = table_of(findings)
    notes = [line for note in table.notes for line in textwrap.wrap(note, 130)]
    lines = 1 + len(table.rows) + len(table.others)
    height = 0.34 * lines + 0.2 * len(notes) + 0.5
    figure = Figure(figsize=(12, height))
    axes = figure.add_axes((0.01, 0, 0.98, 1))
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(height, 0)
    edges = _edges([table.columns, *table.rows, *table.others])
    colours = [None, *_colours(findings), *[None] * len(table.others)]
    for index, cells in enumerate([table.columns, *table.rows, *table.others]):
        y = 0.35 + 0.34 * index
        plain = index == 0 or index > len(table.rows)
        _write_row(axes, cells, edges, y, GREY if plain else "#222222")
        if (colour := colours[index]) is not None:
            axes.plot([0.004], [y], "s", color=colour, markersize=9, clip_on=False)
        axes.axhline(
            y + 0.17, color="#999999" if index in (0, len(table.rows)) else "#e3e3e3", lw=0.7
        )
    for index, note in enumerate(notes):
        axes.text(0, 0.35 + 0.34 * lines + 0.2 * index, note, fontsize=8, color=GREY, va="center")
    return figure


def _edges(lines: Sequence[Sequence[str]]) -> list[float]:
    """Where each column ends, as wide as its longest text; the first is aligned to the left."""
    widths = [max(len(line[column]) for line in lines) + 3 for column in range(len(lines[0]))]
    total = sum(widths)
    return [sum(widths[: column + 1]) / total for column in range(len(widths))]


def _write_row(
    axes: "Axes", cells: Sequence[str], edges: Sequence[float], y: float, colour: str
) -> None:
    axes.text(0.016, y, cells[0], va="center", fontsize=10, color=colour)
    for text, edge in zip(cells[1:], edges[1:], strict=True):
        axes.text(edge, y, text, va="center", ha="right", fontsize=10, color=colour)
