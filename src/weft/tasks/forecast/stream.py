"""Series followed as they come: one observation at a time, with the state carried."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from weft.errors import ConfigError, DataError
from weft.tasks.forecast.frames import Frame, forecast_columns, frame, long_columns
from weft.tasks.forecast.model import Model
from weft.tasks.forecast.nets import Now
from weft.tasks.forecast.predict import Predicted, Scaled, drawing
from weft.tasks.forecast.scaling import transformed
from weft.tasks.forecast.store import Kept
from weft.tasks.forecast.surprise import normal_scores
from weft.tasks.forecast.windows import Origins

__all__ = ["Stream"]


class Stream:
    """The series of a forecaster from their ends on; `Forecaster.stream` makes one.

    Each `update` is one step of every series. No look-back is read again, so a step costs the same
    however long the series are, and they stay scaled as they were when the stream began.
    """

    def __init__(self, model: Model, kept: Kept, seed: int) -> None:
        schema = kept.panel.schema
        if names := (*schema.columns.past, *schema.columns.future):
            raise ConfigError(
                f"The model reads {', '.join(names)}; a stream takes the target alone: train "
                "without covariates to stream."
            )
        self._model, self._kept, self._seed = model, kept, seed
        self._steps = 0
        self._place = {series: n for n, series in enumerate(kept.panel.ids)}
        self._cutter = model.cutter(kept)
        everywhere = Origins(np.arange(len(kept.panel)), kept.panel.lengths)
        batch = self._cutter.cut(everywhere, with_truth=False)
        self._location, self._scale = batch.location.numpy(), batch.scale.numpy()
        with torch.inference_mode():
            self._carried = [net.begin(batch) for net in model.nets]
            now = Now(batch.values[0], batch.seen[0], batch.past[0], self._calendar(0)[0])
            # A model that can't be streamed says so here, not at the first observation.
            model.nets[0].advance(self._carried[0], now)
        self._latest: Predicted | None = None

    def update(self, values: Mapping[Hashable, float]) -> dict[Hashable, float]:
        """One step of every series: the values by id; a series that is not named, or NaN, has none.

        Returns how surprising each value was, as `Forecaster.anomalies` scores it. Raises DataError
        for a series that is not followed, or a value that is infinite.
        """
        y = np.full(len(self._kept.panel), np.nan)
        for series, value in values.items():
            if series not in self._place:
                raise DataError(
                    f"There is no series {series!r} in this stream; a stream follows those it was "
                    "begun with: begin another with data of all."
                )
            if np.isinf(value):
                raise DataError(f"The value of {series!r} is {value}; give a finite one, or NaN.")
            y[self._place[series]] = value
        quantiles = self._predicted().quantiles[:, 0]
        scores = np.abs(normal_scores(quantiles, self._model.config.levels, y))
        self._advance(y)
        return {series: float(scores[self._place[series]]) for series in values}

    def predict(self) -> Frame:
        """Forecasts of the steps after the last update, as `Forecaster.predict` gives them."""
        panel, config = self._kept.panel, self._model.config
        last = panel.frequency.shift(panel.last, np.full(len(panel), self._steps))
        stamps = panel.frequency.after(last, config.horizon)
        columns = forecast_columns(self._predicted(), config.levels, config.widths, config.horizon)
        return frame({**long_columns(panel, stamps), **columns}, panel.times_given)

    def _advance(self, y: NDArray[np.float64]) -> None:
        scaled = (transformed(y, self._model.config.transform) - self._location) / self._scale
        seen = torch.from_numpy(np.isfinite(scaled))
        value = torch.from_numpy(np.nan_to_num(scaled).astype(np.float32))
        past = value.new_zeros(len(y), 0)
        now = Now(value, seen, past, self._calendar(1)[0])
        with torch.inference_mode():
            pairs = zip(self._model.nets, self._carried, strict=True)
            self._carried = [net.advance(carried, now) for net, carried in pairs]
        self._steps += 1
        self._latest = None

    def _calendar(self, steps: int) -> torch.Tensor:
        """What the calendar says of the next `steps` steps, (steps, N, C); of one at least."""
        panel = self._kept.panel
        last = panel.frequency.shift(panel.last, np.full(len(panel), self._steps))
        stamps = panel.frequency.after(last, max(steps, 1))
        return torch.from_numpy(self._cutter.calendar.of(stamps.T, panel.frequency))

    def _predicted(self) -> Predicted:
        if self._latest is None:
            future = self._calendar(self._model.config.horizon)
            with drawing(self._seed):
                pairs = zip(self._model.nets, self._carried, strict=True)
                found = [net.ahead_of(carried, future).quantiles for net, carried in pairs]
            together = torch.stack(found).double().mean(0).numpy()
            scaled = Scaled(together, self._location, self._scale, None)
            self._latest = self._model.on_data(scaled)
        return self._latest
