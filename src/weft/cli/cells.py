"""`weft cells [CELL]`."""

import dataclasses
import textwrap

import click

from weft.cells import CELLS, Cell, load
from weft.ir.show import parameters

__all__ = ["command"]


@click.command(name="cells")
@click.argument("cell", required=False, metavar="[CELL]")
def command(cell: str | None) -> None:
    """List the cells, or show the equations of one: a name, or package.module:Class."""
    if cell is None:
        _show_all()
    else:
        _show_one(cell, load(cell))


def _show_all() -> None:
    for name, cell in CELLS.items():
        _show_one(name, cell)
        click.echo()
    click.echo("One of your own is named package.module:Class wherever a cell is asked for.")


def _show_one(name: str, cell: Cell) -> None:
    click.echo(f"{click.style(name, bold=True)}: {_summary(cell)}\n")
    click.echo(textwrap.indent(cell.show(), "    "))
    click.echo("\n  Parameters")
    for param, gates, shape in parameters(cell.graph()):
        click.echo(f"    {param:<4} {shape:<28} {f'for each of {gates}' if gates else ''}".rstrip())
    if cell.source:
        click.echo(f"\n  {cell.source}")


def _summary(cell: Cell) -> str:
    """The first line of the class's docstring, and the options where they aren't the defaults."""
    summary = (type(cell).__doc__ or "").strip().partition("\n")[0]
    options = {
        name: value for name, value in cell.options().items() if value != _default(cell, name)
    }
    return summary + "".join(f" Here with {name} = {value}." for name, value in options.items())


def _default(cell: Cell, name: str) -> object:
    return next(field.default for field in dataclasses.fields(cell) if field.name == name)
