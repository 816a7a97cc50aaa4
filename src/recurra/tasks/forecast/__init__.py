"""The forecasting task: series in, and what comes next as points, quantiles and sample paths.

`recurra.tasks.forecast.config` is importable without loading torch.
"""

from typing import TYPE_CHECKING

from recurra.lazy import Getter, Lister, attach

if TYPE_CHECKING:
    from recurra.tasks.forecast.config import ForecastConfig
    from recurra.tasks.forecast.data_checks import ForecastWarning
    from recurra.tasks.forecast.evaluation.backtest import Backtest
    from recurra.tasks.forecast.forecaster import Forecaster
    from recurra.tasks.forecast.online.stream import Stream

__all__ = ["Backtest", "ForecastConfig", "ForecastWarning", "Forecaster", "Stream"]

__getattr__: Getter
__dir__: Lister
__getattr__, __dir__ = attach(
    __name__,
    {
        "Backtest": "recurra.tasks.forecast.evaluation.backtest",
        "ForecastConfig": "recurra.tasks.forecast.config",
        "ForecastWarning": "recurra.tasks.forecast.data_checks",
        "Forecaster": "recurra.tasks.forecast.forecaster",
        "Stream": "recurra.tasks.forecast.online.stream",
    },
)
