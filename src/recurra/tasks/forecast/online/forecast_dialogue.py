"""A forecaster as its clients talk to it: observations of a series, and forecasts after them."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.data.series.panel import Panel
from recurra.errors import ConfigError, DataError
from recurra.tasks.client_message import ClientMessage
from recurra.tasks.dialogue import Answer, Dialogue, Dialogues, InputKind, Work
from recurra.tasks.forecast.model import Model
from recurra.tasks.forecast.nets.inference import Predictions
from recurra.tasks.forecast.online.stream import Stream
from recurra.tasks.forecast.store import PlacedPanel
from recurra.tasks.forecast.windows.splits import Origins
from recurra.tasks.session import weights_digest

__all__ = ["ForecastDialogues"]

Floats = np.ndarray[Any, np.dtype[np.float64]]

_NAMED = 1_000
"""Series that a description names at most."""

_SHOWN = 200
"""Observations that an answer has at most."""


class ForecastDialogues(Dialogues):
    """Dialogues with a forecaster; `forecast` answers.

    Raises ConfigError for a model that reads covariates, which observations don't have.
    """

    task = "forecast"
    verb = "forecast"
    input: InputKind = "numbers"

    def __init__(self, model: Model) -> None:
        columns = model.history.panel.schema.columns
        if names := [*columns.past, *columns.future]:
            raise ConfigError(
                f"The model reads covariates ({', '.join(names)}), which a client's observations "
                "don't have; use recurra forecast, or train a model without."
            )
        self.model: Model = model
        self.digest: str = weights_digest(model.nets)
        ids = model.history.panel.ids
        self.numbers: dict[str, int] = {str(name): n for n, name in enumerate(ids)}
        self._follower: type[Follower] = _Stepped
        try:
            self.follow(0)
        except ConfigError:
            self._follower = _Reread

    def options(self) -> dict[str, Any]:
        """The series, the horizon, and the levels of intervals in percent."""
        config = self.model.config
        return {
            "series": list(self.numbers)[:_NAMED],
            "horizon": config.horizon,
            "intervals": list(config.widths),
            "frequency": self.model.history.panel.schema.frequency,
        }

    def open(self) -> Dialogue:
        """A new client's dialogue, about the first series."""
        return _ForecastDialogue(self)

    @property
    def message(self) -> str:
        """The type of message that a request is."""
        return "observe"

    def follow(self, number: int) -> Follower:
        """A series from the end of its history on."""
        placed = self.model.history
        alone = np.array([number])
        panel = placed.panel.select(alone)
        own = PlacedPanel(panel, placed.start_age[alone])
        return self._follower(self.model, own)


