"""Series followed as they come: one observation at a time, with the state carried."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recurra.data.series.encoding import Encoding, encode_values
from recurra.data.tables.timestamps import show_stamp
from recurra.errors import DataError
from recurra.tasks.forecast.frames import Frame, forecast_columns, frame, long_columns
from recurra.tasks.forecast.model import Model
from recurra.tasks.forecast.nets import Now
from recurra.tasks.forecast.online.anomaly import normal_scores
from recurra.tasks.forecast.online.future import KnownAhead
from recurra.tasks.forecast.predict import Predicted, Scaled, change_of, drawing
from recurra.tasks.forecast.store import Kept
from recurra.tasks.forecast.windows.scaling import transformed
from recurra.tasks.forecast.windows.windows import Origins

__all__ = ["Stream"]


class Stream:
    """The series of a forecaster from their ends on; `Forecaster.stream` makes one.

    Each `update` is one step of every series. No look-back is read again, so a step costs the same
    however long the series are, and they stay scaled as they were when the stream began. How far
    they move from step to step, by which intervals grow, is followed by a running mean.
    """

    def __init__(self, model: Model, kept: Kept, future: Any, seed: int) -> None:
        self._model, self._kept, self._seed = model, kept, seed
        self._place = {series: n for n, series in enumerate(kept.panel.ids)}
        self._known = KnownAhead(kept.panel)
        self._cutter = model.cutter(kept)
        everywhere = Origins(np.arange(len(kept.panel)), kept.panel.lengths)
        batch = self._cutter.cut(everywhere, with_truth=False)
        self._location, self._scale = batch.location.numpy(), batch.scale.numpy()
        self._change = change_of(batch, self._cutter.lookback)
        values, seen = (p[: self._cutter.lookback].numpy() for p in (batch.values, batch.seen))
        self._last = np.where(seen[-1], values[-1], np.nan)
        self._moves = (seen[1:] & seen[:-1]).sum(0)
        with torch.inference_mode():
            self._carried = [net.begin(batch) for net in model.nets]
            now = Now(batch.values[0], batch.seen[0], batch.past[0], batch.future[0])
            # A model that can't be streamed says so here, not at the first observation.
            model.nets[0].advance(self._carried[0], now)
        self._latest: Predicted | None = None
        self._tell(future)

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
            future: a table of covariates known ahead, of this step or later ones: it adds to what
                was told before, or corrects it. This step must have been told of every series.

        Returns how surprising each value was, as `Forecaster.anomalies` scores it. Raises DataError
        for a series that is not followed, a value that is infinite, or a covariate that is lacking
        or that training didn't know.
        """
        y = self._observed(values)
        read = self._read(values, past or {})
        self._tell(future)
        self._known.require(1)
        quantiles = self._predicted().quantiles[:, 0]
        scores = np.abs(normal_scores(quantiles, self._model.config.levels, y))
        self._advance(y, read)
        return {series: float(scores[self._place[series]]) for series in values}

    def predict(self, *, future: Any = None) -> Frame:
        """Forecasts of the steps after the last update, as `Forecaster.predict` gives them.

        `future` is a table as `update` takes it; DataError where a step of the horizon lacks
        covariates that the model reads ahead.
        """
        panel, config = self._kept.panel, self._model.config
        self._tell(future)
        self._known.require(config.horizon)
        stamps = panel.frequency.after(self._known.last, config.horizon)
        columns = forecast_columns(self._predicted(), config.levels, config.widths, config.horizon)
        return frame({**long_columns(panel, stamps), **columns}, panel.frame_kind)

    def _observed(self, values: Mapping[Hashable, float | None]) -> NDArray[np.float64]:
        if not isinstance(values, Mapping):
            raise DataError(
                f"The values of a step are {values!r}; give them by series: {{'name': 8.0}}."
            )
        y = np.full(len(self._kept.panel), np.nan)
        for series, value in values.items():
            self._check_followed(series)
            y[self._place[series]] = _number(series, value)
        return y

    def _read(
        self, values: Mapping[Hashable, float | None], past: Mapping[Hashable, Mapping[str, Any]]
    ) -> NDArray[np.float32]:
        """Past covariates (N, P); of series without any row they are missing, as in a table."""
        encodings = self._kept.panel.schema.past
        if past:
            self._model.check_read("past")
        for series, given in past.items():
            self._check_followed(series)
            _check_columns(series, given, [encoding.name for encoding in encodings])
        named = list(dict.fromkeys([*values, *past]))
        stamp = show_stamp(self._kept.panel.frequency.shift(self._known.last[:1], 1)[0])

        def columns(encoding: Encoding) -> NDArray[np.float32]:
            found = np.tile(encoding.absent, (len(self._place), 1))
            given = [past.get(series, {}).get(encoding.name) for series in named]
            found[[self._place[series] for series in named]] = encode_values(
                encoding, given, lambda n: f"past: series {named[n]!r} at {stamp}"
            )
            return found

        none = np.zeros((len(self._place), 0), np.float32)
        return np.concatenate([none, *map(columns, encodings)], 1)

    def _check_followed(self, series: Hashable) -> None:
        if series not in self._place:
            raise DataError(
                f"There is no series {series!r} in this stream; a stream follows those it was "
                "begun with: begin another with data of all."
            )

    def _tell(self, future: Any) -> None:
        if future is not None:
            self._model.check_read("future")
            self._known.tell(future)
            self._latest = None

    def _advance(self, y: NDArray[np.float64], read: NDArray[np.float32]) -> None:
        scaled = (transformed(y, self._model.config.transform) - self._location) / self._scale
        seen = torch.from_numpy(np.isfinite(scaled))
        value = torch.from_numpy(np.nan_to_num(scaled).astype(np.float32))
        now = Now(value, seen, torch.from_numpy(read), self._future(1)[0])
        with torch.inference_mode():
            pairs = zip(self._model.nets, self._carried, strict=True)
            self._carried = [net.advance(carried, now) for net, carried in pairs]
        moved = np.abs(scaled - self._last)
        # The mean of all moves since the look-back began, until these are two look-backs of steps.
        there, most = np.isfinite(moved), 2 * self._cutter.lookback
        self._moves = np.minimum(self._moves + there, most)
        step = np.where(there, moved - self._change, 0) / np.maximum(self._moves, 1)
        self._change, self._last = self._change + step, scaled
        self._known.advance()
        self._latest = None

    def _future(self, steps: int) -> torch.Tensor:
        """What is known of the next steps, (steps, N, F), the calendar among it."""
        frequency = self._kept.panel.frequency
        stamps = frequency.after(self._known.last, steps).T
        calendar = self._cutter.calendar.of_stamps(stamps, frequency)
        given = self._known.ahead(steps).transpose(1, 0, 2)
        return torch.from_numpy(np.concatenate([given, calendar], -1))

    def _predicted(self) -> Predicted:
        """Where covariates were not told to the horizon's end they stay as they were: a score needs
        those of the first step alone, since no model that can be streamed reads later ones for it.
        """
        if self._latest is None:
            future = self._future(self._model.config.horizon)
            with drawing(self._seed):
                pairs = zip(self._model.nets, self._carried, strict=True)
                found = [net.ahead_of(carried, future).quantiles for net, carried in pairs]
            together = torch.stack(found).double().mean(0).numpy()
            scaled = Scaled(together, self._location, self._scale, self._change, None)
            self._latest = self._model.on_data(scaled)
        return self._latest


def _number(series: Hashable, value: Any) -> float:
    """The value as a number, NaN for None; DataError for what is none, or infinite."""
    try:
        number = np.nan if value is None else float(value)
    except (TypeError, ValueError):
        number = np.inf
    if np.isinf(number):
        raise DataError(f"The value of {series!r} is {value!r}; give a finite number, or NaN.")
    return number


def _check_columns(series: Hashable, given: Any, names: Sequence[str]) -> None:
    if not isinstance(given, Mapping):
        raise DataError(
            f"past of {series!r} is {given!r}; give its covariates by name: "
            f"past={{{series!r}: {{{names[0]!r}: ...}}}}."
        )
    for name in given:
        if name not in names:
            raise DataError(
                f"past of {series!r} has {name!r}, which is none of {', '.join(names)}; leave it "
                "out, or correct its name."
            )
