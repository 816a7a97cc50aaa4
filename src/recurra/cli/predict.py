"""`recurra predict RUN FILE...`: the answers of a run's model, a row for each sequence."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from recurra.data import check_exists
from recurra.errors import DataError
from recurra.tasks.registry import check_run

__all__ = ["command"]

FORMATS = ("csv", "jsonl")


@click.command(name="predict")
@click.argument("run", metavar="RUN")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("-o", "--out", metavar="FILE", help="write there, not to the screen")
@click.option("--format", "form", type=click.Choice(FORMATS), help="[by --out, else csv]")
def command(run: str, files: tuple[str, ...], out: str | None, form: str | None) -> None:
    """Write what RUN's model answers to the sequences of FILEs, a row each.

    \b
    recurra predict runs/intents questions.csv -o answers.csv

    A sequence that can't be read has a row with the reason, and the others are answered.
    """
    check_run(run)
    for file in files:
        check_exists(file)

    from recurra.cli.terminal import noted
    from recurra.tasks.registry import load

    with noted():
        model = load(run)
        if not hasattr(model, "predictions"):
            raise click.UsageError(
                f"{run} is a run of the task {model.task.name()}, which has a command of its own; "
                "`recurra --help` lists them."
            )
        rows = model.predictions([Path(file) for file in files])
    form = form or ("jsonl" if out and out.endswith((".jsonl", ".ndjson")) else "csv")
    text = _lines(rows) if form == "jsonl" else _table(rows)
    if out is None:
        click.echo(text, nl=False)
    else:
        _write(text, out)
    bad = sum("error" in row for row in rows)
    if bad:
        click.echo(f"{bad:,} of {len(rows):,} sequences can't be read: see their rows.", err=True)


def _lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


def _write(text: str, out: str) -> None:
    from recurra.files import write_atomic

    try:
        write_atomic(Path(out), text.encode())
    except OSError as error:
        raise DataError(f"{out} can't be written: {error.strerror or error}.") from error
    click.echo(f"Written: {out}")
