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
from recurra.tasks.forecast.intervals.calibration import Calibration, uncalibrated
from recurra.tasks.forecast.intervals.fitting import (
    fit_calibration,
    scaled_actual,
    with_own_errors,
)
from recurra.tasks.forecast.intervals.on_data import OnData
from recurra.tasks.forecast.intervals.series_errors import (
    UNFITTED,
    OwnErrors,
    errors_by_law,
    fit_law,
    own_errors,
)
from recurra.tasks.forecast.intervals.widening import measure_widening
from recurra.tasks.forecast.nets import ForecastNet, Sizes
from recurra.tasks.forecast.nets.inference import Predictions, ScaledForecasts, scaled_forecasts
from recurra.tasks.forecast.statistics.combination import Combination
from recurra.tasks.forecast.store import PlacedPanel, keep, restore, to_parts
from recurra.tasks.forecast.windows.cutter import WindowCutter, cutter_for
from recurra.tasks.forecast.windows.scaling import (
    SeriesScale,
    series_scale,
)
from recurra.tasks.forecast.windows.splits import (
    Origins,
    folds,
)
from recurra.tasks.forecast.windows.traits import SeriesTraits, series_traits

__all__ = ["Model"]

Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Model:
    """Networks that are averaged, their calibration, and the ends of the trained series.

    `history` is the end of each trained series, `starts` (N,) are their first stamps: new data take
    their place in the season by them. `series_scale` and `series_traits` are those of training: a
    forecast from the past knows nothing later; `error_law` (2,) and the `own_errors` of each series
    give the errors to expect. `combination` weighs statistical forecasts with the networks'. After
    final steps, `before` is the model that was judged, without them.
    """

    config: ForecastConfig
    sizes: Sizes
    nets: tuple[ForecastNet, ...]
    calibration: Calibration
    history: PlacedPanel
    starts: NDArray[Any]
    series_scale: SeriesScale
    series_traits: SeriesTraits
    error_law: Floats
    own_errors: OwnErrors
    before: "Model | None" = None
    combination: Combination | None = None

    def cutter(
        self, placed: PlacedPanel, future: NDArray[np.float32] | None = None
    ) -> WindowCutter:
        """The cutter of these series; `future` (N, H, F) are covariates after their ends."""
        numbers = self.series_numbers(placed.panel)
        scale = self._usual_scale(placed.panel, numbers)
        cutter = cutter_for(
            self.config,
            placed.panel,
            self.nets[0].lookback,
            self.sizes.cycles,
            numbers=numbers,
            start_age=placed.start_age,
            usual=(scale, self._usual_traits(placed.panel, numbers, scale)),
            future=future,
        )
        return dataclasses.replace(cutter, combination=self.combination)

    def _usual_scale(self, panel: Panel, numbers: NDArray[np.int64]) -> SeriesScale:
        """The scale of each series in training; of one without a value there, its own."""
        own = series_scale(panel, self.config.transform, others=self.series_scale)
        trained = self.series_scale.of(numbers)
        usable = (numbers >= 0) & np.isfinite(trained.centre)
        return SeriesScale(*(np.where(usable, *parts) for parts in zip(trained, own, strict=True)))

    def _usual_traits(
        self, panel: Panel, numbers: NDArray[np.int64], scale: SeriesScale
    ) -> SeriesTraits:
        """The traits of each series in training; of one without a value there, its own."""
        config = self.config
        own = series_traits(panel, config.transform, self.sizes.season, config.horizon)
        own = errors_by_law(self.error_law, own, scale)
        more = self.own_errors
        trained = self.series_traits._replace(
            error=self.series_traits.error * more.errors, width=more.widths
        ).of(numbers)
        usable = (numbers >= 0) & np.isfinite(trained.lowest)
        return SeriesTraits(*(np.where(usable, *parts) for parts in zip(trained, own, strict=True)))

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
            quantiles = self.calibration(scaled.quantiles, scaled.traits)
            own = self._paths(scaled, quantiles, paths, seed)
            drawn = self._on_data.paths(scaled, own, self.calibration)
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
            scaled_actual(scaled, cutter, origins),
            scaled.traits,
            panel.frequency.elapsed(panel.starts)[origins.series] + origins.cutoffs,
            half_life,
        )
        predictions = self._on_data.predictions(scaled, quantiles, self.calibration)
        return _with_constants(predictions, cutter, origins)

    def forecast_crosswise(self, cutter: WindowCutter, origins: Origins) -> Predictions | None:
        """Forecasts of held-out windows, each calibrated on others that share no step with it.

        None where there are too few for that.
        """
        if not self._calibrates:
            scaled = scaled_forecasts(self.nets, cutter, origins, seed=self.config.seed)
            return _with_constants(self.calibrated(scaled), cutter, origins)
        cutter = dataclasses.replace(cutter, series_traits=self.series_traits)
        plain = scaled_forecasts(self.nets, cutter, origins, seed=self.config.seed)
        on_data, levels, shape = self._on_data, self.config.levels, plain.quantiles.shape[:2]
        quantiles, unrounded = (np.empty((*shape, len(levels))) for _ in range(2))
        point = np.empty(shape)
        for inside, others in folds(origins, self.config.horizon):
            if not others.any():
                return None
            scaled = with_own_errors(self.config, plain, cutter, origins, others)
            calibration = fit_calibration(
                on_data, scaled.at(others), cutter, origins.at(others), self.calibration.widening
            )
            part = scaled.at(inside)
            calibrated = calibration(part.quantiles, part.traits)
            found = on_data.predictions(part, calibrated, calibration)
            point[inside], quantiles[inside] = found.point, found.quantiles
            unrounded[inside] = found.unrounded
        predictions = Predictions(point, quantiles, unrounded)
        return _with_constants(predictions, cutter, origins)

    @property
    def _calibrates(self) -> bool:
        return self.config.calibrate or not self.nets[0].levels

    def calibrated(self, scaled: ScaledForecasts) -> Predictions:
        """Calibrated quantiles on the scale of the data, and points: medians or means, as
        `config.point` has it.
        """
        quantiles = self.calibration(scaled.quantiles, scaled.traits)
        return self._on_data.predictions(scaled, quantiles, self.calibration)

    @property
    def _on_data(self) -> OnData:
        return OnData(self.config, self.nets[0].kind)

    def _paths(self, scaled: ScaledForecasts, quantiles: Floats, count: int, seed: int) -> Floats:
        """A sampling network's own paths, calibrated, else paths ranked as held-out windows."""
        if scaled.paths is None:
            return self.calibration.paths(quantiles, count, np.random.default_rng(seed))
        drawn = self.calibration.shifted(scaled.paths, scaled.traits)
        generator = np.random.default_rng(seed)
        return drawn[:, generator.permutation(drawn.shape[1])[:count]]

    def to_parts(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything but the networks, as tensors and JSON."""
        tensors, record = to_parts(self.history)
        parts = {f"history.{name}": value for name, value in tensors.items()}
        parts |= {f"calibration.{n}": value for n, value in self.calibration.tensors().items()}
        parts |= {f"own_{n}": torch.from_numpy(v) for n, v in self.own_errors._asdict().items()}
        parts["error_law"] = torch.from_numpy(self.error_law)
        parts["starts"] = torch.from_numpy(self.starts.view(np.int64).copy())
        for of in (self.series_scale, self.series_traits):
            parts |= {name: torch.from_numpy(v) for name, v in of._asdict().items()}
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
        traits = SeriesTraits(*(tensors[name].numpy() for name in SeriesTraits._fields))
        law = tensors["error_law"].numpy()
        own = OwnErrors(*(tensors[f"own_{name}"].numpy() for name in OwnErrors._fields))
        combined = record.get("combination")
        return cls(
            *(config, sizes, nets, calibration, history, starts, scale, traits, law, own),
            combination=None if combined is None else Combination.from_json(combined),
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
        ones = np.ones(len(panel))
        model = cls(
            config,
            sizes,
            nets,
            initial,
            history,
            panel.starts,
            cutter.series_scale,
            cutter.series_traits,
            UNFITTED,
            OwnErrors(ones, ones),
            combination=combination,
        )
        return model._fitted(cutter, holdout)

    def _fitted(self, cutter: WindowCutter, holdout: Origins) -> "Model":
        """The model with the errors to expect, the widening and the calibration of a holdout."""
        config, scale = self.config, self.series_scale
        scaled = scaled_forecasts(self.nets, cutter, holdout, seed=config.seed)
        actual = scaled_actual(scaled, cutter, holdout)
        law = fit_law(scaled, actual, holdout.series, self.series_traits, scale)
        traits = errors_by_law(law, self.series_traits, scale)
        model = dataclasses.replace(self, series_traits=traits, error_law=law)
        cutter = dataclasses.replace(cutter, series_traits=traits)
        scaled = scaled_forecasts(self.nets, cutter, holdout, seed=config.seed)
        own = own_errors(scaled, actual, holdout, config.horizon, config.levels, len(cutter.panel))
        # Statistical forecasts read the gaps too, so the network's alone show what gaps cost.
        alone = dataclasses.replace(cutter, combination=None)
        widening = measure_widening(config, self.nets, alone, holdout, law)
        calibration = dataclasses.replace(self.calibration, widening=widening)
        if self._calibrates:
            everything = np.ones(len(holdout.series), bool)
            scaled = with_own_errors(config, scaled, cutter, holdout, everything)
            calibration = fit_calibration(self._on_data, scaled, cutter, holdout, widening)
        return dataclasses.replace(model, own_errors=own, calibration=calibration)


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
    return Predictions(
        replaced(predictions.point),
        replaced(predictions.quantiles),
        replaced(predictions.unrounded),
        paths,
    )
