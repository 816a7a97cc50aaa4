"""Options as frozen dataclasses: limits, checks, from a mapping, a TOML file or a command line."""

import dataclasses
import difflib
import math
import tomllib
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from recurra.errors import ConfigError

__all__ = [
    "check_options",
    "config_from_mapping",
    "option",
    "read_settings",
]


Options = TypeVar("Options")

_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def option(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    flag: str | None = None,
) -> Any:
    """A dataclass field with its help and its limits (None: no such limit) as metadata.

    `flag` is its name on the command line, where that is not the field's own.
    """
    about = {"help": help, "minimum": minimum, "above": above, "maximum": maximum, "flag": flag}
    metadata = {name: value for name, value in about.items() if value is not None}
    return dataclasses.field(default=default, metadata=metadata)


def check_options(options: Any) -> None:
    """Check each field of a dataclass against its type and the limits that `option` gave it.

    Raises `ConfigError`: name, value given, what is allowed.
    """
    hints = typing.get_type_hints(type(options))
    for field in dataclasses.fields(options):
        value, hint = getattr(options, field.name), hints[field.name]
        if not (_fits(hint, value) and (value is None or _within(value, field.metadata))):
            allowed = _allowed(hint, field.metadata)
            raise ConfigError(f"{field.name} = {value!r}; it must be {allowed}.")


def config_from_mapping(cls: type[Options], mapping: Mapping[str, Any]) -> Options:
    """Build the dataclass `cls` from `mapping`, a table of a TOML file, say.

    Lists become tuples, texts become paths and whole numbers become floats where the field says so,
    and "none" becomes None where the field may be None.
    Raises `ConfigError` for an unknown key (naming the nearest), a missing one or a wrong type.

    >>> from recurra.config.training_config import TrainingConfig
    >>> config_from_mapping(TrainingConfig, {"epoch": 3})
    Traceback (most recent call last):
    recurra.errors.ConfigError: 'epoch' is not an option; did you mean 'epochs'?
    """
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    for name in mapping:
        if name not in fields:
            raise ConfigError(_unknown(name, list(fields)))
    values = {name: _adapt(hints[name], value) for name, value in mapping.items()}
    for name, field in fields.items():
        if name not in values and _required(field):
            raise ConfigError(f"{name} is missing; it must be {_allowed(hints[name], {})}.")
        if name in values and not _fits(hints[name], values[name]):
            allowed = _allowed(hints[name], field.metadata)
            raise ConfigError(f"{name} = {mapping[name]!r}; it must be {allowed}.")
    return cls(**values)


def _required(field: "dataclasses.Field[Any]") -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _unknown(name: str, known: list[str]) -> str:
    if not known:
        return f"{name!r} is not an option; there are none."
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    remedy = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}."
    return f"{name!r} is not an option; {remedy}"


def _choices(hint: Any) -> tuple[Any, ...]:
    """The members of a union, or the hint alone."""
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return typing.get_args(hint) if union else (hint,)


def _fits(hint: Any, value: Any) -> bool:
    return any(_fits_one(choice, value) for choice in _choices(hint))


def _fits_one(hint: Any, value: Any) -> bool:
    origin, members = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin is Literal:
        return any(type(value) is type(member) and value == member for member in members)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(members[0], item) for item in value)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, origin or hint)


def _within(value: Any, limits: Mapping[str, Any]) -> bool:
    if not isinstance(value, (int, float)):
        return True
    return (
        math.isfinite(value)
        and value >= limits.get("minimum", -math.inf)
        and value > limits.get("above", -math.inf)
        and value <= limits.get("maximum", math.inf)
    )


def _adapt(hint: Any, value: Any) -> Any:
    """Convert `value` to the type of the hint where that loses nothing."""
    choices = _choices(hint)
    if value == "none" and type(None) in choices:
        return None
    if isinstance(value, list) and any(typing.get_origin(choice) is tuple for choice in choices):
        return tuple(value)
    if isinstance(value, str) and Path in choices and str not in choices:
        return Path(value)
    if type(value) is int and float in choices and int not in choices:
        return float(value)
    return value


def _allowed(hint: Any, limits: Mapping[str, Any]) -> str:
    bounds = {"minimum": "at least", "above": "above", "maximum": "at most"}
    said = " and ".join(f"{word} {limits[name]}" for name, word in bounds.items() if name in limits)
    texts = [_name(choice) for choice in _choices(hint) if choice is not type(None)]
    first = " or ".join(texts) + (f" {said}" if said else "")
    return first + (", or left out" if type(None) in _choices(hint) else "")


def _name(hint: Any) -> str:
    origin, members = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return " or ".join(repr(member) for member in members)
    if origin is tuple:
        return f"a list, each item {_name(members[0])}"
    return _WORDS.get(hint, getattr(hint, "__name__", str(hint)))


def read_settings(
    path: str | None, options: Mapping[str, Any], check: Callable[[Mapping[str, Any]], object]
) -> dict[str, Any]:
    """The keys of a TOML file, if any, under the options of the command line, which win.

    `check` raises ConfigError for settings that can't be; where the file alone is to blame, its
    name is added.
    """
    table = _read(Path(path)) if path is not None else {}
    settings = {**table, **options}
    try:
        check(settings)
    except ConfigError as error:
        blame = f"{path}: " if table and _is_refused(table, check) else ""
        raise ConfigError(f"{blame}{error}") from error
    return settings


def _is_refused(table: Mapping[str, Any], check: Callable[[Mapping[str, Any]], object]) -> bool:
    try:
        check(table)
    except ConfigError:
        return True
    return False


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path}: the configuration cannot be read ({error.strerror}); check its name."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8; a TOML file is UTF-8 text.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}.") from error
