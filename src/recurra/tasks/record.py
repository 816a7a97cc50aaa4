"""config.json of a run, of any task: its content, and what a load or a resume must find the same.

task, task_digest      the task's name, and the SHA-256 of its code
recurra                the version that trained
settings               every setting
cells                  the SHA-256 of each cell's equations
sources                the parts of the data: name, path, SHA-256
context                what travels with the weights: a vocabulary, say
start                  what weights begin with that isn't drawn, as a sentence
taken                  the names of the weights that were taken over from another run
artefacts, results     written when the training is complete
completed              the SHA-256 of the model.safetensors that these two belong to
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor, nn

from recurra import __version__
from recurra.cells import Cell
from recurra.config.task_config import TaskConfig
from recurra.config.training_config import EXTENDABLE, must_not_differ
from recurra.errors import RunError, RunWarning
from recurra.runs.run import Run
from recurra.tasks.task import Source, Task
from recurra.training import TrainingResult

__all__ = [
    "artefacts_of",
    "cell_digests",
    "check_cells",
    "check_readable",
    "check_sources",
    "check_task",
    "join_tensors",
    "read_config",
    "recorded",
    "reopened",
    "result_of",
    "resumed_config",
    "settings_of",
    "split_tensors",
    "write_record",
]

Config = TypeVar("Config", bound=TaskConfig)

_ARTEFACT = "artefact."
_PLACES = ("data",)
"""Settings that say where data lie: they may have moved, and are compared by content."""


def write_record(
    task: Task[Any, Any, Any],
    data: Any,
    models: Sequence[nn.Module],
    start: str | None = None,
    taken: Sequence[str] = (),
) -> dict[str, Any]:
    """Everything needed to build the model, to read the data again and to know them."""
    return {
        "task": task.name(),
        "task_digest": _code_digest(type(task)),
        "recurra": __version__,
        "settings": settings_of(task.config),
        "cells": cell_digests(models),
        "sources": [dataclasses.asdict(source) for source in task.sources(data)],
        "context": dict(task.context),
        **({} if start is None else {"start": start}),
        **({"taken": list(taken)} if taken else {}),
    }


def recorded(task: Task[Config, Any, Any], data: Any, read: Any) -> Config:
    """The configuration as a run keeps it: with absolute paths, so that it can be read again."""
    config = task.record(task.config, read)
    items = config.data if data is None else data
    items = [items] if isinstance(items, (str, os.PathLike)) else items
    listed = isinstance(items, (list, tuple))
    in_memory = any(source.path is None for source in task.sources(read))
    paths = () if in_memory or not listed else tuple(os.path.abspath(item) for item in items)
    return dataclasses.replace(config, data=paths, start=_absolute(config.start))


def settings_of(config: TaskConfig) -> dict[str, Any]:
    """The settings as JSON has them."""
    return dataclasses.asdict(config)


def read_config(run: Run, task: type[Task[Config, Any, Any]]) -> Config:
    """The configuration of a run; RunError where the run is of another task."""
    name = run.config.get("task")
    if name != task.name():
        raise RunError(
            f"{run.path} is a run of task {name!r}, not of {task.name()!r}; recurra.load takes "
            "runs of every task."
        )
    return task.configuration.of(run.config["settings"])  # type: ignore[return-value]


def resumed_config(
    run: Run, task: type[Task[Config, Any, Any]], given: Mapping[str, Any]
) -> Config:
    """A run's configuration with what was given besides; ConfigError for what may not change."""
    config = read_config(run, task)
    again = task.configuration.of({**run.config["settings"], **given})
    again = dataclasses.replace(again, start=_absolute(again.start))
    places = (*_PLACES, *task.configuration.places)
    allowed = (*EXTENDABLE, *places)
    for name in given:
        old, new = getattr(config, name), getattr(again, name)
        if name not in allowed:
            must_not_differ(name, new, old, str(run.path))
    changed = {name: getattr(again, name) for name in given if name in allowed}
    return dataclasses.replace(config, **changed)


def _absolute(path: str | None) -> str | None:
    return None if path is None else os.path.abspath(path)


def reopened(run: Run, config: TaskConfig) -> dict[str, Any]:
    """config.json of a run that is trained further."""
    return {**run.config, "settings": settings_of(config)}


