"""`recurra train TASK`: one command for every task, made from the task's configuration."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from recurra.cli.config_options import given
from recurra.cli.failures import exit_code
from recurra.cli.task_group import TaskGroup, task_command
from recurra.config.options import read_settings
from recurra.config.task_config import TaskConfig
from recurra.runs.run import check_place
from recurra.settings import launched
from recurra.tasks.registry import check_early

__all__ = ["command", "train_shown"]


def _command(name: str, config: type[TaskConfig]) -> click.Command:
    """The command that trains a task; every setting is an option."""

    @task_command(name, config, _help(config))
    @click.option("--out", required=True, metavar="RUN", help="directory of the run")
    @click.option(
        "--config", "file", metavar="FILE.toml", help="settings from a file; options here win"
    )
    @click.option("--resume", is_flag=True, help="resume the run from its last checkpoint")
    @click.option("--overwrite", is_flag=True, help="replace the run that is there")
    def train(
        data: tuple[Path, ...],
        out: str,
        file: str | None,
        resume: bool,
        overwrite: bool,
        **options: Any,
    ) -> None:
        if resume:
            settings = read_settings(file, given(options), dict)
        else:
            settings = read_settings(file, given(options), config.of)
            check_early(config.of(settings), data)
            if launched().world_size == 1:  # else another process may have made the run already
                check_place(Path(out), overwrite=overwrite)
        train_shown(name, settings, data, out, resume=resume, overwrite=overwrite)

    return train


@click.group(name="train", cls=TaskGroup, maker=_command)
def command() -> None:
    """Train a model of a task: one below, or one of your own, package.module:Class."""


def train_shown(
    name: str,
    settings: Mapping[str, Any],
    data: Sequence[Path],
    out: str,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> None:
    """Train a task into the run `out`, with progress, and show what it came to."""
    # torch takes a second to load: not before what was asked for is known to make sense.
    from recurra.cli.terminal import noted, show_interrupted, show_resume, show_trained
    from recurra.tasks.registry import estimator_of

    estimator = estimator_of(name)
    model = estimator.resuming(out, settings) if resume else estimator(**settings)
    try:
        with noted():
            model.fit(
                list(data) or None, out=out, resume=resume, overwrite=overwrite, progress=True
            )
    except KeyboardInterrupt:
        if model.run is not None:
            show_resume(out, name)
        raise
    if model.results[-1].stopped == "interrupted":
        show_interrupted(model.results[-1], out, name)
        sys.exit(exit_code(model.results[-1]))
    show_trained(out, model)


def _help(config: type[TaskConfig]) -> str:
    return (
        f"{config.summary}\n\nEvery setting, here and under --help-all, is also a key of the file "
        "of --config, with _ for -; a setting whose default is none is taken away again by none."
    )
