"""A trained forecaster: networks, calibration, and the ends of the series; what makes forecasts."""

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
from recurra.tasks.forecast.intervals.adapt import followed
from recurra.tasks.forecast.intervals.calibrate import Calibration, calibrate, uncalibrated
from recurra.tasks.forecast.nets import ForecastNet, Sizes
from recurra.tasks.forecast.notes import FEWEST, named
from recurra.tasks.forecast.predict import Predicted, Scaled, scaled_forecasts
from recurra.tasks.forecast.store import Kept, keep, restore, to_parts
from recurra.tasks.forecast.windows.scaling import Usual, transformed, untransformed
from recurra.tasks.forecast.windows.splits import cutter_for, usual_of
from recurra.tasks.forecast.windows.windows import Cutter, Origins, apart_of, folds

__all__ = ["Model"]

Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Model:
    """Networks that are averaged, what was measured on the held-back part, and what is known.

    `starts` (N,) are when each trained series began: new data of it are placed in its season so.
    What is `usual` of each is so in training: a forecast from the past knows nothing later. After
    final steps, `before` is the model that was judged, without them.
    """

    config: ForecastConfig
    sizes: Sizes
    nets: tuple[ForecastNet, ...]
    calibration: Calibration
    known: Kept
    starts: NDArray[Any]
    usual: Usual
    before: "Model | None" = None

    def cutter(self, kept: Kept, ahead: NDArray[np.float32] | None = None) -> Cutter:
        """What cuts windows out of these series."""
        numbers = self.numbers(kept.panel)
        return cutter_for(
            self.config,
            kept.panel,
            self.nets[0].lookback,
            numbers=numbers,
            begun=kept.begun,
            usual=self._usual(kept.panel, numbers),
            ahead=ahead,
        )

    def _usual(self, panel: Panel, numbers: NDArray[np.int64]) -> Usual:
        """What training found usual of each series; of one that had no value there, its own."""
        own, trained = usual_of(panel, self.config.transform), self.usual.of(numbers)
        known = (numbers >= 0) & np.isfinite(trained.centre)
        return Usual(*(np.where(known, *parts) for parts in zip(trained, own, strict=True)))

    def numbers(self, panel: Panel) -> NDArray[np.int64]:
        """Which of the trained series each is; -1 for one that was not."""
        place = {series: n for n, series in enumerate(self.known.panel.ids)}
        return np.array([place.get(series, -1) for series in panel.ids], dtype=np.int64)

    def placed(self, panel: Panel) -> Kept:
        """New data of known series, at their place in time; series that are new begin here."""
        numbers = self.numbers(panel)
        known = numbers >= 0
        begun = np.zeros(len(panel), np.int64)
        new, old = panel.starts[known], self.starts[numbers[known]]
        later, earlier = (panel.frequency.positions(*p) for p in ((new, old), (old, new)))
        begun[known] = np.maximum(later, 0) - np.maximum(earlier, 0)
        return Kept(panel, begun)

    def unknown(self, panel: Panel) -> list[str]:
        """A note on series that were not trained on."""
        new = self.numbers(panel) < 0
        if not new.any():
            return []
        return [
            f"{named(panel, new)} were not in training, and are forecast by what the others taught."
        ]

    def ahead_of(self, kept: Kept, future: Any) -> NDArray[np.float32] | None:
        """Future-known covariates of the steps to forecast; ConfigError where they are missing."""
        names = kept.panel.schema.columns.future
        if future is not None:
            self.check_read("future")
        if names and future is None:
            raise ConfigError(
                f"The model reads {', '.join(names)} ahead; give a table of the next "
                f"{self.config.horizon} steps with these columns as future (--future-data)."
            )
        return future_of(kept.panel, future, self.config.horizon) if names else None

    def check_read(self, kind: str) -> None:
        """ConfigError where covariates of a kind, past or future, are given and none are read."""
        if not getattr(self.known.panel.schema.columns, kind):
            raise ConfigError(
                f"The model reads no {kind} covariates; leave {kind} out, or train one that does: "
                f"{kind} = 'column'."
            )

    def forecast(
        self, cutter: Cutter, origins: Origins, *, paths: int = 0, seed: int = 0
    ) -> Predicted:
        """Forecasts from any origins; `paths` sample paths of each."""
        scaled = scaled_forecasts(self.nets, cutter, origins, paths=paths, seed=seed)
        found = self.on_data(scaled)
        if paths:
            quantiles = self.calibration(scaled.quantiles, scaled.change)
            drawn = scaled.to_data(
                self._paths(scaled, quantiles, paths, seed), self.config.transform
            )
            drawn = np.maximum(drawn.round(), 0) if self.config.counts else drawn
            found = found._replace(paths=drawn)
        return _told(found, cutter, origins)

    def rolled(
        self, cutter: Cutter, origins: Origins, half_life: int, *, seed: int = 0
    ) -> Predicted:
        """Forecasts from rolling origins, whose quantiles follow the truths known by then."""
        scaled = scaled_forecasts(self.nets, cutter, origins, seed=seed)
        truth = scaled.to_scaled(transformed(cutter.truth(origins), self.config.transform))
        panel = cutter.panel
        position = panel.frequency.elapsed(panel.starts)[origins.series] + origins.known
        quantiles = followed(
            self.calibration, scaled.quantiles, truth, scaled.change, position, half_life
        )
        return _told(self._on_data(scaled, quantiles), cutter, origins)

    def crossed(self, cutter: Cutter, origins: Origins) -> Predicted | None:
        """Forecasts of held-back windows, each calibrated on others that share no truth with it.

        None where there are too few for that.
        """
        scaled = scaled_forecasts(self.nets, cutter, origins, seed=self.config.seed)
        if not self._calibrates:
            return _told(self.on_data(scaled), cutter, origins)
        calibrated = np.empty((*scaled.quantiles.shape[:2], len(self.config.levels)))
        for inside, others in folds(origins, self.config.horizon):
            if not others.any():
                return None
            found = self._calibrated(scaled, cutter, origins, others)
            calibrated[inside] = found(scaled.quantiles[inside], scaled.change[inside])
        return _told(self._on_data(scaled, calibrated), cutter, origins)

    @property
    def _calibrates(self) -> bool:
        return self.config.calibrate or not self.nets[0].levels

    def _calibrated(
        self, scaled: Scaled, cutter: Cutter, origins: Origins, chosen: NDArray[np.bool_]
    ) -> Calibration:
        """What some held-back windows, chosen of (W,), say of the quantiles."""
        part = Origins(*(values[chosen] for values in origins))
        truth = scaled.to_scaled(transformed(cutter.truth(origins), self.config.transform))
        return calibrate(
            scaled.quantiles[chosen],
            truth[chosen],
            self.config.levels,
            scaled.change[chosen],
            apart_of(part, self.config.horizon),
        )

    def on_data(self, scaled: Scaled) -> Predicted:
        """Calibrated quantiles on the scale of the data, and points: the mean of a network that was
        trained for it, else the median.
        """
        return self._on_data(scaled, self.calibration(scaled.quantiles, scaled.change))

    def _on_data(self, scaled: Scaled, calibrated: Floats) -> Predicted:
        how = self.config.transform
        quantiles = scaled.to_data(calibrated, how)
        if self.config.counts:
            quantiles = _whole(quantiles, np.array(self.config.levels))
        if self.nets[0].kind == "mse":
            return Predicted(scaled.to_data(scaled.quantiles[..., 0], how), quantiles, None)
        return Predicted(quantiles[..., self.config.levels.index(0.5)], quantiles, None)

    def _paths(self, scaled: Scaled, quantiles: Floats, count: int, seed: int) -> Floats:
        """A sampling network's own paths, calibrated, else paths ranked as held-back windows."""
        if scaled.paths is None:
            return self.calibration.paths(quantiles, count, np.random.default_rng(seed))
        drawn = self.calibration.moved(scaled.paths, scaled.change)
        generator = np.random.default_rng(seed)
        return drawn[:, generator.permutation(drawn.shape[1])[:count]]

    def to_parts(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything but the networks, as tensors and JSON."""
        tensors, series = to_parts(self.known)
        parts = {f"known.{name}": value for name, value in tensors.items()}
        parts |= {f"calibration.{n}": value for n, value in self.calibration.tensors().items()}
        parts["starts"] = torch.from_numpy(self.starts.view(np.int64).copy())
        parts |= {name: torch.from_numpy(v) for name, v in self.usual._asdict().items()}
        return parts, {"known": series}

    @classmethod
    def from_parts(
        cls,
        config: ForecastConfig,
        sizes: Sizes,
        nets: tuple[ForecastNet, ...],
        tensors: dict[str, Tensor],
        facts: dict[str, Any],
    ) -> "Model":
        """The model of what `to_parts` gave; RunError where training was not completed."""
        if "known" not in facts:
            raise RunError("The run is not trained to its end; resume it with --resume.")
        kept = restore(_below("known", tensors), facts["known"])
        calibration = Calibration.from_tensors(config.levels, _below("calibration", tensors))
        starts = tensors["starts"].numpy().view(kept.panel.starts.dtype)
        usual = Usual(*(tensors[name].numpy() for name in Usual._fields))
        return cls(config, sizes, nets, calibration, kept, starts, usual)

    @classmethod
    def trained(
        cls,
        config: ForecastConfig,
        sizes: Sizes,
        nets: tuple[ForecastNet, ...],
        cutter: Cutter,
        held: Origins,
    ) -> "Model":
        """The model of trained networks: calibrated, and with the end of each series."""
        panel = cutter.panel
        known = keep(panel, cutter.begun, nets[0].lookback)
        nothing = uncalibrated(config.levels, config.horizon)
        model = cls(config, sizes, nets, nothing, known, panel.starts, cutter.usual)
        if not model._calibrates:
            return model
        scaled = scaled_forecasts(nets, cutter, held, seed=config.seed)
        everything = np.ones(len(held.series), bool)
        found = model._calibrated(scaled, cutter, held, everything)
        return dataclasses.replace(model, calibration=found)


def _whole(quantiles: Floats, levels: Floats) -> Floats:
    """Quantiles (..., Q) of counts: whole numbers, the outer ones outwards, so that they hold what
    they held.
    """
    # What calibration added may be a rounding beside a whole number.
    near = quantiles.round(6)
    outward = np.where(levels < 0.5, np.floor(near), np.ceil(near))
    found: Floats = np.maximum(np.where(levels == 0.5, near.round(), outward), 0)
    return found


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix.`, by the rest of their names."""
    start = f"{prefix}."
    return {n.removeprefix(start): value for n, value in tensors.items() if n.startswith(start)}


def _told(found: Predicted, cutter: Cutter, origins: Origins) -> Predicted:
    """Forecasts as they are, but where there is nothing to model: NaN for a series without any
    value, and the constant itself for one that is constant.
    """
    plain, constant = _plain(cutter, origins)

    def replaced(values: Floats) -> Floats:
        shape = (-1, *[1] * (values.ndim - 1))
        return np.where(plain.reshape(shape), constant.reshape(shape), values)

    paths = None if found.paths is None else replaced(found.paths)
    return Predicted(replaced(found.point), replaced(found.quantiles), paths)


def _plain(cutter: Cutter, origins: Origins) -> tuple[NDArray[np.bool_], Floats]:
    """Which windows have one forecast only (W,), and what it is: NaN where no value is known."""
    panel, usual = cutter.panel, cutter.usual.of(origins.series)
    plain, constant = usual.spread == 0, untransformed(usual.centre, cutter.transform)
    for w in np.flatnonzero(plain):
        values = panel.values(origins.series[w])[: origins.known[w]]
        values = values[np.isfinite(values)]
        if len(values):
            plain[w] = len(values) >= FEWEST and values.min() == values.max()
            constant[w] = values[0]
    return plain, constant
