"""Fitting of intervals to held-out forecasts: own errors, calibration, reach and bias."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.intervals.bounds import jittered, measure_reach
from recurra.tasks.forecast.intervals.calibration import Calibration, calibrate
from recurra.tasks.forecast.intervals.mean import measure_bias
from recurra.tasks.forecast.intervals.on_data import OnData
from recurra.tasks.forecast.intervals.series_errors import own_errors_crosswise
from recurra.tasks.forecast.intervals.widening import Widening
from recurra.tasks.forecast.nets.inference import ScaledForecasts
from recurra.tasks.forecast.windows.cutter import WindowCutter
from recurra.tasks.forecast.windows.scaling import transformed
from recurra.tasks.forecast.windows.splits import Origins, count_disjoint

__all__ = ["fit_calibration", "scaled_actual", "with_own_errors"]

_LEAST = {"none": -np.inf, "log1p": 0.0, "log": 0.5}
"""The least value of a count that is spread over its step, by transform: half a step above what it
excludes.
"""


def scaled_actual(
    scaled: ScaledForecasts, cutter: WindowCutter, origins: Origins
) -> NDArray[np.float64]:
    """The actual values (W, H) of windows, transformed and scaled."""
    return scaled.to_scaled(transformed(cutter.actual(origins), cutter.transform))


def with_own_errors(
    config: ForecastConfig,
    scaled: ScaledForecasts,
    cutter: WindowCutter,
    origins: Origins,
    calibrating: NDArray[np.bool_],
) -> ScaledForecasts:
    """Held-out forecasts, each with the errors that others of its series lead to expect; those of
    the `calibrating` windows (W,) go by one another alone.
    """
    actual = scaled_actual(scaled, cutter, origins)
    own = own_errors_crosswise(scaled, actual, origins, config.horizon, config.levels, calibrating)
    error = scaled.traits.error * own.errors
    return scaled._replace(traits=scaled.traits._replace(error=error, width=own.widths))


def fit_calibration(
    on_data: OnData,
    scaled: ScaledForecasts,
    cutter: WindowCutter,
    origins: Origins,
    widening: Widening,
) -> Calibration:
    """The calibration by held-out windows."""
    config, traits = on_data.config, scaled.traits
    actual = cutter.actual(origins)
    spread = jittered(actual, traits, lowest=_LEAST[config.transform])
    disjoint = count_disjoint(origins, config.horizon)
    found = calibrate(
        scaled.quantiles,
        scaled.to_scaled(transformed(spread, config.transform)),
        config.levels,
        traits,
        disjoint,
        widening,
    )
    found = dataclasses.replace(found, reach=measure_reach(actual, traits))
    calibrated = found(scaled.quantiles, traits)
    mean = on_data.mean(scaled, calibrated, found)
    size = on_data.errors(scaled, calibrated, found)
    return dataclasses.replace(found, bias=measure_bias(mean, actual, size, traits, disjoint))
