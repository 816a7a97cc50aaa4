"""Attention: how much each token of a source counted for each token that was written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.plots.figure import (
    COLOURS,
    COLUMN,
    add_title,
    new_figure,
    shortened,
    styled,
    verbatim,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_attention"]

_MOST = 40
"""Tokens of either side that are drawn."""
_NAME = 1.15
"""The width in inches of a token, which is cut where it is longer."""
_CELL = 0.26
"""The height in inches of a row."""


@styled
def plot_attention(
    weights: Any, source: Sequence[str], written: Sequence[str], title: str = ""
) -> Figure:
    """Draw weights (L, S) of L written tokens (rows) over S tokens of the source (columns).

    Of more than 40 on a side the first 40 are drawn. Raises ValueError where numbers of weights and
    tokens differ.
    """
    table = np.asarray(weights, dtype=float)
    if table.shape != (len(written), len(source)) or not table.size:
        raise ValueError(
            f"weights {table.shape}, {len(written)} written tokens and {len(source)} of the "
            "source: give (L, S) weights, one or more of each."
        )
    table, source, written = table[:_MOST, :_MOST], source[:_MOST], written[:_MOST]
    size = 9 if len(source) <= 20 else 7
    figure = new_figure(COLUMN, _CELL * len(written) + 1.6)
    axes = figure.subplots()
    axes.pcolormesh(_colours(table))
    axes.invert_yaxis()
    style: dict[str, Any] = {"fontsize": size, "rotation": 90}
    places = np.arange(len(source)) + 0.5
    axes.set_xticks(places, [verbatim(shortened(t, _NAME)) for t in source], **style)
    rows = np.arange(len(written)) + 0.5
    axes.set_yticks(rows, [verbatim(shortened(t, _NAME)) for t in written], fontsize=size)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("source", fontsize=9)
    axes.set_ylabel("written", fontsize=9)
    add_title(figure, verbatim(title))
    return figure


def _colours(weights: Any) -> Any:
    """The accent colour, as opaque as the weight is great; by a root, so that little is seen."""
    from matplotlib.colors import to_rgb

    shares = np.clip(weights, 0, 1) ** 0.7
    colour = np.broadcast_to(to_rgb(COLOURS[0]), (*weights.shape, 3))
    return np.concatenate([colour, shares[..., None]], -1)
