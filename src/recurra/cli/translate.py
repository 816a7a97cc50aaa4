"""`recurra translate RUN FILE`: what the sources of a file become."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recurra.cli.config_options import given, options_for
from recurra.data import check_exists
from recurra.errors import DataError
from recurra.tasks.registry import check_run
from recurra.tasks.translate.config import Generation

if TYPE_CHECKING:
    from recurra.tasks.translate import Translation

__all__ = ["command"]

_LINE, _MANY = 1, 1000
"""Sources translated together: of a terminal or a pipe each as it comes, of a file many."""


@click.command(name="translate")
@click.argument("run", metavar="RUN")
@click.argument("file", metavar="FILE")
@click.option("-o", "--out", metavar="FILE", help="write there, not to the screen")
@click.option("--nbest", type=click.IntRange(min=1), default=1, help="so many results of each")
@click.option("--scores", is_flag=True, help="the score before each result, with tabs between")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="a line of JSON for each source: results, tokens, log-probabilities, attention, alignment",
)
@click.option("--prefix", metavar="TEXT", help="what each result begins with")
@click.option(
    "--sample",
    is_flag=True,
    help="draw a result of each source at random, to write sources for texts that have none",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="of --sample [0]")
@click.option("--source", metavar="COLUMN", help="the column of a table's sources")
@options_for(Generation, dataclasses.fields(Generation))
def command(
    run: str,
    file: str,
    out: str | None,
    nbest: int,
    scores: bool,
    as_json: bool,
    prefix: str | None,
    sample: bool,
    seed: int,
    source: str | None,
    **options: Any,
) -> None:
    """Write what each source of FILE becomes, a line for each.

    \b
    recurra translate runs/german news.de -o news.en --beam 5
    echo "ein hund läuft" | recurra translate runs/german -

    A FILE of - is standard input, whose lines are translated as they come. A table (.csv, .tsv,
    .jsonl) gives its column of sources. With --nbest or --scores a line has the number of its
    source, the score, and the text.
    """
    check_run(run)
    if file != "-":
        check_exists(file)
    if sample and (nbest > 1 or prefix or given(options)):
        raise click.UsageError(
            "--sample draws one result of each source; leave out --nbest, --prefix and the options "
            "of the search."
        )

    from recurra.cli.terminal import noted
    from recurra.data.pairs.source_texts import read_sources
    from recurra.tasks.translate import Translator

    with noted():
        model = Translator.load(run)
        together = _LINE if file == "-" else _MANY
        sources = read_sources(file, source=source)
        if sample:
            found = model.drawn(sources, together=together, seed=seed)
        else:
            found = model.stream(
                sources, nbest=nbest, together=together, prefix=prefix, **given(options)
            )
        lines = (
            _line(number, one.text, results, scores or nbest > 1, as_json)
            for number, (one, results) in enumerate(found, start=1)
        )
        _write(lines, out)


def _line(number: int, text: str, results: list[Translation], scored: bool, as_json: bool) -> str:
    """What is written of one source."""
    if as_json:
        shown = [dataclasses.asdict(one) | {"alignment": one.alignment} for one in results]
        return json.dumps({"source": text, "results": shown}, ensure_ascii=False) + "\n"
    if scored:
        return "".join(f"{number}\t{one.score:.4f}\t{one.text}\n" for one in results)
    return (results[0].text if results else "") + "\n"


def _write(lines: Iterator[str], out: str | None) -> None:
    if out is None:
        for line in lines:
            sys.stdout.write(line)
            sys.stdout.flush()
        return
    from recurra.files import write_atomic

    text = "".join(lines)
    try:
        write_atomic(Path(out), text.encode())
    except OSError as error:
        raise DataError(f"{out} can't be written: {error.strerror or error}.") from error
    click.echo(f"Written: {out}")
