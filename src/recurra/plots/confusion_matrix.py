"""Confusion matrices: shares of actual classes by predicted class; of many, the most confused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.plots.figure import (
    COLOURS,
    COLUMN,
    PAPER,
    add_title,
    new_figure,
    shortened,
    styled,
    verbatim,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_confusion"]

RIGHT, WRONG = COLOURS[0], COLOURS[1]
"""Colours of the diagonal and of mistakes."""
_OPACITY = 0.7
"""Opacity of a cell that has all of its row: on a light page and on a dark one the text's contrast
is 5 or more."""
_ROOT = 0.4
_FEW = 5
"""Up to so many classes a cell shows its count as well as its share."""
_NAME = 1.15
"""The width in inches of a name, which is cut where it is longer."""
_ABREAST = 42
"""Up to so many letters of names stand beside one another under the columns."""


@styled
def plot_confusion(counts: Any, names: Sequence[str], title: str = "", *, most: int = 15) -> Figure:
    """Draw counts (K, K), or weights, by actual class (rows) and predicted class (columns).

    Cells show the share of the row, in percent. Of more than `most` classes those that are most
    confused with one another are drawn, in their order, and a column with all others. Raises
    ValueError where numbers of counts and names differ.
    """
    table = np.asarray(counts, dtype=float)
    if table.shape != (len(names), len(names)) or not len(names):
        raise ValueError(
            f"counts {table.shape} and {len(names)} names: give (K, K) counts and K names"
        )
    chosen = _most_confused(table, most)
    cells, columns = table[np.ix_(chosen, chosen)], [names[place] for place in chosen]
    others = len(names) - len(chosen)
    if others:
        rest = table[chosen].sum(1) - cells.sum(1)
        cells = np.column_stack([cells, rest])
        columns = [*columns, f"{others:,} others"]
    size = _letters(len(chosen))
    rows = [f"{_cut(names[place], size)} ({table[place].sum():,.6g})" for place in chosen]
    figure = _draw(cells, rows, [_cut(name, size) for name in columns], size)
    add_title(figure, verbatim(title))
    return figure


def _most_confused(table: Any, most: int) -> list[int]:
    """At most so many classes in ascending order: those of the pairs with the most mistakes."""
    if len(table) <= most:
        return list(range(len(table)))
    places = np.stack(np.triu_indices(len(table), 1), 1)
    mistakes = (table + table.T)[tuple(places.T)]
    ranked = places[np.argsort(-mistakes, kind="stable")].ravel().tolist()
    return sorted(list(dict.fromkeys(ranked))[:most])


def _letters(rows: int) -> int:
    """The size of names and numbers, in points."""
    return 9 if rows <= 10 else 8


def _cut(name: str, size: int) -> str:
    return shortened(name, _NAME * 10 / size)


def _draw(cells: Any, rows: Sequence[str], columns: Sequence[str], size: int) -> Figure:
    height = min(0.62, 4.2 / len(rows))
    is_steep = len(columns) > _FEW or max(map(len, columns)) * len(columns) > _ABREAST
    figure = new_figure(COLUMN, height * len(rows) + (1.7 if is_steep else 1.0))
    axes = figure.subplots()
    totals = cells.sum(1, keepdims=True)
    shares = np.divide(cells, totals, out=np.zeros_like(cells), where=totals > 0)
    axes.pcolormesh(_colours(shares), edgecolors=PAPER, linewidth=1)
    axes.invert_yaxis()
    _write_numbers(axes, cells, shares, size)
    style: dict[str, Any] = {"fontsize": size, "rotation": 90 if is_steep else 0}
    axes.set_xticks(np.arange(len(columns)) + 0.5, [verbatim(name) for name in columns], **style)
    axes.set_yticks(np.arange(len(rows)) + 0.5, [verbatim(row) for row in rows], fontsize=size)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted (% of the row)", fontsize=9)
    axes.set_ylabel("actual (items)", fontsize=9)
    return figure


def _colours(shares: Any) -> Any:
    from matplotlib.colors import to_rgb

    is_right = np.eye(*shares.shape)[..., None] == 1
    colours = np.where(is_right, to_rgb(RIGHT), to_rgb(WRONG))
    # By a root, so that few mistakes can be seen, too.
    return np.concatenate([colours, _OPACITY * shares[..., None] ** _ROOT], -1)


def _write_numbers(axes: Axes, cells: Any, shares: Any, size: int) -> None:
    for (row, column), share in np.ndenumerate(shares):
        if not share:
            continue
        text = _percent(share)
        if len(cells) <= _FEW:
            text = f"{text} %\n{cells[row, column]:,.6g}"
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=size)


def _percent(share: float) -> str:
    """A share in percent, of which 100 is all.

    >>> _percent(0.004), _percent(0.25), _percent(0.998), _percent(1)
    ('<1', '25', '>99', '100')
    """
    if share < 0.01:
        return "<1"
    return ">99" if 0.99 < share < 1 else f"{100 * share:.0f}"
