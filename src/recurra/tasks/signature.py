"""Signatures of estimators: every setting of a configuration as a real keyword argument."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, get_type_hints

from recurra.config.task_config import TaskConfig

__all__ = ["Named", "options_of"]

P = ParamSpec("P")
Owner = TypeVar("Owner")
Config = TypeVar("Config", bound=TaskConfig)


def options_of(
    config: Callable[P, Config],
) -> Callable[[Callable[[Owner, Config], None]], Callable[Concatenate[Owner, P], None]]:
    """Decorate `__init__(self, config)` so that it takes the settings of `config` by name.

    Type checkers, editors and `help` see each with its type and default; the docstring lists them.
    The settings given are kept as `self._given`.
    """
    assert isinstance(config, type)
    made: type[Config] = config

    def decorate(init: Callable[[Owner, Config], None]) -> Callable[Concatenate[Owner, P], None]:
        def wrapped(self: Owner, /, *args: P.args, **settings: P.kwargs) -> None:
            if args:
                raise TypeError(
                    f"{type(self).__name__} takes settings by name alone; {len(args)} were given "
                    "by position."
                )
            self._given = settings  # type: ignore[attr-defined]
            init(self, made.of(settings))

        functools.update_wrapper(wrapped, init)
        own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        wrapped.__signature__ = inspect.Signature([own, *_parameters(made)])  # type: ignore[attr-defined]
        wrapped.__doc__ = f"{inspect.cleandoc(init.__doc__ or '')}\n\nArgs:\n{_described(made)}"
        return wrapped

    return decorate


class Named(Generic[Config]):
    """Settings by name: `get_params`, `set_params`, and a repr of those that were given."""

    config: Config
    _given: Mapping[str, Any]

    @classmethod
    def from_config(cls, config: Config, given: Mapping[str, Any]) -> Self:
        """An estimator with a configuration that is there already."""
        made = cls.__new__(cls)
        made._given = dict(given)
        init: Any = inspect.unwrap(cls.__init__)
        init(made, config)
        return made

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Every setting by name, those not given at their defaults."""
        return {**_settings(self.config), **self._given}

    def set_params(self, **settings: Any) -> Self:
        """Change settings; what was trained is forgotten."""
        given = {**self._given, **settings}
        config = type(self.config).of(given)
        self._given = given
        init: Any = inspect.unwrap(type(self).__init__)
        init(self, config)
        return self

    def __repr__(self) -> str:
        defaults = {f.name: f.default for f in dataclasses.fields(self.config)}
        shown = {
            name: value
            for name, value in sorted(self._given.items())
            if getattr(self.config, name) != defaults[name]
        }
        words = ", ".join(f"{name}={value!r}" for name, value in shown.items())
        return f"{type(self).__name__}({words})"


def _settings(config: TaskConfig) -> dict[str, Any]:
    return {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}


def _parameters(config: type[TaskConfig]) -> list[inspect.Parameter]:
    hints = get_type_hints(config)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in dataclasses.fields(config)
    ]


def _described(config: type[TaskConfig]) -> str:
    fields = dataclasses.fields(config)
    return "\n".join(f"    {field.name}: {field.metadata['help']}." for field in fields)