class Follower(ABC):
    """One series as it is followed."""

    @abstractmethod
    def __init__(self, model: Model, placed: PlacedPanel) -> None: ...

    @abstractmethod
    def observe(self, value: float) -> None:
        """The next observation, NaN where it is missing."""

    @abstractmethod
    def predictions(self) -> Predictions:
        """The forecasts of the horizon after the last one."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Everything that forecasts depend on."""

    @abstractmethod
    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave."""


class _Stepped(Follower):
    """By the state of a recurrent network, one step an observation."""

    def __init__(self, model: Model, placed: PlacedPanel) -> None:
        self._stream = Stream(model, placed, None, 0)
        self._name = placed.panel.ids[0]

    def observe(self, value: float) -> None:
        self._stream.update({self._name: value})

    def predictions(self) -> Predictions:
        return self._stream.predictions()

    def state(self) -> dict[str, Tensor]:
        return self._stream.state()

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        self._stream.set_state(tensors)


class _Reread(Follower):
    """By the look-back, for a network that reads it as a whole."""

    def __init__(self, model: Model, placed: PlacedPanel) -> None:
        self._model, self._placed = model, placed

    def observe(self, value: float) -> None:
        placed, most = self._placed, self._model.nets[0].lookback
        panel = _extended(placed.panel, value)
        kept = panel.tail(most)
        self._placed = PlacedPanel(kept, placed.start_age + panel.lengths - kept.lengths)

    def predictions(self) -> Predictions:
        panel = self._placed.panel
        end = Origins(np.zeros(1, np.int64), panel.lengths)
        return self._model.forecast(self._model.cutter(self._placed), end)

    def state(self) -> dict[str, Tensor]:
        panel = self._placed.panel
        return {
            "y": torch.from_numpy(panel.y.copy()),
            "starts": torch.from_numpy(panel.starts.view(np.int64).copy()),
            "age": torch.from_numpy(self._placed.start_age.copy()),
        }

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        panel, y = self._placed.panel, tensors["y"].numpy().copy()
        starts = tensors["starts"].numpy().copy().view(panel.starts.dtype)
        panel = dataclasses.replace(_of_values(panel, y), starts=starts)
        self._placed = PlacedPanel(panel, tensors["age"].numpy().copy())


def _of_values(panel: Panel, y: Floats) -> Panel:
    """A panel of one series without covariates, with other values."""
    return dataclasses.replace(
        panel,
        y=y,
        offsets=np.array([0, len(y)]),
        past=np.zeros((len(y), panel.past.shape[1]), np.float32),
        future=np.zeros((len(y), panel.future.shape[1]), np.float32),
    )


def _extended(panel: Panel, value: float) -> Panel:
    return _of_values(panel, np.append(panel.y, value))


class _ForecastDialogue(Dialogue):
    def __init__(self, dialogues: ForecastDialogues) -> None:
        super().__init__()
        self._dialogues = dialogues
        self._begin(next(iter(dialogues.numbers)))

    @property
    def digest(self) -> str:
        """That of the model."""
        return self._dialogues.digest

    def says(self) -> Mapping[str, Callable[[ClientMessage], Work]]:
        """Observations, another series, and the end of the history again."""
        return {
            "open": self._open,
            "observe": self._observe,
            "finish": self._nothing,
            "reset": self._reset,
        }

    def begin(self) -> list[Answer]:
        """The forecast after the history."""
        return [self._answer()]

    def model_state(self) -> dict[str, Tensor]:
        """The follower's, and the observations that are shown."""
        return {**self._follower.state(), "shown": torch.from_numpy(self._shown.copy())}

    def set_model_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `model_state` gave."""
        own = dict(tensors)
        self._shown = own.pop("shown").numpy().copy()
        self._follower.set_state(own)

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave, of the series that it was of."""
        self._begin(self.read_notes(tensors)["series"])
        super().set_state(tensors)

    def _begin(self, series: str) -> None:
        number = self._dialogues.numbers[series]
        self._follower = self._dialogues.follow(number)
        self._shown = self._dialogues.model.history.panel.values(number)[-_SHOWN:]
        self.note_anew(series=series)

    def _series(self, message: ClientMessage) -> str:
        series = message.text("series", self.notes["series"])
        if series not in self._dialogues.numbers:
            raise DataError(
                f"There is no series {series[:40]!r}; GET /runs lists those of the run."
            )
        return series

    def _open(self, message: ClientMessage) -> Work:
        message.only("series")
        self._begin(self._series(message))
        yield [self._answer()]

    def _reset(self, message: ClientMessage) -> Work:
        message.only()
        self._begin(self.notes["series"])
        yield [self._answer()]

    def _nothing(self, message: ClientMessage) -> Work:
        message.only()
        yield []

    def _observe(self, message: ClientMessage) -> Work:
        message.only("values", "series")
        series = self._series(message)
        values = message.numbers("values", missing=True) if "values" in message else np.zeros(0)
        if series != self.notes["series"]:
            self._begin(series)
        for value in values.tolist():
            self._follower.observe(value)
            self._shown = np.append(self._shown, value)[-_SHOWN:]
            yield []
        yield [self._answer()]

    def _answer(self) -> Answer:
        config, found = self._dialogues.model.config, self._follower.predictions()
        quantiles = found.quantiles[0]
        place = {level: n for n, level in enumerate(config.levels)}
        return {
            "type": "forecast",
            "series": self.notes["series"],
            "history": [None if np.isnan(y) else y for y in self._shown.tolist()],
            "median": found.point[0].tolist(),
            "intervals": [
                {
                    "level": width / 100,
                    "low": quantiles[:, place[round(0.5 - width / 200, 6)]].tolist(),
                    "high": quantiles[:, place[round(0.5 + width / 200, 6)]].tolist(),
                }
                for width in config.widths
            ],
        }
