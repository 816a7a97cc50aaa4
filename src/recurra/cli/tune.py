"""`recurra tune TASK`: a search for good settings of a task."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from recurra.cli.config_options import given
from recurra.cli.failures import exit_code
from recurra.cli.task_group import TaskGroup, task_command
from recurra.config.options import read_settings
from recurra.config.task_config import TaskConfig
from recurra.runs.run import Run
from recurra.tuning.search_space import space_from
from recurra.tuning.settings_search import SettingsSearch, begin_search, search_at
from recurra.tuning.study import require_optuna

__all__ = ["command"]

_HELP = """

Each trial trains with other settings, in a process of its own; the best validation counts. The
directory of --out holds the table of trials, best.toml for `recurra train --config`, and the best
trial's run. The same command again continues an interrupted search, with a higher --trials a
finished one, and from another terminal works on it as well.

Without --space a default one is searched: learning rate, hidden size, layers, cell, dropout, weight
decay, batch size and what else the task has. What is given here, or in --config, is the same in all
trials; --max-minutes, --max-steps or --epochs is the budget of each.
"""


def _command(name: str, config: type[TaskConfig]) -> click.Command:
    """The command that searches settings of a task."""

    @task_command(name, config, config.summary + _HELP)
    @click.option("--out", required=True, metavar="DIR", help="directory of the search")
    @click.option(
        "--trials", type=click.IntRange(1), default=30, show_default=True, help="trials in all"
    )
    @click.option("--space", metavar="FILE.toml", help="the settings to search, with their ranges")
    @click.option(
        "--config", "file", metavar="FILE.toml", help="settings of all trials; options here win"
    )
    @click.option(
        "--jobs", type=click.IntRange(1), default=1, show_default=True, help="trials at a time"
    )
    @click.option(
        "--prune/--no-prune",
        default=None,
        help="end trials early that are worse than the median of the others [on]",
    )
    @click.option("--refit", is_flag=True, help="then train with the best settings, into DIR/refit")
    @click.option("--overwrite", is_flag=True, help="replace the search that is there")
    def tune(
        data: tuple[Path, ...],
        out: str,
        trials: int,
        space: str | None,
        file: str | None,
        jobs: int,
        prune: bool | None,
        refit: bool,
        overwrite: bool,
        **options: Any,
    ) -> None:
        settings = read_settings(file, given(options), dict)
        continued = search_at(Path(out)) is not None and not overwrite
        if not continued:
            settings = read_settings(file, given(options), config.of)
        table = None if space is None else _space(space, config, settings)
        require_optuna()
        search = begin_search(
            Path(out), name, data, settings, table, prune=prune, overwrite=overwrite
        )
        _tune(out, search, trials, jobs, refit=refit)

    return tune


@click.group(name="tune", cls=TaskGroup, maker=_command)
def command() -> None:
    """Search for good settings of a task: one below, or your own, package.module:Class."""


def _space(path: str, config: type[TaskConfig], settings: dict[str, Any]) -> dict[str, Any]:
    """The table of a file, checked."""
    return read_settings(path, {}, lambda table: space_from(config, table, settings))


def _tune(out: str, search: SettingsSearch, trials: int, jobs: int, *, refit: bool) -> None:
    # torch takes a second to load: not before what was asked for is known to make sense.
    from recurra.cli.train import train_shown
    from recurra.cli.tune_report import TuningBars, show_tuned
    from recurra.tuning import tune

    try:
        with TuningBars() as bars:
            tuned = tune(search.task, out=out, trials=trials, jobs=jobs, progress=bars)
    except KeyboardInterrupt as interrupt:
        click.echo("Saved, the trials that have ended and the others. Continue with:", err=True)
        again = f"recurra tune {search.task} --out {shlex.quote(out)} --trials {trials}"
        click.echo(f"  {again}", err=True)
        sys.exit(exit_code(interrupt))
    show_tuned(tuned, refits=refit)
    if refit and tuned.best is not None and tuned.has_budget:
        place = Path(out) / "refit"
        data = [Path(path) for path in search.data]
        resume = not Run.has_room(place)
        settings = {} if resume else tuned.settings
        train_shown(search.task, settings, data, str(place), resume=resume)
