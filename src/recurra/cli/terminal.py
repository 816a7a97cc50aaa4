"""The output of all verbs: tables, facts, trainings, evaluations, notes, text as it is written."""

from __future__ import annotations

import contextlib
import shlex
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from recurra.errors import RecurraWarning
from recurra.reports import TextTable
from recurra.settings import launched

if TYPE_CHECKING:
    from recurra.reports import Section
    from recurra.tasks.estimator import Estimator
    from recurra.tasks.task import Evaluation
    from recurra.training import TrainingResult

__all__ = [
    "new_table",
    "noted",
    "output",
    "show_evaluation",
    "show_facts",
    "show_interrupted",
    "show_resume",
    "show_table",
    "show_text",
    "show_trained",
]


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


@contextlib.contextmanager
def noted() -> Iterator[None]:
    """Show our warnings as plain sentences on stderr, each once; under torchrun the first process
    speaks for all.
    """
    shown: set[str] = set()
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any) -> None:
            if not issubclass(category, RecurraWarning):
                others(message, category, *where)
            elif launched().rank == 0 and str(message) not in shown:
                shown.add(str(message))
                click.echo(f"Note: {message}", err=True)

        warnings.simplefilter("always", RecurraWarning)
        warnings.showwarning = show  # type: ignore[assignment]
        yield


def show_trained(out: str, model: Estimator[Any, Any]) -> None:
    """The training of each member, how good the model is, a sample, and what to do next."""
    from recurra.tasks.description import training_section

    facts = model.facts()
    trained = any(result.steps > result.resumed_at for result in model.results)
    click.echo(f"\n{'Trained into' if trained else 'Trained before:'} {out}")
    _show_sections([training_section(model.results, model.config.seed, model.metric)])
    if model.validation is not None:
        show_evaluation("On the held-out data", model.validation)
    for section in facts.pictures:
        if isinstance(section.content, str):
            click.echo(f"\n{section.title}:\n\n{section.content}")
    click.echo(f"\nReport: {out}/report.html\n\nNext:")
    for command in facts.use:
        click.echo(f"  {command.format(run=shlex.quote(out))}")


def show_evaluation(title: str, evaluation: Evaluation) -> None:
    """Numbers and tables, then the remarks on them."""
    click.echo(f"\n{title}:")
    _show_sections(evaluation.sections)
    for remark in evaluation.remarks:
        _say(remark)


def show_interrupted(result: TrainingResult, out: str, task: str) -> None:
    """Where training stands and how to resume it."""
    steps = f"{result.steps:,} step" + ("" if result.steps == 1 else "s")
    click.echo(f"Saved after {steps}.")
    show_resume(out, task)


def show_resume(out: str, task: str) -> None:
    """How to resume a training from its last checkpoint."""
    click.echo("Resume with:")
    click.echo(f"  recurra train {task} --resume --out {shlex.quote(out)}")


def show_text(pieces: Iterable[str]) -> None:
    """Print each piece as it comes."""
    for piece in pieces:
        click.echo(piece, nl=False)
        sys.stdout.flush()
    click.echo()


def _show_sections(sections: Sequence[Section]) -> None:
    from recurra.reports import TextTable

    for section in sections:
        content = section.content
        if isinstance(content, TextTable):
            show_table(content)
        elif isinstance(content, Mapping):
            _show_facts(content)
        elif isinstance(content, str):
            _say(content)
        elif isinstance(content, Sequence):
            for sentence in content:
                _say(sentence)


def _show_facts(facts: Mapping[str, object]) -> None:
    """Names and short values side by side; long ones as sentences."""
    table = Table(show_header=False, box=None)
    sentences = [str(value) for value in facts.values() if len(str(value)) > _LONG]
    for name, value in facts.items():
        if len(str(value)) <= _LONG:
            table.add_row(name, str(value))
    if table.row_count:
        output().print(table)
    for sentence in sentences:
        _say(sentence)


_LONG = 60
"""Characters of a value that is shown as a sentence rather than in a column."""


def _say(text: str) -> None:
    screen = output()
    screen.print(text, markup=False, soft_wrap=not screen.is_terminal)
