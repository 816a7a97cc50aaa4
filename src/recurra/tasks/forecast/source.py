"""The table that a run was trained on: where it lies, and whether it is still the same."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recurra.errors import RunError
from recurra.files import digest
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.evaluate import Backtest
from recurra.tasks.forecast.facts import CALIBRATED_ON
from recurra.training import Run

__all__ = ["remarks", "static_of", "table_of"]


def table_of(run: Run) -> str:
    """The path of the table that a run was trained on; RunError where it has none or it is gone."""
    path = run.config.get("data")
    if path is None:
        raise RunError(f"{run.path} was trained on a frame, not on a file; name a table.")
    return _there(run, path, "name the table to read")


def static_of(run: Run) -> str | None:
    """The path of the table of static covariates that a run was trained with, if any."""
    path = run.config.get("static data")
    return None if path is None else _there(run, path, "name it with --static-data")


def remarks(
    config: ForecastConfig, record: Mapping[str, Any], found: Backtest, windows: int, step: int
) -> list[str]:
    """What has to be known of a judgement without retraining: what the windows were used for.

    `record` is the run's config.json; `windows` and `step` say which origins were judged.
    """
    if digest(found.panel.y.tobytes()) != record.get("values digest"):
        return [
            "These are other values than the run was trained on: other series, or another time."
        ]
    if config.final_steps:
        return [
            "The final steps of training were on all of these values, so the table flatters the "
            "model; --backtest trains anew on what came before."
        ]
    steps = config.held_steps(found.panel.lengths)
    if config.horizon + step * (windows - 1) <= steps:
        return [CALIBRATED_ON]
    return [
        f"Only the last {steps} steps of each series were held back: the "
        "windows before them were trained on, so the table flatters the model; --backtest trains "
        "anew on what came before."
    ]


def _there(run: Run, path: str, remedy: str) -> str:
    if not Path(path).is_file():
        raise RunError(f"{path}, with which {run.path} was trained, is gone; {remedy}.")
    return path
