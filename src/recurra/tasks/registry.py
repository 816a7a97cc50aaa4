"""Tasks by name, loaded when they are needed; a task of a user's own is `package.module:Class`."""

from __future__ import annotations

import difflib
import importlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import recurra.cells
from recurra.config.task_config import TaskConfig
from recurra.data import check_exists
from recurra.errors import ConfigError, RunError

if TYPE_CHECKING:
    from recurra.tasks.estimator import Estimator
    from recurra.tasks.task import Task

__all__ = [
    "TASKS",
    "check_early",
    "check_run",
    "config_of",
    "contest_named",
    "contests",
    "estimator_of",
    "load",
    "task_named",
]

TASKS = (
    *("classify", "forecast", "language", "regress", "tag", "transcribe", "translate"),
    "long-range",
)
"""The names of the built-in tasks; the package of each gives `configuration` and `task`."""


def config_of(name: str) -> type[TaskConfig]:
    """The configuration of a task, for the built-in ones without loading torch.

    Raises ConfigError for a task that does not exist.
    """
    if name not in TASKS:
        return task_named(name).configuration
    package = name.replace("-", "_")
    found: type[TaskConfig] = importlib.import_module(f"recurra.tasks.{package}.config").CONFIG
    return found


def check_early(config: TaskConfig, data: Sequence[str | os.PathLike[str]]) -> None:
    """Raise, without loading torch, what is known of a cell, files or a run that don't exist."""
    from recurra.runs.run import Run

    recurra.cells.load(config.cell)
    for path in (*data, *config.data, *config.named_files):
        check_exists(path)
    if config.start is not None:
        Run.open(config.start)


def check_run(run: str | os.PathLike[str], file: str | os.PathLike[str] | None = None) -> None:
    """Raise, without loading torch, for a run that can't be read or a file that doesn't exist."""
    from recurra.runs.run import Run

    Run.open(run)
    if file is not None:
        check_exists(file)


def task_named(name: str) -> type[Task[Any, Any, Any]]:
    """The class of a task; ConfigError for one that does not exist."""
    if name in TASKS:
        package = name.replace("-", "_")
        return _checked(name, importlib.import_module(f"recurra.tasks.{package}.task").TASK)
    module, colon, attribute = name.partition(":")
    if not colon:
        raise ConfigError(
            f"There is no task {name!r}; the tasks are {', '.join(TASKS)}, and one of your own is "
            "named package.module:Class."
        )
    try:
        found = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise ConfigError(f"{name}: there is no module {error.name!r}.") from error
    except AttributeError as error:
        raise ConfigError(f"{name}: module {module} has no {attribute!r}.") from error
    return _checked(name, found)


def estimator_of(name: str) -> type[Estimator[Any, Any]]:
    """The estimator of a task."""
    from recurra.tasks.estimator import estimator_for

    return estimator_for(task_named(name))


def load(path: str | os.PathLike[str]) -> Estimator[Any, Any]:
    """Load the trained model of a run, of whatever task.

    Raises RunError where the run is missing, damaged or unfinished, where its task is not at hand,
    or where its cell's equations have changed.

    Example:
        >>> import tempfile, recurra
        >>> out = tempfile.mkdtemp()
        >>> model = recurra.LanguageModel(hidden=8, max_steps=1, window=16, valid_fraction=0.001)
        >>> recurra.load(model.fit(out=out).run.path)
        LanguageModel(hidden=8, max_steps=1, valid_fraction=0.001, window=16)
    """
    from recurra.runs.run import Run

    task = Run.open(path).config.get("task")
    try:
        estimator = estimator_of(str(task))
    except ConfigError as error:
        raise RunError(f"{path} is a run of task {task!r}. {error}") from error
    return estimator.load(path)


def contests() -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Everything cells can be compared on: its name, its task, and the settings that make it."""
    return {
        contest: (name, settings)
        for name in TASKS
        for contest, settings in config_of(name).contests.items()
    }


def contest_named(name: str) -> tuple[str, Mapping[str, Any]]:
    """The task and the settings of a contest; a task of a user's own is one by its own name.

    Raises ConfigError for a contest that does not exist.
    """
    known = contests()
    if name in known:
        return known[name]
    if ":" in name:
        return name, {}
    given = f"There is no problem {name!r}" if name else "No problem given"
    if near := difflib.get_close_matches(name, known, n=1):
        raise ConfigError(f"{given}; did you mean {near[0]}?")
    raise ConfigError(
        f"{given}; the problems are {', '.join(known)}, or a task of your own, "
        "package.module:Class."
    )


def _checked(name: str, found: Any) -> type[Task[Any, Any, Any]]:
    from recurra.tasks.task import Task

    if not (isinstance(found, type) and issubclass(found, Task)):
        raise ConfigError(f"{name} is {found!r}; it must be a subclass of recurra.tasks.task.Task.")
    return found
