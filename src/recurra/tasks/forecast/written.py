"""Tables of forecasts as files: CSV or Parquet, by the name's suffix, whole or not there."""

import io
from pathlib import Path

from recurra.errors import ConfigError, MissingExtra
from recurra.files import write_atomic
from recurra.tasks.forecast.frames import Frame

__all__ = ["check_output", "write_output", "write_table"]


def check_output(path: str, suffixes: tuple[str, ...]) -> None:
    """ConfigError for a file that can't be written: a wrong suffix, no such folder, a folder."""
    file = Path(path)
    if file.suffix.lower() not in suffixes:
        raise ConfigError(f"{path}: its name must end with {' or '.join(suffixes)}.")
    if file.is_dir() or not file.parent.is_dir():
        what = "is a folder" if file.is_dir() else f"there is no folder {file.parent}"
        raise ConfigError(f"{path}: {what}; choose another name, or make the folder first.")


def write_table(found: Frame, path: str) -> None:
    """Write a table of pandas as .csv or .parquet; ConfigError where the file can't be written."""
    if Path(path).suffix.lower() == ".csv":
        write_output(path, found.to_csv(index=False).encode())
        return
    buffer = io.BytesIO()
    try:
        found.to_parquet(buffer, index=False)
    except ImportError as error:
        raise MissingExtra("pyarrow", "forecast", "Writing Parquet") from error
    write_output(path, buffer.getvalue())


def write_output(path: str, data: bytes) -> None:
    """Replace a file; ConfigError, naming it, where the disk or its permissions refuse."""
    try:
        write_atomic(Path(path), data)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be written ({error.strerror}); choose another name, or make room."
        ) from error
