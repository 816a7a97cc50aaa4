"""`recurra predict RUN FILE...`: the answers of a run's model, a row for each sequence or step."""

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

FORMATS = ("csv", "jsonl", "conll")
_BY_ENDING = {".jsonl": "jsonl", ".ndjson": "jsonl", ".conll": "conll", ".tsv": "conll"}


@click.command(name="predict")
@click.argument("run", metavar="RUN")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("-o", "--out", metavar="FILE", help="write there, not to the screen")
@click.option("--format", "form", type=click.Choice(FORMATS), help="[by --out, else csv]")
def command(run: str, files: tuple[str, ...], out: str | None, form: str | None) -> None:
    """Write what RUN's model answers to the sequences of FILEs, a row each.

    \b
    recurra predict runs/intents questions.csv -o answers.csv
    recurra predict runs/tags texts.txt -o tagged.conll

    A tagger has a row for each step, or with jsonl lists for each sequence; conll has a line for
    each token, and an empty one after each sequence. A sequence that can't be read has a row with
    the reason, and the others are answered.
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
    form = form or _BY_ENDING.get(Path(out or "").suffix, "csv")
    text = {"jsonl": _lines, "conll": _conll, "csv": _table}[form](rows)
    if out is None:
        click.echo(text, nl=False)
    else:
        _write(text, out)
    bad = sum("error" in row for row in rows)
    if bad:
        click.echo(f"{bad:,} of {len(rows):,} sequences can't be read: see their rows.", err=True)


def _lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _conll(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line for each token with its tags behind tabs, an empty line after each sequence.

    A sequence that can't be read is a comment.
    """
    blocks = []
    for row in rows:
        if "error" in row:
            blocks.append(f"# {row['error']}\n")
            continue
        columns = [
            cells
            for name, cells in row.items()
            if isinstance(cells, list) and not name.endswith("probability")
        ]
        if "token" not in row:
            raise click.UsageError("conll is for the tags of tokens; give --format csv or jsonl.")
        blocks.append("".join("\t".join(cells) + "\n" for cells in zip(*columns, strict=True)))
    return "\n".join(blocks) + "\n" * bool(blocks)


def _table(given: Sequence[Mapping[str, Any]]) -> str:
    rows = [row for each in given for row in _steps(each)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _steps(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A row for each step, from 1, where cells are lists of steps; else the row itself."""
    lists = {name: cells for name, cells in row.items() if isinstance(cells, list)}
    if not lists:
        return [row]
    rest = {name: cell for name, cell in row.items() if name not in lists}
    return [
        {**rest, "step": number, **dict(zip(lists, cells, strict=True))}
        for number, cells in enumerate(zip(*lists.values(), strict=True), start=1)
    ]


def _cell(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


def _write(text: str, out: str) -> None:
    from recurra.files import write_atomic

    try:
        write_atomic(Path(out), text.encode())
    except OSError as error:
        raise DataError(f"{out} can't be written: {error.strerror or error}.") from error
    click.echo(f"Written: {out}")
