"""A command for every task, made from the task's configuration; for several verbs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from recurra.cli.app import LazyGroup
from recurra.cli.config_options import Field, Sectioned, options_for
from recurra.config.task_config import NetworkConfig, TaskConfig
from recurra.config.training_config import TrainingConfig
from recurra.tasks.registry import TASKS, config_of

__all__ = ["TaskGroup", "task_command"]

Maker = Callable[[str, type[TaskConfig]], click.Command]


class TaskGroup(LazyGroup):
    """The built-in tasks, and any of a user's own as package.module:Class.

    `maker` makes the command of a task's name and configuration.
    """

    def __init__(self, *args: Any, maker: Maker, **kwargs: Any) -> None:
        verbs = {name: ("", config_of(name).summary) for name in TASKS}
        super().__init__(*args, verbs=verbs, **kwargs)
        self._maker = maker

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return self._maker(name, config_of(name)) if name in TASKS or ":" in name else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in TASKS and Path(args[0]).is_file():
            ctx.fail(f"{args[0]} is a file; name a task first: {', '.join(TASKS)}.")
        if ":" in args[0]:
            return args[0], self.get_command(ctx, args[0]), args[1:]
        return super().resolve_command(ctx, args)


def task_command(
    name: str, config: type[TaskConfig], help: str
) -> Callable[[Callable[..., None]], click.Command]:
    """Decorate what a verb does with a task: files are its `data`, every setting is an option."""
    sections = _sections(config)
    fields = [field for part in sections.values() for field in part]

    def decorate(function: Callable[..., None]) -> click.Command:
        command = click.command(
            name=name,
            cls=Sectioned,
            sections={title: [field.name for field in part] for title, part in sections.items()},
            usual=config.usual,
            help=help,
        )
        files = click.argument(
            "data", nargs=-1, metavar="[FILE...]", type=click.Path(path_type=Path)
        )
        made: click.Command = command(files(options_for(config, fields)(function)))
        return made

    return decorate


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
