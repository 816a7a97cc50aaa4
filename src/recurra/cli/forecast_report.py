"""What the verbs print of forecasters: a training, a judgement, the head of a table, notes."""

import contextlib
import shlex
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from recurra.tasks.forecast.evaluation.backtest import Backtest
    from recurra.tasks.forecast.frames import DataFrame
    from recurra.training import TrainingResult

__all__ = ["noted", "show_head", "show_judgement", "show_next", "show_trained"]

WIDTH = 110
_HEAD = 10


@contextlib.contextmanager
def noted() -> Iterator[None]:
    """Tell warnings about series as plain sentences on stderr, each once."""
    from recurra.tasks.forecast import ForecastWarning

    told: set[str] = set()
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any) -> None:
            if not issubclass(category, ForecastWarning):
                others(message, category, *where)
            elif str(message) not in told:
                told.add(str(message))
                click.echo(f"Note: {message}", err=True)

        warnings.simplefilter("always", ForecastWarning)
        warnings.showwarning = show  # type: ignore[assignment]
        yield


def show_trained(out: str, results: "Sequence[TrainingResult]", seed: int) -> None:
    """How each member was trained."""
    from recurra.tasks.forecast.facts import training_table

    click.echo(f"\nTrained into {out}")
    table = training_table(results, seed)
    _show(table.columns, table.rows)


def show_judgement(title: str, found: "Backtest", remarks: Sequence[str]) -> None:
    """The model beside the baselines, the verdict, coverage, and what has to be known of them."""
    from recurra.tasks.forecast.facts import judgement_table, quality_of

    table, told = judgement_table(found.judgement, brief=True), quality_of(found)
    click.echo(f"\n{title}: {told['judged on']}")
    _show(table.columns, table.rows)
    console = _console()
    for text in (told["verdict"], told["coverage"], told.get("left out"), *remarks):
        if text:
            console.print(str(text), markup=False, soft_wrap=not console.is_terminal)


def show_head(found: "DataFrame", *, highest: bool = False) -> None:
    """The first rows of a table, or with `highest` those with the highest scores."""
    chosen = found.nlargest(_HEAD, "score") if highest else found.head(_HEAD)
    cells = {str(name): [_cell(value) for value in chosen[name]] for name in chosen.columns}
    _narrow(cells, _console().width)
    _show(list(cells), list(zip(*cells.values(), strict=True)))
    if len(found) > len(chosen):
        which = "The highest scores of" if highest else "The first of"
        click.echo(f"{which} {len(found):,} rows; -o FILE.csv writes them all.")


def show_next(out: str, *, ahead: bool) -> None:
    """What can be done with the run now; `ahead`: its model reads columns of the steps to come."""
    run = shlex.quote(out)
    future = " --future-data next.csv" if ahead else ""
    click.echo(f"\nReport: {out}/report.html\n\nNext:")
    click.echo(f"  recurra forecast {run}{future} -o forecast.csv --plot forecast.png")
    click.echo(f"  recurra evaluate {run} --backtest 5")


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


def _show(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(columns):
        made.add_column(name, justify="right" if index else "left", no_wrap=True)
    for row in rows:
        made.add_row(*row)
    _console().print(made)


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH)
