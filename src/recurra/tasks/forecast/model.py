"""The trained forecaster: networks, calibration and ends of the series, and its forecasts."""

import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.data.series.covariates import future_of
from recurra.data.series.panel import Panel
from recurra.errors import ConfigError, RunError
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.intervals.adaptation import adaptive_quantiles
from recurra.tasks.forecast.intervals.calibration import Calibration, calibrate, uncalibrated
from recurra.tasks.forecast.nets import ForecastNet, Sizes
from recurra.tasks.forecast.nets.inference import Predictions, ScaledForecasts, scaled_forecasts
from recurra.tasks.forecast.statistics.combination import Combination
from recurra.tasks.forecast.store import PlacedPanel, keep, restore, to_parts
from recurra.tasks.forecast.windows.cutter import WindowCutter, cutter_for
from recurra.tasks.forecast.windows.scaling import (
    SeriesScale,
    series_scale,
    transformed,
)
from recurra.tasks.forecast.windows.splits import Origins, count_disjoint, folds

__all__ = ["Model"]

Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Model:
    """Networks that are averaged, their calibration, and the ends of the trained series.

    `history` is the end of each trained series, `starts` (N,) are their first stamps: new data take
    their place in the season by them. `series_scale` is that of training: a forecast from the past
    knows nothing later. `combination` weighs statistical forecasts with the networks'. After final
    steps, `before` is the model that was judged, without them.
    """

    config: ForecastConfig
    sizes: Sizes
    nets: tuple[ForecastNet, ...]
    calibration: Calibration
    history: PlacedPanel
    starts: NDArray[Any]
    series_scale: SeriesScale
    before: "Model | None" = None
    combination: Combination | None = None

    def cutter(
        self, placed: PlacedPanel, future: NDArray[np.float32] | None = None
    ) -> WindowCutter:
        """The cutter of these series; `future` (N, H, F) are covariates after their ends."""
        numbers = self.series_numbers(placed.panel)
        cutter = cutter_for(
            self.config,
            placed.panel,
            self.nets[0].lookback,
            numbers=numbers,
            start_age=placed.start_age,
            usual=self._usual_scale(placed.panel, numbers),
            future=future,
        )
        return dataclasses.replace(cutter, combination=self.combination)

    def _usual_scale(self, panel: Panel, numbers: NDArray[np.int64]) -> SeriesScale:
        """The scale of each series in training; of one without a value there, its own."""
        own, trained = series_scale(panel, self.config.transform), self.series_scale.of(numbers)
        usable = (numbers >= 0) & np.isfinite(trained.centre)
        return SeriesScale(*(np.where(usable, *parts) for parts in zip(trained, own, strict=True)))

    def series_numbers(self, panel: Panel) -> NDArray[np.int64]:
        """The number of each series in training; -1 for one that was not trained on."""
        numbers = {series: n for n, series in enumerate(self.history.panel.ids)}
        return np.array([numbers.get(series, -1) for series in panel.ids], dtype=np.int64)

    def place(self, panel: Panel) -> PlacedPanel:
        """New data with the age of trained series at their start; new series begin with it."""
        numbers = self.series_numbers(panel)
        trained = numbers >= 0
        start_age = np.zeros(len(panel), np.int64)
        new, old = panel.starts[trained], self.starts[numbers[trained]]
        later, earlier = (panel.frequency.positions(*p) for p in ((new, old), (old, new)))
        start_age[trained] = np.maximum(later, 0) - np.maximum(earlier, 0)
        return PlacedPanel(panel, start_age)

    def new_series_warnings(self, panel: Panel) -> list[str]:
        """A sentence on series that were not trained on."""
        new = self.series_numbers(panel) < 0
        if not new.any():
            return []
        return [
            f"{panel.naming(new)} were not in the training data; the shared model forecasts them."
        ]

    def future_features(self, placed: PlacedPanel, future: Any) -> NDArray[np.float32] | None:
        """Future covariates of the steps to forecast; ConfigError where they are missing."""
        names = placed.panel.schema.columns.future
        if future is not None:
            self.check_covariates("future")
        if names and future is None:
            raise ConfigError(
                f"The model reads {', '.join(names)} ahead; give a table of the next "
                f"{self.config.horizon} steps with these columns as future (--future-data)."
            )
        return future_of(placed.panel, future, self.config.horizon) if names else None

    def check_covariates(self, kind: str) -> None:
        """ConfigError where the model reads no covariates of a kind, past or future."""
        if not getattr(self.history.panel.schema.columns, kind):
            raise ConfigError(
                f"The model reads no {kind} covariates; leave {kind} out, or train one that does: "
                f"{kind} = 'column'."
            )

    def forecast(
        self, cutter: WindowCutter, origins: Origins, *, paths: int = 0, seed: int = 0
    ) -> Predictions:
        """Forecasts from any origins; `paths` sample paths of each."""
        scaled = scaled_forecasts(self.nets, cutter, origins, paths=paths, seed=seed)
        predictions = self.calibrated(scaled)
        if paths:
            quantiles = self.calibration(scaled.quantiles, scaled.change)
            own = self._paths(scaled, quantiles, paths, seed)
            drawn = scaled.to_data(own, self.config.transform)
            drawn = np.maximum(drawn.round(), 0) if self.config.counts else drawn
            predictions = predictions._replace(paths=drawn)
        return _with_constants(predictions, cutter, origins)

    def forecast_adaptively(
        self, cutter: WindowCutter, origins: Origins, half_life: int, *, seed: int = 0
    ) -> Predictions:
        """Forecasts from rolling origins, with quantiles adapted to the values known by then."""
        scaled = scaled_forecasts(self.nets, cutter, origins, seed=seed)
        panel = cutter.panel
        quantiles = adaptive_quantiles(
            self.calibration,
            scaled.quantiles,
            self._scaled_actual(scaled, cutter, origins),
            scaled.change,
            panel.frequency.elapsed(panel.starts)[origins.series] + origins.cutoffs,
            half_life,
        )
        return _with_constants(self._to_data(scaled, quantiles), cutter, origins)

    def forecast_crosswise(self, cutter: WindowCutter, origins: Origins) -> Predictions | None:
        """Forecasts of held-out windows, each calibrated on others that share no step with it.

        None where there are too few for that.
        """
        scaled = scaled_forecasts(self.nets, cutter, origins, seed=self.config.seed)
        if not self._calibrates:
            return _with_constants(self.calibrated(scaled), cutter, origins)
        quantiles = np.empty((*scaled.quantiles.shape[:2], len(self.config.levels)))
        for inside, others in folds(origins, self.config.horizon):
            if not others.any():
                return None
            calibration = self._calibration_of(scaled, cutter, origins, others)
            quantiles[inside] = calibration(scaled.quantiles[inside], scaled.change[inside])
        return _with_constants(self._to_data(scaled, quantiles), cutter, origins)

    @property
    def _calibrates(self) -> bool:
        return self.config.calibrate or not self.nets[0].levels

    def _calibration_of(
        self,
        scaled: ScaledForecasts,
        cutter: WindowCutter,
        origins: Origins,
        chosen: NDArray[np.bool_],
    ) -> Calibration:
        """The calibration by some held-out windows, chosen of (W,)."""
        return calibrate(
            scaled.quantiles[chosen],
            self._scaled_actual(scaled, cutter, origins)[chosen],
            self.config.levels,
            scaled.change[chosen],
            count_disjoint(origins.at(chosen), self.config.horizon),
        )

    def _scaled_actual(
        self, scaled: ScaledForecasts, cutter: WindowCutter, origins: Origins
    ) -> Floats:
        return scaled.to_scaled(transformed(cutter.actual(origins), self.config.transform))

    def calibrated(self, scaled: ScaledForecasts) -> Predictions:
        """Calibrated quantiles on the scale of the data, and points: the mean of a network that was
        trained for it, else the median.
        """
        return self._to_data(scaled, self.calibration(scaled.quantiles, scaled.change))

    def _to_data(self, scaled: ScaledForecasts, calibrated: Floats) -> Predictions:
        transform = self.config.transform
        quantiles = scaled.to_data(calibrated, transform)
        if self.config.counts:
            quantiles = _whole(quantiles, np.array(self.config.levels))
        if self.nets[0].kind == "mse":
            return Predictions(scaled.to_data(scaled.quantiles[..., 0], transform), quantiles, None)
        return Predictions(quantiles[..., self.config.levels.index(0.5)], quantiles, None)

    def _paths(self, scaled: ScaledForecasts, quantiles: Floats, count: int, seed: int) -> Floats:
        """A sampling network's own paths, calibrated, else paths ranked as held-out windows."""
        if scaled.paths is None:
            return self.calibration.paths(quantiles, count, np.random.default_rng(seed))
        drawn = self.calibration.shifted(scaled.paths, scaled.change)
        generator = np.random.default_rng(seed)
        return drawn[:, generator.permutation(drawn.shape[1])[:count]]

    def to_parts(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything but the networks, as tensors and JSON."""
        tensors, record = to_parts(self.history)
        parts = {f"history.{name}": value for name, value in tensors.items()}
        parts |= {f"calibration.{n}": value for n, value in self.calibration.tensors().items()}
        parts["starts"] = torch.from_numpy(self.starts.view(np.int64).copy())
        parts |= {name: torch.from_numpy(v) for name, v in self.series_scale._asdict().items()}
        combination = None if self.combination is None else self.combination.to_json()
        return parts, {"history": record, "combination": combination}

    @classmethod
    def from_parts(
        cls,
        config: ForecastConfig,
        sizes: Sizes,
        nets: tuple[ForecastNet, ...],
        tensors: dict[str, Tensor],
        record: dict[str, Any],
    ) -> "Model":
        """The model of the parts that `to_parts` gave; RunError where training is incomplete."""
        if "history" not in record:
            raise RunError("The run is not trained to its end; resume it with --resume.")
        history = restore(_below("history", tensors), record["history"])
        calibration = Calibration.from_tensors(config.levels, _below("calibration", tensors))
        starts = tensors["starts"].numpy().view(history.panel.starts.dtype)
        scale = SeriesScale(*(tensors[name].numpy() for name in SeriesScale._fields))
        combined = record.get("combination")
        combination = None if combined is None else Combination.from_json(combined)
        return cls(
            config, sizes, nets, calibration, history, starts, scale, combination=combination
        )

    @classmethod
    def trained(
        cls,
        config: ForecastConfig,
        sizes: Sizes,
        nets: tuple[ForecastNet, ...],
        cutter: WindowCutter,
        holdout: Origins,
    ) -> "Model":
        """The model of trained networks, calibrated on the held-out origins."""
        panel = cutter.panel
        combination = cutter.combination
        reach = 0 if combination is None else combination.members.reach
        history = keep(panel, cutter.start_age, max(nets[0].lookback, reach))
        initial = uncalibrated(config.levels, config.horizon)
        scale = cutter.series_scale
        model = cls(
            *(config, sizes, nets, initial, history, panel.starts, scale), combination=combination
        )
        if not model._calibrates:
            return model
        scaled = scaled_forecasts(nets, cutter, holdout, seed=config.seed)
        everything = np.ones(len(holdout.series), bool)
        calibration = model._calibration_of(scaled, cutter, holdout, everything)
        return dataclasses.replace(model, calibration=calibration)


def _whole(quantiles: Floats, levels: Floats) -> Floats:
    """Quantiles (..., Q) of counts as whole numbers, the outer ones rounded outwards, so that their
    coverage stays.
    """
    # Calibrated values may be a rounding error beside a whole number.
    near = quantiles.round(6)
    outward = np.where(levels < 0.5, np.floor(near), np.ceil(near))
    whole: Floats = np.maximum(np.where(levels == 0.5, near.round(), outward), 0)
    return whole


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix.`, by the rest of their names."""
    start = f"{prefix}."
    return {n.removeprefix(start): value for n, value in tensors.items() if n.startswith(start)}


def _with_constants(
    predictions: Predictions, cutter: WindowCutter, origins: Origins
) -> Predictions:
    """The predictions, replaced for degenerate series: NaN for one without any value, the constant
    itself for a constant one.
    """
    degenerate, constant = cutter.degenerate(origins)

    def replaced(values: Floats) -> Floats:
        shape = (-1, *[1] * (values.ndim - 1))
        return np.where(degenerate.reshape(shape), constant.reshape(shape), values)

    paths = None if predictions.paths is None else replaced(predictions.paths)
    return Predictions(replaced(predictions.point), replaced(predictions.quantiles), paths)
