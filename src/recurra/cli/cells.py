"""`recurra cells [CELL]`."""

import dataclasses
import inspect
import textwrap

import click

from recurra.cells import CELLS, Cell, load
from recurra.ir.show import parameters

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
    width = max(map(len, CELLS))
    for name, cell in CELLS.items():
        click.echo(f"{click.style(f'{name:<{width}}', bold=True)}  {_summary(cell)}")
    click.echo("\n`recurra cells NAME` shows a cell's equations, parameters and source.")
    click.echo("One of your own is named package.module:Class wherever a cell is asked for.")


def _show_one(name: str, cell: Cell) -> None:
    click.echo(f"{click.style(name, bold=True)}: {_summary(cell)}\n")
    remarks = inspect.cleandoc(type(cell).__doc__ or "").partition("\n")[2].strip()
    if remarks:
        click.echo(textwrap.indent(remarks, "  ") + "\n")
    click.echo(textwrap.indent(cell.show(), "    "))
    click.echo("\n  Parameters")
    rows = sorted(parameters(cell.graph()), key=_place)
    width = max([4, *(len(param) for param, _, _ in rows)])
    for param, gates, shape in rows:
        of_gates = f"for each of {gates}" if gates else ""
        click.echo(f"    {param:<{width}} {shape:<28} {of_gates}".rstrip())
    if cell.options():
        options = ", ".join(f"{key} = {value!r}" for key, value in cell.options().items())
        click.echo(f"\n  Options: {options}")
    if cell.source:
        click.echo(f"\n  {cell.source}")


def _place(row: tuple[str, str, str]) -> tuple[int, str]:
    """Parameters in the order of `step`, then those of the norms, which it doesn't name."""
    return (len(row[0]), row[0]) if row[0].startswith("norm") else (0, "")


def _summary(cell: Cell) -> str:
    """The first line of the class's docstring, and the options where they aren't the defaults."""
    summary = (type(cell).__doc__ or "").strip().partition("\n")[0]
    options = {
        name: value for name, value in cell.options().items() if value != _default(cell, name)
    }
    return summary + "".join(f" Here with {name} = {value}." for name, value in options.items())


def _default(cell: Cell, name: str) -> object:
    return next(field.default for field in dataclasses.fields(cell) if field.name == name)
