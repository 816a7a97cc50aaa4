"""The head of a table of forecasts on the terminal."""

from typing import TYPE_CHECKING, Any

import click

from recurra.cli.terminal import output, show_table
from recurra.reports import TextTable

if TYPE_CHECKING:
    from recurra.tasks.forecast.frames import DataFrame

__all__ = ["show_head"]

_HEAD = 10


def show_head(found: "DataFrame", *, highest: bool = False) -> None:
    """The first rows of a table, or with `highest` those with the highest scores."""
    chosen = found.nlargest(_HEAD, "score") if highest else found.head(_HEAD)
    cells = {str(name): [_cell(value) for value in chosen[name]] for name in chosen.columns}
    _narrow(cells, output().width)
    show_table(TextTable(list(cells), list(zip(*cells.values(), strict=True))))
    if len(found) > len(chosen):
        which = "The highest scores of" if highest else "The first of"
        click.echo(f"{which} {len(found):,} rows; -o FILE.csv writes them all.")


def _cell(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value).removesuffix(" 00:00:00")


def _narrow(cells: dict[str, list[str]], width: int) -> None:
    """Leave out intervals and quantiles, the last ones first, until the table has room."""
    kinds = dict.fromkeys(name.rpartition("-")[2] for name in cells if name.startswith("recurra-"))
    for kind in reversed(kinds):
        if sum(3 + max(map(len, [head, *column])) for head, column in cells.items()) <= width:
            return
        for name in [name for name in cells if name.startswith("recurra-") and name.endswith(kind)]:
            del cells[name]
