"""The settings that a search tries: ranges of numbers and lists of values, checked; no torch."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import recurra.cells
from recurra.config.options import check_option, check_value
from recurra.config.task_config import TaskConfig
from recurra.errors import ConfigError

__all__ = ["NumberRange", "Searched", "Space", "ValueList", "default_space", "space_from"]

_FORMS = (
    'a range { low = 1e-4, high = 1e-2, log = true } (or step = 0.1 instead of log), or a list ["a"'
    ', "b"]'
)
_NEVER = ("data", "seed", "best", "start", "freeze", "ensemble", "resume_schedule", "tensorboard")
"""Settings of every task that no search may choose."""

LENGTHS = ("epochs", "max_steps", "max_minutes")
"""Settings that end a training."""


@dataclass(frozen=True)
class NumberRange:
    """Numbers from `low` to `high`: whole ones if both are, by their logarithm, or in steps."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def __contains__(self, value: object) -> bool:
        """Whether a value can be drawn."""
        if not isinstance(value, (int, float)) or not self.low <= value <= self.high:
            return False
        steps = (value - self.low) / (self.step or 1)
        return self.step is None or abs(steps - round(steps)) < 1e-9

    def __str__(self) -> str:
        how = " (log)" if self.log else f" (step {self.step:g})" if self.step else ""
        return f"{self.low:g} to {self.high:g}{how}"


@dataclass(frozen=True)
class ValueList:
    """Values of which one is chosen."""

    values: tuple[Any, ...]

    def __contains__(self, value: object) -> bool:
        """Whether it is one of them."""
        return value in self.values

    def __str__(self) -> str:
        return ", ".join(str(value) for value in self.values)


Searched: TypeAlias = NumberRange | ValueList
Space: TypeAlias = Mapping[str, Searched]


def space_from(
    config: type[TaskConfig], table: Mapping[str, Any], given: Mapping[str, Any]
) -> Space:
    """The space that a table describes: for each setting a range or a list.

    `given` are the settings of all trials. Raises ConfigError for a setting that doesn't exist,
    that is given as well, or that decides what trials are measured on; and for values that it
    can't have.

    >>> space_from(TaskConfig, {"layers": {"low": 1, "high": 3}}, {})["layers"]
    NumberRange(low=1, high=3, log=False, step=None)
    """
    if not table:
        raise ConfigError(f"The space is empty; give a setting or more, each as {_FORMS}.")
    return {name: _searched(config, name, value, given) for name, value in table.items()}


def default_space(config: type[TaskConfig], given: Mapping[str, Any]) -> dict[str, Any]:
    """The table of a search without one of its own: about the task's defaults, and without what
    is given.
    """
    defaults: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(config)}
    part, rate, size = max(1, defaults["hidden"] // 4), defaults["learning_rate"], "batch_size"
    table = {
        "learning_rate": {"low": rate / 10, "high": rate * 5, "log": True},
        "hidden": {"low": part, "high": 8 * part, "step": part},
        "layers": {"low": 1, "high": max(3, defaults["layers"])},
        "cell": [*dict.fromkeys((defaults["cell"], "gru", "lstm"))],
        "dropout": {"low": 0.0, "high": 0.6, "step": 0.05},
        "weight_decay": sorted({0.0, 1e-4, 1e-3, 1e-2, 1e-1, defaults["weight_decay"]}),
        size: [*dict.fromkeys((defaults[size], 16, 32, 64))],
        **config.space,
    }
    return {name: v for name, v in table.items() if name not in (*given, *config.inapplicable)}


def _searched(
    config: type[TaskConfig], name: str, value: Any, given: Mapping[str, Any]
) -> Searched:
    allowed = [*_searchable(config)]
    if name not in allowed and name in config.__dataclass_fields__:
        raise ConfigError(
            f"{name} can't be searched: it decides what trials learn, or what they are measured "
            f"on, so that they could not be compared. Searchable are {', '.join(allowed)}."
        )
    check_option(name, allowed)
    if name in given:
        raise ConfigError(
            f"{name} = {given[name]!r} is given for all trials, and the space searches {name}; "
            "leave one of the two out."
        )
    made = _made(name, value)
    field, hint = config.__dataclass_fields__[name], typing.get_type_hints(config)[name]
    ends = made.values if isinstance(made, ValueList) else (made.low, made.high)
    for end in ends:
        check_value(field, hint, None if end == "none" and _optional(hint) else end)
        if name == "cell":
            recurra.cells.load(end)
    return made


def _searchable(config: type[TaskConfig]) -> Iterator[str]:
    never = {*_NEVER, *config.places, *config.inapplicable, *config.judging}
    never |= {*config.groups.get("Data", ())}
    return (field.name for field in dataclasses.fields(config) if field.name not in never)


def _optional(hint: Any) -> bool:
    return type(None) in typing.get_args(hint)


def _made(name: str, value: Any) -> Searched:
    if isinstance(value, (list, tuple)):
        return _list(name, value)
    if isinstance(value, Mapping):
        return _range(name, value)
    raise ConfigError(
        f"{name} = {value!r} is one value, and a search needs several: give {_FORMS}; what all "
        "trials share is an option or stands in --config."
    )


def _list(name: str, values: list[Any] | tuple[Any, ...]) -> ValueList:
    if len(values) < 2 or any(value in values[:n] for n, value in enumerate(values)):
        raise ConfigError(f"{name} = {list(values)!r}; give two values or more, all different.")
    if not all(isinstance(value, (str, int, float)) for value in values):
        raise ConfigError(
            f"{name} = {list(values)!r}; each must be a number, a text, true or false."
        )
    return ValueList(tuple(values))


def _range(name: str, table: Mapping[str, Any]) -> NumberRange:
    fields = [field.name for field in dataclasses.fields(NumberRange)]
    shown = ", ".join(f"{key} = {value}" for key, value in table.items())
    for key in table:
        if key not in fields:
            raise ConfigError(f"{name}: {key!r} is not part of a range; give {_FORMS}.")
    low, high, step = (table.get(key) for key in ("low", "high", "step"))
    numbers = [low, high] if step is None else [low, high, step]
    if not all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in numbers):
        raise ConfigError(f"{name}: {shown}; low and high must be numbers: give {_FORMS}.")
    assert low is not None  # it is a number
    assert high is not None
    log = table.get("log", False)
    problem = ""
    if not low < high:
        problem = "low must be below high"
    elif not isinstance(log, bool):
        problem = "log must be true or false"
    elif log and (low <= 0 or step is not None):
        problem = "with log, low must be above 0 and there is no step"
    elif step is not None and not 0 < step <= high - low:
        problem = "step must be above 0 and at most the range"
    if problem:
        raise ConfigError(f"{name}: {shown}; {problem}.")
    return NumberRange(low, high, log, step)
