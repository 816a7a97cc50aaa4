"""A search as its directory describes it: task, data, settings of all trials, space; no torch.

study.json     what is searched
journal.log    every trial, as optuna's journal has it
trials/        a run for each trial that is under way, and for the best one
best.toml, trials.csv, report.html
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recurra.config.options import check_options, option
from recurra.config.task_config import TaskConfig
from recurra.errors import ConfigError, RunError
from recurra.files import write_atomic
from recurra.runs.run_lock import LOCK_FILE, RunLock, check_free
from recurra.tasks.registry import check_early, config_of
from recurra.tuning.search_space import Space, default_space, space_from

__all__ = ["JOURNAL", "SettingsSearch", "alone", "begin_search", "search_at", "trial_folder"]

FILE, JOURNAL = "study.json", "journal.log"
_FORMAT = "recurra search 1"
_BETWEEN_TRIES = 0.05
"""Seconds."""
_OURS = (FILE, JOURNAL, "trials", "refit", "best.toml", "trials.csv", "report.html")


@dataclass(frozen=True, kw_only=True)
class SettingsSearch:
    """Trials of a task, all with `settings`, and each with others that `space` describes.

    `data` are files; none: in memory, or those that the settings name. `digests` are the SHA-256 of
    single files when the search began. Raises ConfigError for a setting or a range that is not
    allowed.

    >>> search = SettingsSearch(task="classify", space={"layers": [1, 2]})
    >>> search.ranges
    {'layers': ValueList(values=(1, 2))}
    """

    task: str
    data: tuple[str, ...] = ()
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    space: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    prune: bool = option(True, "end trials early that are worse than the median of the others")
    digests: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        check_options(self)
        self.config.of(self.settings)
        object.__setattr__(self, "ranges", space_from(self.config, self.space, self.settings))

    ranges: Space = dataclasses.field(init=False, default_factory=dict)

    @property
    def config(self) -> type[TaskConfig]:
        """The configuration of the task."""
        return config_of(self.task)

    @property
    def defaults(self) -> dict[str, Any]:
        """The task's own values of what is searched, as far as the space has them."""
        own = {field.name: field.default for field in dataclasses.fields(self.config)}
        own |= {name: "none" for name, value in own.items() if value is None}
        return {name: own[name] for name, range in self.ranges.items() if own[name] in range}

    @property
    def seed(self) -> int:
        """The seed of the trials, and of the search."""
        return self.config.of(self.settings).seed


def begin_search(
    folder: Path,
    task: str,
    data: Sequence[str | os.PathLike[str]],
    settings: Mapping[str, Any],
    space: Mapping[str, Any] | None,
    *,
    prune: bool | None = None,
    overwrite: bool = False,
) -> SettingsSearch:
    """The search of a directory: that which is there, or a new one.

    Without a `space` it is the task's default one. Of a search that is there everything may be left
    out. Raises RunError where other files are there, or a search that differs from what is given.
    """
    files = tuple(os.path.abspath(path) for path in data)
    there = None if overwrite else search_at(folder)
    if there is not None:
        given: dict[str, Any] = {"task": task, **({"data": files} if files else {})}
        given |= {} if space is None else {"space": space}
        given |= {} if prune is None else {"prune": prune}
        _check_same(folder, there, given, settings)
        _check_unchanged(folder, there)
        return there
    table = default_space(config_of(task), settings) if space is None else space
    search = SettingsSearch(
        task=task, data=files, settings=settings, space=table, prune=prune is not False
    )
    checked = search.config.of(settings)
    check_early(checked, files)
    search = dataclasses.replace(search, digests=_digests([*files, *checked.named_files]))
    _write(folder, search, overwrite=overwrite)
    return search


def _write(folder: Path, search: SettingsSearch, *, overwrite: bool) -> None:
    """Begin the search in a directory, unless another process has just done the same."""
    if overwrite:
        search_at(folder)  # files of others are not deleted
    try:
        (folder / "trials").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder} can't become a search: {error.strerror or error}.") from error
    with alone(folder):
        check_free(folder)
        if overwrite or search_at(folder) is None:
            _clear(folder)
            write_atomic(folder / FILE, (json.dumps(_as_json(search), indent=2) + "\n").encode())


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait until no other process begins the search, chooses a trial or records one."""
    lock = RunLock(folder)
    while True:
        try:
            lock.__enter__()
            break
        except RunError as error:
            if not isinstance(error.__cause__, BlockingIOError):
                raise
            time.sleep(_BETWEEN_TRIES)
    try:
        yield
    finally:
        lock.__exit__()


def search_at(folder: Path) -> SettingsSearch | None:
    """The search that a directory holds, None where it is empty or isn't there.

    Raises RunError where it holds other files, or where study.json is damaged.
    """
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file; a search is a directory: choose another --out.")
    names = {path.name for path in folder.iterdir()} if folder.exists() else set[str]()
    if not names - {f".{FILE}.tmp", "trials", LOCK_FILE}:
        return None
    try:
        saved = json.loads((folder / FILE).read_bytes())
        if saved.pop("format") != _FORMAT:
            raise ValueError
        return SettingsSearch(**{**saved, "data": tuple(saved["data"])})
    except ConfigError as error:
        raise RunError(f"{folder / FILE} doesn't fit this version of Recurra: {error}") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{folder} holds files that are not a search, or its {FILE} is damaged; choose another "
            "--out."
        ) from error


def trial_folder(folder: Path, number: int) -> Path:
    """Where a trial has its lock and, as `run`, its run."""
    return folder / "trials" / f"{number:04d}"


def _check_same(
    folder: Path, there: SettingsSearch, given: Mapping[str, Any], settings: Mapping[str, Any]
) -> None:
    saved = _as_json(there)
    pairs = [(name, value, saved[name]) for name, value in given.items()]
    pairs += [(name, value, there.settings.get(name)) for name, value in settings.items()]
    for name, new, old in pairs:
        if json.loads(json.dumps(new, default=str)) != old:
            raise RunError(
                f"{name} = {new!r} was given, and the search in {folder} has {old!r}; leave it "
                "out to continue that search, replace it with --overwrite (from Python: "
                "overwrite=True), or choose another --out."
            )


def _check_unchanged(folder: Path, there: SettingsSearch) -> None:
    """Refuse files with other contents than when the search began: trials would not compare."""
    now = _digests(list(there.digests))
    for path, digest in there.digests.items():
        if now.get(path) != digest:
            raise RunError(
                f"{path} has changed since the search in {folder} began (another SHA-256), so "
                "further trials could not be compared with those there; restore it, or choose "
                "another --out."
            )


def _digests(paths: Sequence[str]) -> dict[str, str]:
    """The SHA-256 of those that are files, by their absolute paths."""
    found = {}
    for path in map(os.path.abspath, paths):
        if os.path.isfile(path):
            with open(path, "rb") as file:
                found[path] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _as_json(search: SettingsSearch) -> dict[str, Any]:
    names = ("task", "data", "digests", "settings", "space", "prune")
    fields = {name: getattr(search, name) for name in names}
    return {"format": _FORMAT, **json.loads(json.dumps(fields, default=str))}


def _clear(folder: Path) -> None:
    """Delete the files of a search, and never any other."""
    for name in _OURS:
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    (folder / "trials").mkdir()
