"""The configuration of a comparison: problem, cells, budget; importable without torch."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from recurra.config.training_config import check_options, config_from_mapping, option
from recurra.errors import ConfigError, RunError
from recurra.tasks.registry import config_of, contest_named

__all__ = ["FILE", "Comparison", "comparison_at", "comparison_from", "folder_name"]

FILE = "comparison.json"

_STEPS = 2000
_OURS = {
    "max_steps": "steps",
    "max_minutes": "minutes",
    "seed": "seeds",
}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Cells trained on one problem under one budget; an invalid value raises ConfigError.

    `cells` holds for each label the settings of its own, with `cell` where the label is not the
    cell's name; `shared` the settings of all of them. Both are named as the problem's task does.
    With `rates` every cell is given the learning rate, of these, whose validation is best after a
    third of the budget with seed 0. Each training is tested once: on the files `test`, or on the
    rows `test_where` of them, or of the data; without both on what the task holds out.

    >>> Comparison(problem="adding", cells={"gru": {}}, hidden=8).steps
    2000
    """

    problem: str = option("", "a long-range problem, a task, or package.module:Class of your own")
    cells: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    parameters: int | None = option(
        None, "learnt numbers of each model, as near as its hidden size allows", minimum=1
    )
    hidden: int | None = option(
        None, "hidden units of each model, instead of parameters", minimum=1
    )
    steps: int | None = option(None, f"training steps of each run; {_STEPS} without", minimum=1)
    minutes: float | None = option(None, "minutes of each training", above=0)
    seeds: int = option(3, "trainings of each cell, with seeds from 0 on", minimum=1, maximum=1000)
    rates: tuple[float, ...] = ()
    test: tuple[str, ...] = ()
    test_where: str | None = option(None, "rows to test on: split=test")
    shared: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        contest_named(self.problem)
        check_options(self)
        self._check_cells()
        if self.parameters and self.hidden:
            raise ConfigError(
                f"parameters = {self.parameters} and hidden = {self.hidden}; give one of the two."
            )
        if not (self.parameters or self.hidden):
            object.__setattr__(self, "hidden", 64)
        if not (self.steps or self.minutes):
            object.__setattr__(self, "steps", _STEPS)
        self._check_rates()
        self._check_test()

    @property
    def tested(self) -> dict[str, Any]:
        """What the evaluation of each training is given: the files as `data`, and `where`."""
        files = self.test or tuple(self.shared.get("data") or ())
        where = {} if self.test_where is None else {"where": self.test_where}
        return {"data": files[0] if len(files) == 1 else list(files), **where}

    @property
    def is_tested(self) -> bool:
        """Whether trainings are tested on data of their own."""
        return bool(self.test) or self.test_where is not None

    @property
    def task(self) -> str:
        """The name of the task that the problem is of."""
        return contest_named(self.problem)[0]

    def settings(self, label: str) -> dict[str, Any]:
        """The settings of a label's runs, except hidden size, seed and budget."""
        _, problem = contest_named(self.problem)
        return {"cell": label, **self.shared, **self.cells[label], **problem}

    def _check_cells(self) -> None:
        if not self.cells:
            raise ConfigError("No cells to compare; name some: --cells rnn,lstm,gru.")
        folders = [folder_name(label) for label in self.cells]
        if doubled := [name for name in folders if folders.count(name) > 1]:
            raise ConfigError(f"cells: two labels give the folder {doubled[0]!r}; rename one.")
        _check_ours(self.shared, "for all")
        for label, settings in self.cells.items():
            _check_ours(settings, f"of {label}")
            self._check_settings(label)

    def _check_rates(self) -> None:
        if not self.rates:
            return
        if len(set(self.rates)) < max(2, len(self.rates)) or not all(r > 0 for r in self.rates):
            raise ConfigError(
                f"rates = {list(self.rates)}; give two learning rates or more, all different and "
                "above 0: [1e-3, 3e-3, 1e-2]."
            )
        for whose, settings in (("all", self.shared), *self.cells.items()):
            if "learning_rate" in settings:
                raise ConfigError(
                    f"learning_rate is set for {whose}, and rates = {list(self.rates)} searches it "
                    "for every cell alike; leave one of the two out."
                )

    def _check_test(self) -> None:
        evaluation = config_of(self.task).evaluation
        names = {field.name for field in fields(evaluation)}
        if not self.is_tested:
            return
        if "problem" in contest_named(self.problem)[1]:
            raise ConfigError(f"{self.problem} has test sequences of its own; leave test out.")
        if self.test_where is not None and "where" not in names:
            raise ConfigError(
                f"test_where = {self.test_where!r}, and {self.task} measures whole files; name one "
                "with the rows to test on: test."
            )
        if not (self.test or self.shared.get("data")):
            raise ConfigError(
                f"test_where = {self.test_where!r}, and there are no files; name some to test on."
            )

    def _check_settings(self, label: str) -> None:
        try:
            config_of(self.task).of(self.settings(label))
        except ConfigError as error:
            raise ConfigError(f"{label}: {error}") from error


