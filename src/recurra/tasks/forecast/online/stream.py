"""Streams: series followed one observation at a time, with the state carried.

Future covariates, those of the steps after a stream's present, come from tables.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.data.series.covariates import future_after, refuse_missing_steps
from recurra.data.series.encoding import Encoding, encode_values
from recurra.data.series.grid import Stamps
from recurra.data.series.panel import Panel
from recurra.data.tables.columns import show_stamp
from recurra.errors import DataError
from recurra.nn.states import flatten, unflatten
from recurra.tasks.forecast.frames import DataFrame, forecast_columns, long_columns, make_frame
from recurra.tasks.forecast.model import Model
from recurra.tasks.forecast.nets import CarriedState, StepInput
from recurra.tasks.forecast.nets.inference import (
    Predictions,
    ScaledForecasts,
    seeded,
)
from recurra.tasks.forecast.online.anomaly import normal_scores
from recurra.tasks.forecast.store import PlacedPanel
from recurra.tasks.forecast.windows.scaling import transformed
from recurra.tasks.forecast.windows.splits import Origins
from recurra.tasks.forecast.windows.traits import mean_change, window_error
from recurra.tasks.session import Session, weights_digest

__all__ = [
    "FutureCovariates",
    "Stream",
]


Features = NDArray[np.float32]


class FutureCovariates:
    """Future covariates of the steps after a panel's ends, from tables, as far as these reach.

    `last` (N,) are the stamps of the present; `advance` moves on by one step.
    """

    _NAMES = ("last", "present", "values", "covered")

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self.last: Stamps = panel.last
        self._present = panel.future[panel.offsets[1:] - 1]
        self._values = np.zeros((len(panel), 0, panel.future.shape[1]), np.float32)
        self._covered = np.zeros((len(panel), 0), bool)

    def state(self) -> dict[str, Tensor]:
        """Everything but the panel, as tensors by name."""
        arrays = (self.last.view(np.int64), self._present, self._values, self._covered)
        tensors = (torch.from_numpy(np.array(array)) for array in arrays)
        return dict(zip(self._NAMES, tensors, strict=True))

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore the tensors that `state` gave."""
        last, *others = (tensors[name].numpy().copy() for name in self._NAMES)
        self.last = last.view(self.last.dtype)
        self._present, self._values, self._covered = others

    def add(self, table: Any) -> None:
        """Add a table, or correct earlier ones; steps in the past are ignored."""
        values, covered = future_after(self._panel, table, self.last)
        steps = max(covered.shape[1], self._covered.shape[1])
        covered = _sized(covered, steps)
        before = _sized(self._values, steps)
        self._values = np.where(covered[..., None], _sized(values, steps), before)
        self._covered = covered | _sized(self._covered, steps)

    def require(self, steps: int) -> None:
        """DataError where a series lacks one of the next steps."""
        if self._values.shape[2]:
            stamps = self._panel.frequency.after(self.last, steps)
            missing = ~_sized(self._covered, steps)
            refuse_missing_steps(self._panel, "future", missing, stamps)

    def of_next(self, steps: int) -> Features:
        """The covariates (N, steps, F) of the next steps; missing ones stay as they were last."""
        covered, values = _sized(self._covered, steps), _sized(self._values, steps)
        latest = np.maximum.accumulate(np.where(covered, np.arange(1, steps + 1), 0), 1)
        from_present = np.concatenate([self._present[:, None], values], 1)
        return np.take_along_axis(from_present, latest[..., None], 1)

    def advance(self) -> None:
        """Make the next step the present."""
        self._present = self.of_next(1)[:, 0]
        self._values, self._covered = self._values[:, 1:], self._covered[:, 1:]
        self.last = self._panel.frequency.shift(self.last, 1)


def _sized(part: NDArray[Any], steps: int) -> NDArray[Any]:
    """The first steps (N, steps, ...) of an array, those beyond it empty."""
    more = max(steps - part.shape[1], 0)
    return np.pad(part[:, :steps], [(0, 0), (0, more), *[(0, 0)] * (part.ndim - 2)])


