"""Calibrated forecasts on the scale of the data: bounded, rounded, with medians or means."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.intervals.bounds import bounded, rounded
from recurra.tasks.forecast.intervals.calibration import Calibration
from recurra.tasks.forecast.intervals.mean import mean_of
from recurra.tasks.forecast.nets.inference import Predictions, ScaledForecasts
from recurra.tasks.forecast.windows.traits import WindowTraits

__all__ = ["OnData"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class OnData:
    """Turns calibrated quantiles of networks with that loss (`kind`) into forecasts of the data."""

    config: ForecastConfig
    kind: str

    def predictions(
        self, scaled: ScaledForecasts, calibrated: Floats, calibration: Calibration
    ) -> Predictions:
        """The forecasts of calibrated quantiles (W, H, Q), scaled; points are medians or means, as
        `config.point` has it.
        """
        transform, traits = self.config.transform, scaled.traits
        data = scaled.to_data(calibrated, transform)
        unrounded = self._bounded(traits, data, calibration, half=True)
        quantiles = self._bounded(traits, rounded(unrounded, self._whole(traits)), calibration)
        point, means = quantiles[..., self.config.levels.index(0.5)], self._takes_means(traits)
        if means.any():
            if self.kind == "mse":
                mean = scaled.to_data(scaled.quantiles[..., 0], transform)
            else:
                size = self.errors(scaled, calibrated, calibration)
                bias = calibration.bias[traits.regular.astype(int)]
                mean = self.mean(scaled, calibrated, calibration) + bias * size
            point = np.where(means[:, None], self._bounded(traits, mean, calibration), point)
        return Predictions(point, quantiles, unrounded)

    def paths(self, scaled: ScaledForecasts, drawn: Floats, calibration: Calibration) -> Floats:
        """Sample paths (W, S, H) of the data from scaled ones."""
        data = scaled.to_data(drawn, self.config.transform)
        held = self._bounded(scaled.traits, data, calibration, half=True)
        whole = rounded(held, self._whole(scaled.traits))
        return self._bounded(scaled.traits, whole, calibration)

    def mean(self, scaled: ScaledForecasts, calibrated: Floats, calibration: Calibration) -> Floats:
        """The means (W, H) of calibrated quantiles, of the data, with their bias."""
        data = scaled.to_data(calibrated, self.config.transform)
        held = self._bounded(scaled.traits, data, calibration, half=True)
        return mean_of(held, self.config.levels)

    def errors(
        self, scaled: ScaledForecasts, calibrated: Floats, calibration: Calibration
    ) -> Floats:
        """The errors to expect (W, H) of the data, about calibrated medians."""
        middle = calibrated[..., self.config.levels.index(0.5)]
        error, transform = calibration.error_scale(scaled.traits), self.config.transform
        above, below = (scaled.to_data(middle + sign * error, transform) for sign in (1, -1))
        errors: Floats = (above - below) / 2
        return errors

    def _takes_means(self, traits: WindowTraits) -> Mask:
        """The windows (W,) whose points are means."""
        if self.config.point == "auto" and self.kind != "mse":
            return traits.intermittent
        return np.full(len(traits.gap), self.config.point != "median")

    def _whole(self, traits: WindowTraits) -> Mask:
        """The windows (W,) whose quantiles are whole numbers."""
        return traits.whole | self.config.counts

    def _bounded(
        self, traits: WindowTraits, values: Floats, calibration: Calibration, *, half: bool = False
    ) -> Floats:
        nonnegative = "yes" if self.config.counts else self.config.nonnegative
        return bounded(values, traits, nonnegative, calibration.reach, half=half)