def artefacts_of(run: Run, members: int) -> Mapping[str, Any]:
    """What a run keeps of its product as JSON; nothing where its weights have changed since.

    Members of an ensemble are joined at the end of a training, and stay so until the next one's.
    Raises RunError where they have never been.
    """
    if members > 1 and not (run.path / "model.safetensors").exists():
        raise RunError(
            f"{run.path} is not trained to its end: its {members} members are joined there; resume "
            "it with --resume (from Python: resume=True)."
        )
    is_whole = run.config.get("completed") == run.model_digest()
    found: Mapping[str, Any] = run.config.get("artefacts", {}) if is_whole else {}
    return found


def check_sources(run: Run, sources: Sequence[Source]) -> None:
    """Raise RunError, naming the file, where the data are not those the run was trained on."""
    known = [Source(**source) for source in run.config["sources"]]
    counts = {name: len([s for s in known if s.name == name]) for name in {s.name for s in known}}
    for name, count in sorted(counts.items()):
        given = len([source for source in sources if source.name == name])
        if given != count:
            raise RunError(
                f"{run.path} was trained on {count} of {name}, and {given} were given; give the "
                "same, or leave them out."
            )
    for old, new in zip(known, sources, strict=True):
        if old.sha256 != new.sha256:
            raise RunError(
                f"{new.path or 'The data in memory'} differs from what {run.path} was trained on "
                "(another SHA-256); restore it, or train a new run."
            )


def check_readable(run: Run) -> None:
    """Raise RunError for a run that was trained on data in memory, which it can't read again."""
    if any(source["path"] is None for source in run.config["sources"]):
        raise RunError(f"{run.path} was trained on data in memory, not on a file; give the data.")


def check_cells(run: Run, models: Sequence[nn.Module]) -> None:
    """Raise RunError, naming the cell, where its equations are not those of the training."""
    now = cell_digests(models)
    for name, digest in run.config["cells"].items():
        if now.get(name, digest) != digest:
            raise RunError(
                f"The equations of cell {name} have changed since {run.path} was trained; restore "
                "them, or train a new run."
            )


def check_task(run: Run, task: Task[Any, Any, Any], *, strict: bool) -> None:
    """Warn where the task's code has changed since; with `strict`, to resume, raise RunError."""
    if run.config.get("task_digest") == _code_digest(type(task)):
        return
    text = (
        f"The code of task {task.name()} has changed since {run.path} was trained "
        f"(by recurra {run.config.get('recurra')})"
    )
    if strict:
        raise RunError(f"{text}; restore it, or train a new run.")
    warnings.warn(f"{text}: its figures may differ.", RunWarning, stacklevel=3)


def join_tensors(models: Sequence[nn.Module], artefacts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of model.safetensors: weights, a prefix for each of several members."""
    tensors: dict[str, Tensor] = {}
    for number, model in enumerate(models):
        prefix = f"member{number}." if len(models) > 1 else ""
        tensors |= {f"{prefix}{name}": value for name, value in model.state_dict().items()}
    return tensors | {f"{_ARTEFACT}{name}": value for name, value in artefacts.items()}


def split_tensors(
    tensors: Mapping[str, Tensor], members: int
) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
    """The weights of each member, and the artefacts."""
    artefacts = _below(_ARTEFACT, tensors)
    weights = {name: value for name, value in tensors.items() if not name.startswith(_ARTEFACT)}
    if members == 1:
        return [weights], artefacts
    return [_below(f"member{number}.", weights) for number in range(members)], artefacts


def result_of(result: TrainingResult) -> dict[str, Any]:
    """A training's result as JSON."""
    numbers = dataclasses.asdict(result)
    del numbers["path"], numbers["resumed_at"]
    return numbers


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}


def cell_digests(models: Sequence[nn.Module]) -> dict[str, str]:
    """The digest of every cell in the models, by the cell's name."""
    parts = (getattr(module, "cell", None) for model in models[:1] for module in model.modules())
    return {type(cell).__name__: cell.digest() for cell in parts if isinstance(cell, Cell)}


@functools.cache
def _code_digest(task: type[Task[Any, Any, Any]]) -> str:
    """The SHA-256 of the task's source files: of its package, or of its module."""
    try:
        file = Path(inspect.getsourcefile(task) or "")
    except TypeError:  # written at a prompt
        return ""
    files = sorted(file.parent.rglob("*.py")) if (file.parent / "__init__.py").exists() else [file]
    total = hashlib.sha256()
    for path in files:
        if path.is_file():
            total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()