def _check_ours(settings: Mapping[str, Any], whose: str) -> None:
    for name in settings.keys() & _OURS.keys():
        raise ConfigError(
            f"{name} is among the settings {whose}, and a comparison sets it by {_OURS[name]}; "
            f"leave {name} out."
        )


def comparison_from(settings: Mapping[str, Any]) -> Comparison:
    """Make a comparison from a flat table of settings; unknown ones are passed to the task.

    `cells` is a list of names, or a table of settings by label; `only` names the cells that take
    part, of these or further ones. Raises ConfigError.

    >>> comparison_from({"problem": "copy", "cells": ["gru"], "length": 20}).shared
    {'length': 20}
    """
    own = {name: settings[name] for name in _NAMES & settings.keys()}
    shared = {name: value for name, value in settings.items() if name not in _NAMES}
    cells = _cells(own.get("cells", {}))
    if (only := shared.pop("only", None)) is not None:
        cells = {label: cells.get(label, {}) for label in _cells(only)}
    own["cells"] = cells
    own["rates"] = _numbers(own.get("rates", ()))
    own["test"] = _paths(own.get("test", ()))
    return config_from_mapping(Comparison, {**own, "shared": shared})


def comparison_at(folder: Path) -> Comparison:
    """Read the comparison of a directory; RunError where there is none."""
    try:
        saved = json.loads((folder / FILE).read_bytes())
        fields = {name: saved[name] for name in _NAMES if saved[name] is not None}
        return comparison_from({**fields, **saved["shared"]})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{folder} holds no comparison, or {FILE} is damaged.") from error


def folder_name(label: str) -> str:
    """A label as part of a directory's name; other characters become dashes.

    >>> folder_name("mine.cells:Own")
    'mine.cells-Own'
    """
    return re.sub(r"[^A-Za-z0-9_.+-]|^\.", "-", label)


_NAMES = {
    *("problem", "cells", "parameters", "hidden", "steps", "minutes", "seeds", "rates"),
    *("test", "test_where"),
}


def _paths(given: Any) -> tuple[str, ...]:
    return (str(given),) if isinstance(given, (str, Path)) else tuple(map(str, given))


def _numbers(given: Any) -> tuple[float, ...]:
    numbers = given if isinstance(given, (list, tuple)) else None
    if numbers is None or not all(
        isinstance(n, (int, float)) and not isinstance(n, bool) for n in numbers
    ):
        raise ConfigError(
            f"rates = {given!r}; it must be a list of learning rates: [1e-3, 3e-3, 1e-2]."
        )
    return tuple(map(float, numbers))


def _cells(given: Any) -> dict[str, dict[str, Any]]:
    if isinstance(given, (list, tuple)):
        if doubled := [name for name in given if given.count(name) > 1]:
            raise ConfigError(f"cells: {doubled[0]!r} is named twice; name it once.")
        given = {name: {} for name in given}
    shown = list(given) if isinstance(given, Mapping) else given
    fits = isinstance(given, Mapping) and all(isinstance(v, Mapping) for v in given.values())
    if not fits or not all(isinstance(name, str) and name for name in given):
        raise ConfigError(
            f"cells = {shown!r}; it must be a list of names, none empty, or a table for "
            "each label: [cells.gru]."
        )
    return {name: dict(settings) for name, settings in given.items()}
