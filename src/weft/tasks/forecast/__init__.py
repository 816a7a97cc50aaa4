"""The forecasting task: series in, and what comes next as points, quantiles and sample paths.

`weft.tasks.forecast.config` is importable without loading torch.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weft.tasks.forecast.config import ForecastConfig
    from weft.tasks.forecast.notes import ForecastWarning
    from weft.tasks.forecast.task import Forecaster

_LAZY = {"ForecastConfig": "config", "ForecastWarning": "notes", "Forecaster": "task"}

__all__ = ["ForecastConfig", "ForecastWarning", "Forecaster"]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(
            f"module 'weft.tasks.forecast' has no attribute {name!r}; it has {', '.join(__all__)}"
        )
    value: object = getattr(importlib.import_module(f"weft.tasks.forecast.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