class Stream(Session[Mapping[Hashable, float | None], dict[Hashable, float]]):
    """The series of a forecaster from their ends on; `Forecaster.stream` makes one.

    Each `update` is one step of every series. No look-back is read again, so a step costs the same
    however long the series are, and they stay scaled as they were when the stream began. Their mean
    change from step to step, with which intervals grow, is a running mean. As a session, its chunk
    is one step of every series and its result their scores; a saved one is restored by a stream of
    the same model and series.
    """

    _ARRAYS = ("_location", "_scale", "_change", "_gap", "_last", "_moves")

    def __init__(self, model: Model, placed: PlacedPanel, future: Any, seed: int) -> None:
        series = hashlib.sha256(repr(placed.panel.ids.tolist()).encode()).hexdigest()
        super().__init__(f"{weights_digest(model.nets)} of {series}")
        self._model, self._panel, self._seed = model, placed.panel, seed
        self._numbers = {series: n for n, series in enumerate(self._panel.ids)}
        self._future = FutureCovariates(self._panel)
        self._cutter = model.cutter(placed)
        everywhere = Origins(np.arange(len(self._panel)), self._panel.lengths)
        batch = self._cutter.cut(everywhere, with_actual=False)
        self._location, self._scale = batch.location.numpy(), batch.scale.numpy()
        values, seen = (p[: self._cutter.lookback].numpy() for p in (batch.values, batch.seen))
        self._traits = self._cutter.traits(batch, everywhere.series)
        self._usual = self._cutter.series_traits
        self._change = mean_change(values.astype(np.float64), seen)
        self._gap = self._traits.gap
        self._last = np.where(seen[-1], values[-1], np.nan)
        self._moves = (seen[1:] & seen[:-1]).sum(0)
        with torch.inference_mode():
            self._states = [net.begin(batch) for net in model.nets]
            step = StepInput(batch.values[0], batch.seen[0], batch.past[0], batch.future[0])
            # A model that can't be streamed raises here, not at the first observation.
            model.nets[0].advance(self._states[0], step)
        self._latest: Predictions | None = None
        self._add_future(future)

    def feed(self, chunk: Mapping[Hashable, float | None]) -> list[dict[Hashable, float]]:
        """Read one step, as `update` does for a model without covariates; the scores."""
        return [self.update(chunk)]

    def state(self) -> dict[str, Tensor]:
        """States of the networks, scales, running means, and future covariates."""
        tensors = {name: torch.from_numpy(getattr(self, name).copy()) for name in self._ARRAYS}
        tensors |= {f"future.{name}": value for name, value in self._future.state().items()}
        for number, state in enumerate(self._states):
            _, layers = flatten(state.layers)
            tensors |= {f"net{number}.layers.{name}": value for name, value in layers.items()}
            tensors |= {f"net{number}.{name}": value for name, value in state.values.items()}
        return tensors

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave."""
        for name in self._ARRAYS:
            setattr(self, name, tensors[name].numpy().copy())
        self._future.set_state(_below("future.", tensors))
        self._states = [
            _restored(state, _below(f"net{number}.", tensors))
            for number, state in enumerate(self._states)
        ]
        self._latest = None

    def update(
        self,
        values: Mapping[Hashable, float | None],
        *,
        past: Mapping[Hashable, Mapping[str, Any]] | None = None,
        future: Any = None,
    ) -> dict[Hashable, float]:
        """One step of every series: values by id; a series that is not named, None or NaN has none.

        Args:
            past: where the model reads past covariates, those of this step, by id and by column:
                {"a": {"wind": 3.0}}; needed of each series that is named in `values`.
            future: a table of future covariates, of this step or later ones: it adds to earlier
                tables, or corrects them. Every series needs those of this step.

        Returns the anomaly score of each value, as `Forecaster.anomalies` has it. Raises DataError
        for a series that is not followed, an infinite value, a missing covariate, or one that the
        training data did not have.
        """
        y = self._observed(values)
        past_features = self._past_features(values, past or {})
        self._add_future(future)
        self._future.require(1)
        quantiles = self.predictions().unrounded[:, 0]
        scores = np.abs(normal_scores(quantiles, self._model.config.levels, y))
        self._advance(y, past_features)
        return {series: float(scores[self._numbers[series]]) for series in values}

    def predict(self, *, future: Any = None) -> DataFrame:
        """Forecasts of the steps after the last update, as `Forecaster.predict` gives them.

        `future` is a table as `update` takes it; DataError where a step of the horizon lacks future
        covariates that the model reads.
        """
        panel, config = self._panel, self._model.config
        self._add_future(future)
        self._future.require(config.horizon)
        stamps = panel.frequency.after(self._future.last, config.horizon)
        predictions = self.predictions()
        columns = forecast_columns(predictions, config.levels, config.widths, config.horizon)
        return make_frame({**long_columns(panel, stamps), **columns}, panel.frame_kind)

    def _observed(self, values: Mapping[Hashable, float | None]) -> NDArray[np.float64]:
        if not isinstance(values, Mapping):
            raise DataError(
                f"The values of a step are {values!r}; give them by series: {{'name': 8.0}}."
            )
        y = np.full(len(self._panel), np.nan)
        for series, value in values.items():
            self._check_followed(series)
            y[self._numbers[series]] = _number(series, value)
        return y

    def _past_features(
        self, values: Mapping[Hashable, float | None], past: Mapping[Hashable, Mapping[str, Any]]
    ) -> Features:
        """Past covariates (N, P), encoded; of series that are not named, as missing rows."""
        encodings = self._panel.schema.past
        if past:
            self._model.check_covariates("past")
        for series, covariates in past.items():
            self._check_followed(series)
            _check_columns(series, covariates, [encoding.name for encoding in encodings])
        named = list(dict.fromkeys([*values, *past]))
        stamp = show_stamp(self._panel.frequency.shift(self._future.last[:1], 1)[0])

        def columns(encoding: Encoding) -> Features:
            features = np.tile(encoding.absent, (len(self._numbers), 1))
            own = [past.get(series, {}).get(encoding.name) for series in named]
            features[[self._numbers[series] for series in named]] = encode_values(
                encoding, own, lambda n: f"past: series {named[n]!r} at {stamp}"
            )
            return features

        none = np.zeros((len(self._numbers), 0), np.float32)
        return np.concatenate([none, *map(columns, encodings)], 1)

    def _check_followed(self, series: Hashable) -> None:
        if series not in self._numbers:
            raise DataError(
                f"There is no series {series!r} in this stream; a stream follows the series that "
                "it was started with: start another with data of all."
            )

    def _add_future(self, table: Any) -> None:
        if table is not None:
            self._model.check_covariates("future")
            self._future.add(table)
            self._latest = None

    def _advance(self, y: NDArray[np.float64], past_features: Features) -> None:
        scaled = (transformed(y, self._model.config.transform) - self._location) / self._scale
        seen = torch.from_numpy(np.isfinite(scaled))
        value = torch.from_numpy(np.nan_to_num(scaled).astype(np.float32))
        step = StepInput(value, seen, torch.from_numpy(past_features), self._future_features(1)[0])
        with torch.inference_mode():
            pairs = zip(self._model.nets, self._states, strict=True)
            self._states = [net.advance(state, step) for net, state in pairs]
        move = np.abs(scaled - self._last)
        # The mean of all moves since the look-back began, until these are two look-backs of steps.
        finite, most = np.isfinite(move), 2 * self._cutter.lookback
        self._moves = np.minimum(self._moves + finite, most)
        correction = np.where(finite, move - self._change, 0) / np.maximum(self._moves, 1)
        self._change, self._last = self._change + correction, scaled
        self._gap = np.where(np.isfinite(scaled), 0, self._gap + 1)
        self._future.advance()
        self._latest = None

    def _future_features(self, steps: int) -> torch.Tensor:
        """Future covariates and the calendar of the next steps, (steps, N, F)."""
        frequency = self._panel.frequency
        stamps = frequency.after(self._future.last, steps).T
        calendar = self._cutter.calendar.of_stamps(stamps, frequency)
        covariates = self._future.of_next(steps).transpose(1, 0, 2)
        return torch.from_numpy(np.concatenate([covariates, calendar], -1))

    def predictions(self) -> Predictions:
        """The forecasts of the horizon; missing future covariates stay as they were last: a score
        needs those of the first step alone, since no model that can be streamed reads later ones
        for it.
        """
        if self._latest is None:
            future = self._future_features(self._model.config.horizon)
            with seeded(self._seed):
                pairs = zip(self._model.nets, self._states, strict=True)
                members = [net.forecast_from(state, future).quantiles for net, state in pairs]
            mean = torch.stack(members).double().mean(0).numpy()
            error = window_error(self._change, self._moves, self._usual, self._scale)
            traits = self._traits._replace(error=error, gap=self._gap)
            scaled = ScaledForecasts(mean, self._location, self._scale, traits)
            self._latest = self._model.calibrated(scaled)
        return self._latest


def _restored(state: CarriedState, tensors: dict[str, Tensor]) -> CarriedState:
    """A saved state; `state` tells how its layers nest."""
    shape, _ = flatten(state.layers)
    layers = unflatten(shape, _below("layers.", tensors), torch.device("cpu"))
    return state.later(layers, **{name: tensors[name] for name in state.values})


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}


def _number(series: Hashable, value: Any) -> float:
    """The value as a number, NaN for None; DataError for any other, and for infinity."""
    try:
        number = np.nan if value is None else float(value)
    except (TypeError, ValueError):
        number = np.inf
    if np.isinf(number):
        raise DataError(f"The value of {series!r} is {value!r}; give a finite number, or NaN.")
    return number


def _check_columns(series: Hashable, covariates: Any, names: Sequence[str]) -> None:
    if not isinstance(covariates, Mapping):
        raise DataError(
            f"past of {series!r} is {covariates!r}; give its covariates by name: "
            f"past={{{series!r}: {{{names[0]!r}: ...}}}}."
        )
    for name in covariates:
        if name not in names:
            raise DataError(
                f"past of {series!r} has {name!r}, which is none of {', '.join(names)}; leave it "
                "out, or correct its name."
            )
