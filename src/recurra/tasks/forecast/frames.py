"""Tables of forecasts with the field's column names, in the kind of frame that the data came as."""

import importlib
import importlib.util
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from recurra.data.series.panel import FrameKind, Panel
from recurra.errors import ConfigError, MissingExtra
from recurra.files import write_atomic
from recurra.tasks.forecast.nets.inference import Predictions

__all__ = [
    "MODEL_NAME",
    "DataFrame",
    "check_output",
    "forecast_columns",
    "interval_columns",
    "long_columns",
    "make_frame",
    "write_output",
    "write_table",
]


MODEL_NAME = "recurra"
"""The column of point forecasts, the prefix of interval and quantile columns, and the model's name
beside the baselines."""

DataFrame: TypeAlias = Any
"""A DataFrame of pandas or of polars, neither of which need be installed."""

Floats = NDArray[np.float64]


def interval_columns(levels: tuple[float, ...], widths: tuple[float, ...]) -> dict[str, int]:
    """The index of the level of each quantile column: recurra-lo-80, recurra-hi-80, recurra-q0.3.

    >>> interval_columns((0.1, 0.3, 0.5, 0.9), (80.0,))
    {'recurra-lo-80': 0, 'recurra-hi-80': 3, 'recurra-q0.3': 1}
    """
    place = {level: k for k, level in enumerate(levels)}
    columns: dict[str, int] = {}
    used = {0.5}
    for width in widths:
        low, high = (round(0.5 + sign * width / 200, 6) for sign in (-1, 1))
        columns |= {
            f"{MODEL_NAME}-lo-{width:g}": place[low],
            f"{MODEL_NAME}-hi-{width:g}": place[high],
        }
        used |= {low, high}
    return columns | {
        f"{MODEL_NAME}-q{level:g}": place[level] for level in levels if level not in used
    }


def forecast_columns(
    predicted: Predictions, levels: tuple[float, ...], widths: tuple[float, ...], steps: int
) -> dict[str, Floats]:
    """The columns of the first `steps` steps of forecasts, window after window."""
    columns = {MODEL_NAME: predicted.point[:, :steps].ravel()}
    for name, k in interval_columns(levels, widths).items():
        columns[name] = predicted.quantiles[:, :steps, k].ravel()
    return columns


def long_columns(panel: Panel, stamps: NDArray[Any], repeat: int = 1) -> dict[str, NDArray[Any]]:
    """Id and stamp of each row of stamps (N, H), each row `repeat` times."""
    columns = panel.schema.columns
    ids = np.repeat(_typed(panel.ids), stamps.shape[1] * repeat)
    return {columns.id: ids, columns.time or "ds": np.repeat(stamps.ravel(), repeat)}


def make_frame(columns: Mapping[str, NDArray[Any]], kind: FrameKind) -> DataFrame:
    """A data frame of pandas or polars; MissingExtra where that is not installed."""
    if importlib.util.find_spec(kind) is None:
        raise MissingExtra(kind, "forecast", "A table of forecasts")
    return importlib.import_module(kind).DataFrame(dict(columns))


def _typed(ids: NDArray[Any]) -> NDArray[Any]:
    """Ids that are all integers as an integer array, which frames handle better."""
    kinds = {type(i) for i in ids}
    if kinds == {int}:
        return ids.astype(np.int64)
    return ids


def check_output(path: str, suffixes: tuple[str, ...]) -> None:
    """ConfigError for a path that can't be written: a wrong suffix, no such folder, a folder."""
    file = Path(path)
    if file.suffix.lower() not in suffixes:
        raise ConfigError(f"{path}: its name must end with {' or '.join(suffixes)}.")
    if file.is_dir() or not file.parent.is_dir():
        reason = "is a folder" if file.is_dir() else f"there is no folder {file.parent}"
        raise ConfigError(f"{path}: {reason}; choose another name, or make the folder first.")


def write_table(table: DataFrame, path: str) -> None:
    """Write a table of pandas as .csv or .parquet; ConfigError where the file can't be written."""
    if Path(path).suffix.lower() == ".csv":
        write_output(path, table.to_csv(index=False).encode())
        return
    buffer = io.BytesIO()
    try:
        table.to_parquet(buffer, index=False)
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
