"""The forecasting task: series in, and what comes next as points, quantiles and sample paths.

`recurra.tasks.forecast.config` is importable without loading torch.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recurra.tasks.forecast.config import ForecastConfig
    from recurra.tasks.forecast.data_checks import ForecastWarning
    from recurra.tasks.forecast.task import Forecaster

_LAZY = {"ForecastConfig": "config", "ForecastWarning": "data_checks", "Forecaster": "task"}

__all__ = ["ForecastConfig", "ForecastWarning", "Forecaster"]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}"
        )
    value: object = getattr(importlib.import_module(f"recurra.tasks.forecast.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
