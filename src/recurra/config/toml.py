"""Settings from a TOML file and the command line."""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from recurra.errors import ConfigError

__all__ = ["read_settings"]


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
