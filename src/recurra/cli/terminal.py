"""The output of all verbs: one kind of table, and facts by name."""

from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from recurra.reports import TextTable

__all__ = ["new_table", "output", "show_facts", "show_table"]

WIDTH = 120
"""The width of what is written into a file or a pipe."""


def output() -> Console:
    """Standard output, as wide as the terminal if it is one."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH)


def new_table(columns: Sequence[str], text_columns: int = 1) -> Table:
    """A table without rows; the first `text_columns` are aligned to the left, the rest right."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(columns):
        table.add_column(name, justify="left" if index < text_columns else "right")
    return table


def show_table(table: TextTable) -> None:
    """Print a table, its rows apart in grey, and its notes."""
    made = new_table(table.columns, table.text_columns)
    for row in table.rows:
        made.add_row(*row)
    if table.others:
        made.add_section()
    for row in table.others:
        made.add_row(*row, style="dim")
    console = output()
    console.print(made)
    for note in table.notes:
        console.print(note, markup=False)


def show_facts(title: str, facts: Mapping[str, str]) -> None:
    """Print facts by name under a title."""
    table = Table(title=title, title_justify="left", show_header=False, box=None)
    for name, value in facts.items():
        table.add_row(name, value)
    console = output()
    console.print()
    console.print(table)
