"""`recurra train TASK`: one command for every task, made from the task's configuration."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import click

from recurra.cli.app import LazyGroup
from recurra.cli.config_options import Field, Sectioned, given, options_for
from recurra.cli.failures import exit_code
from recurra.config.options import read_settings
from recurra.config.task_config import NetworkConfig, TaskConfig
from recurra.config.training_config import TrainingConfig
from recurra.runs.run import check_place
from recurra.settings import launched
from recurra.tasks.registry import TASKS, check_early, config_of

__all__ = ["command"]


class TaskGroup(LazyGroup):
    """The built-in tasks, and any of a user's own as package.module:Class."""

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return _command(name, config_of(name)) if name in TASKS or ":" in name else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in TASKS and Path(args[0]).is_file():
            ctx.fail(f"{args[0]} is a file; name a task first: {', '.join(TASKS)}.")
        if ":" in args[0]:
            return args[0], self.get_command(ctx, args[0]), args[1:]
        return super().resolve_command(ctx, args)


@click.group(
    name="train",
    cls=TaskGroup,
    verbs={name: ("", config_of(name).summary) for name in TASKS},
)
def command() -> None:
    """Train a model of a task: one below, or one of your own, package.module:Class."""


def _command(name: str, config: type[TaskConfig]) -> click.Command:
    """The command that trains a task; every setting is an option."""
    sections = _sections(config)
    fields = [field for part in sections.values() for field in part]

    @click.command(
        name=name,
        cls=Sectioned,
        sections={title: [field.name for field in part] for title, part in sections.items()},
        usual=config.usual,
        help=_help(name, config),
    )
    @click.argument("data", nargs=-1, metavar="[FILE...]", type=click.Path(path_type=Path))
    @click.option("--out", required=True, metavar="RUN", help="directory of the run")
    @click.option(
        "--config", "file", metavar="FILE.toml", help="settings from a file; options here win"
    )
    @click.option("--resume", is_flag=True, help="resume the run from its last checkpoint")
    @click.option("--overwrite", is_flag=True, help="replace the run that is there")
    @options_for(config, fields)
    def train(
        data: tuple[Path, ...],
        out: str,
        file: str | None,
        resume: bool,
        overwrite: bool,
        **options: Any,
    ) -> None:
        _train(name, config, data, out, file, resume, overwrite, given(options))

    return train


def _train(
    name: str,
    config: type[TaskConfig],
    data: tuple[Path, ...],
    out: str,
    file: str | None,
    resume: bool,
    overwrite: bool,
    options: dict[str, Any],
) -> None:
    if resume:
        settings = read_settings(file, options, dict)
    else:
        settings = read_settings(file, options, config.of)
        check_early(config.of(settings), data)
        if launched().world_size == 1:  # else another process may have made the run already
            check_place(Path(out), overwrite=overwrite)

    # torch takes a second to load: not before what was asked for is known to make sense.
    from recurra.cli.terminal import noted, show_interrupted, show_resume, show_trained
    from recurra.tasks.registry import estimator_of

    estimator = estimator_of(name)
    model = estimator.resuming(out, settings) if resume else estimator(**settings)
    try:
        with noted():
            model.fit(data or None, out=out, resume=resume, overwrite=overwrite, progress=True)
    except KeyboardInterrupt:
        if model.run is not None:
            show_resume(out, name)
        raise
    if model.results[-1].stopped == "interrupted":
        show_interrupted(model.results[-1], out, name)
        sys.exit(exit_code(model.results[-1]))
    show_trained(out, model)


def _help(name: str, config: type[TaskConfig]) -> str:
    return (
        f"{config.summary}\n\nEvery setting, here and under --help-all, is also a key of the file "
        "of --config, with _ for -; a setting whose default is none is taken away again by none."
    )


def _sections(config: type[TaskConfig]) -> dict[str, list[Field]]:
    """The settings by title: the task's own groups, then its model, its network, its training."""
    groups = {name: title for title, names in config.groups.items() for name in names}
    training, network, every = (
        {field.name for field in dataclasses.fields(owner)}
        for owner in (TrainingConfig, NetworkConfig, TaskConfig)
    )
    titles = [*config.groups, "Model", "Recurrent layers", "Ensembles and warm starts", "Training"]
    sections: dict[str, list[Field]] = {title: [] for title in titles}
    for field in dataclasses.fields(config):
        if field.name in ("data", *config.inapplicable):
            continue
        if field.name in groups:
            title = groups[field.name]
        elif field.name in training:
            title = "Training"
        elif field.name in network:
            title = "Recurrent layers"
        else:
            title = "Ensembles and warm starts" if field.name in every else "Model"
        sections[title].append(field)
    return sections
