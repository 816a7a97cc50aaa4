"""The statistical methods by name, each for many histories at once."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from recurra.tasks.forecast.statistics.drift import seasonal_naive_drift
from recurra.tasks.forecast.statistics.ets import ets
from recurra.tasks.forecast.statistics.histories import Outlook, Vector
from recurra.tasks.forecast.statistics.intermittent import adida, croston
from recurra.tasks.forecast.statistics.lag_regression import lag_regression
from recurra.tasks.forecast.statistics.theta import theta

__all__ = ["METHODS", "Method"]

Method = Callable[[Sequence[Vector], int, int], Outlook]
"""Takes histories (n,) of float64, NaN where missing, the steps in a season and a horizon."""

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "SeasonalNaiveDrift": seasonal_naive_drift,
        "Theta": theta,
        "ETS": ets,
        "LagRegression": lag_regression,
        "Croston": croston,
        "ADIDA": adida,
    }
)
"""Every method by its name in the field."""
