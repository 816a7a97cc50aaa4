"""`recurra compare [PROBLEM]`."""

import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

import click

from recurra.cells import CELLS
from recurra.cli.config_options import given
from recurra.cli.failures import exit_code
from recurra.compare.comparison import Comparison, comparison_at, comparison_from
from recurra.config.options import read_settings
from recurra.errors import ConfigError, RecurraError
from recurra.tasks.registry import check_early, config_of, contests

__all__ = ["command"]

_LISTED = "\n".join(
    f"{name:<17} {config_of(task).summary_of(name)}" for name, (task, _) in contests().items()
)
_HELP = f"""Train several cells on one problem under one budget, side by side.

Each training has a process of its own. A table shows quality, parameters, speed, memory and the
horizon of the gradients; the directory of --out holds it, the learning curves and every run.

\b
{_LISTED}

In the file of --config, [cells.LABEL] holds the settings of one cell. Every setting of the
problem's task is allowed in the file, and with --set. --resume needs only --out.
"""


@click.command(name="compare", help=_HELP)
@click.argument("problem", required=False)
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--cells", metavar="CELLS", help="names separated by commas: rnn,lstm,gru")
@click.option("--out", required=True, metavar="DIR", help="directory of the comparison")
@click.option("--config", metavar="FILE.toml", help="settings from a file; options here win")
@click.option("--length", type=int, metavar="NUMBER", help="T of a long-range problem")
@click.option("--parameters", type=int, metavar="NUMBER", help="learnt numbers of each model")
@click.option("--hidden", type=int, metavar="NUMBER", help="instead: hidden units of each [64]")
@click.option("--steps", type=int, metavar="NUMBER", help="steps of each training [2000]")
@click.option("--minutes", type=float, metavar="NUMBER", help="minutes of each training [none]")
@click.option("--test", metavar="FILE", multiple=True, help="data to test each training on, once")
@click.option("--test-where", metavar="ROWS", help="rows to test on: split=test")
@click.option("--seeds", type=int, metavar="NUMBER", help="trainings of each cell [3]")
@click.option("--batch", "batch_size", type=int, metavar="NUMBER", help="sequences of a batch [32]")
@click.option("--learning-rate", type=float, metavar="NUMBER", help="the highest learning rate")
@click.option(
    "--set",
    "more",
    multiple=True,
    metavar="KEY=VALUE",
    help="any other setting, as in a TOML file: layers=2, schedule=cosine",
)
@click.option(
    "--rates",
    metavar="RATES",
    help="learning rates of which each cell gets its best: 1e-3,3e-3,1e-2",
)
@click.option(
    "--jobs", type=click.IntRange(1), default=1, show_default=True, help="trainings at a time"
)
@click.option("--resume", is_flag=True, help="resume the comparison in --out")
@click.option("--overwrite", is_flag=True, help="replace the comparison in --out")
def command(
    out: str,
    config: str | None,
    cells: str | None,
    files: tuple[str, ...],
    more: tuple[str, ...],
    rates: str | None,
    test: tuple[str, ...],
    jobs: int,
    resume: bool,
    overwrite: bool,
    **options: Any,
) -> None:
    """Compare, with progress, and print the table."""
    if files and files[0] in CELLS:
        raise click.UsageError(
            f"{files[0]} is a cell; --cells takes names with commas between and no spaces: "
            "--cells rnn,lstm."
        )
    names = [name.strip() for name in cells.split(",")] if cells else None
    listed = {"only": names, "data": list(files) or None}
    listed["rates"] = _rates(rates) if rates else None
    listed["test"] = list(test) or None
    chosen = {**given({**options, **listed}), **_more(more)}
    if resume and not (config or chosen):
        comparison = comparison_at(Path(out))
    else:
        comparison = comparison_from(read_settings(config, chosen, comparison_from))
        for label in comparison.cells:
            _check(comparison, label)

    # torch takes a second to load: only once the settings are known to be valid.
    from recurra.cli.compare_report import ComparisonBars, show_findings
    from recurra.compare import compare

    try:
        with ComparisonBars() as bars:
            findings = compare(
                comparison, out=out, resume=resume, overwrite=overwrite, jobs=jobs, progress=bars
            )
    except KeyboardInterrupt as interrupt:
        click.echo("Saved, the trainings that have ended and the others. Resume with:", err=True)
        click.echo(f"  recurra compare --resume --out {shlex.quote(out)}", err=True)
        sys.exit(exit_code(interrupt))
    show_findings(findings, out)


def _rates(text: str) -> list[Any]:
    """Numbers between commas; what is not a number stays a text, which is refused by name."""
    words = text.split(",")
    try:
        return [float(word) for word in words]
    except ValueError:
        return list(words)


def _check(comparison: Comparison, label: str) -> None:
    try:
        check_early(config_of(comparison.task).of(comparison.settings(label)), comparison.test)
    except RecurraError as error:
        raise type(error)(f"{label}: {error}") from error


def _more(words: tuple[str, ...]) -> dict[str, Any]:
    """Read KEY=VALUE words as settings; a value that is not valid TOML is a text."""
    settings: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key.isidentifier():
            raise ConfigError(f"--set {word}: give a setting as KEY=VALUE: layers=2.")
        try:
            settings |= tomllib.loads(f"{key} = {text}")
        except tomllib.TOMLDecodeError:
            settings[key] = text
    return settings
