"""Base of the forecasting models: sizes, vectors of series, carried states, quantile losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from recurra.data.series.calendar import repeated_cycles
from recurra.data.series.panel import Panel
from recurra.nn import Recurrent, Stack
from recurra.nn.states import State
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.windows.cutter import CountedWindows, WindowBatch
from recurra.tasks.forecast.windows.splits import season_of
from recurra.tasks.network import ActivationPenalties

__all__ = [
    "CarriedState",
    "ForecastNet",
    "NetOutput",
    "SeriesVectors",
    "Sizes",
    "StepInput",
    "counted_of",
    "loss_options",
    "pinball",
    "sizes_of",
    "target_loss",
]


class Sizes(NamedTuple):
    """The data's part in a network's shape: counts of series and covariates, the season.

    `cycles` are those of the calendar whose features are among the future covariates.
    """

    series: int
    past: int
    future: int
    static: int
    season: int
    cycles: tuple[str, ...] = ()


def sizes_of(config: ForecastConfig, panel: Panel) -> Sizes:
    """The sizes of a network for a panel."""
    cycles = repeated_cycles(panel) if config.calendar else ()
    return Sizes(
        series=len(panel),
        past=panel.past.shape[1],
        future=panel.future.shape[1] + 2 * len(cycles),
        static=panel.static.shape[1],
        season=season_of(config, panel),
        cycles=cycles,
    )


class NetOutput(NamedTuple):
    """Forecasts of a batch, scaled: quantiles (B, H, Q), and sample paths (S, B, H) if drawn.

    A model trained for one number a step has Q = 1.
    """

    quantiles: Tensor
    paths: Tensor | None = None


class StepInput(NamedTuple):
    """One step of B series, scaled: value (B,), mask of those seen (B,), covariates of the step."""

    value: Tensor
    seen: Tensor
    past: Tensor
    future: Tensor


@dataclass(frozen=True)
class CarriedState:
    """The state that a model carries from step to step: its layers' states, and tensors by name."""

    layers: State
    values: Mapping[str, Tensor]

    def __getitem__(self, name: str) -> Tensor:
        return self.values[name]

    def later(self, layers: State, **changed: Tensor) -> CarriedState:
        """The same with new states of the layers, and with some tensors replaced."""
        return CarriedState(layers, {**self.values, **changed})


class ForecastNet(nn.Module):
    """A model of the steps after a look-back.

    `lookback` is the number of steps it reads, `levels` those of its quantiles: none where it is
    trained for the mean or the median alone; `kind` is its loss, `errors` the scale that the loss
    counts in, `samples` the number of paths its quantiles are made of, 0 where it doesn't sample.
    """

    recurrent: Recurrent | Stack
    penalties: ActivationPenalties
    lookback: int
    horizon: int
    levels: tuple[float, ...]
    kind: str
    errors: str

    def __init__(
        self,
        horizon: int,
        levels: tuple[float, ...],
        *,
        kind: str,
        errors: str = "scaled",
        samples: int = 0,
    ) -> None:
        super().__init__()
        self.horizon = horizon
        self.levels = levels
        self.kind = kind
        self.errors = errors
        self.samples: int = samples

    @property
    def steps(self) -> int:
        """Steps of the recurrence in a look-back."""
        return self.lookback

    def forward(self, batch: WindowBatch) -> Tensor:
        """The loss of the forecast alone: an inspection follows its gradient."""
        return self.forecast_loss(batch)

    def loss(self, batch: WindowBatch) -> Tensor:
        """Mean loss over the steps that were seen; penalties add to its gradient alone."""
        raise NotImplementedError

    def forecast(self, batch: WindowBatch, paths: int = 0) -> NetOutput:
        """The forecasts of a batch, with at least `paths` paths; no actual value is read."""
        return self.forecast_from(self.begin(batch), batch.future[self.lookback :], paths)

    def begin(self, batch: WindowBatch) -> CarriedState:
        """Read the look-back and return the state after it."""
        raise NotImplementedError

    def advance(self, state: CarriedState, step: StepInput) -> CarriedState:
        """Read one further step; ConfigError where the model can't without its look-back."""
        raise NotImplementedError

    def forecast_from(self, state: CarriedState, future: Tensor, paths: int = 0) -> NetOutput:
        """The forecasts from a state; `future` (H, B, F) are the covariates of the steps ahead."""
        raise NotImplementedError

    def forecast_loss(self, batch: WindowBatch) -> Tensor:
        """Mean loss of the forecast alone, over the steps that were seen, a scalar."""
        hidden = batch._replace(seen=batch.seen.clone(), values=batch.values.clone())
        hidden.values[self.lookback :], hidden.seen[self.lookback :] = 0, False
        quantiles = self.forecast(hidden).quantiles.transpose(0, 1)
        return self.mean_loss(quantiles, batch, lambda part: part[self.lookback :])

    def mean_loss(
        self, outputs: Tensor, batch: WindowBatch, chosen: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Mean loss of outputs (..., B, Q) over the values that were seen.

        `chosen` gives what belongs to the outputs (..., B) of a value of every step (T, B). Where
        several processes train together the mean is over the values of all, times their number.
        """
        loss = target_loss(
            outputs, chosen(batch.values), chosen(batch.seen), self.kind, self.levels
        )
        counted = counted_of(batch)
        seen = chosen(counted.seen)
        scaled = loss.sum() / seen.sum().clamp(min=1) * counted.processes
        if self.errors == "scaled":
            return scaled
        power = 2 if self.kind == "mse" else 1
        total = (seen * counted.scale.float() ** power).sum().clamp(min=torch.finfo().tiny)
        data = (loss * batch.scale.float() ** power).sum() / total * counted.processes
        return data if self.errors == "data" else (scaled + data) / 2

    def parameter_count(self) -> int:
        """The number of learnt numbers."""
        return sum(parameter.numel() for parameter in self.parameters())


def loss_options(config: ForecastConfig) -> dict[str, Any]:
    """The horizon, levels and loss of a network that is trained for its forecasts themselves."""
    levels = config.levels if config.loss == "quantiles" else ()
    return {
        "horizon": config.horizon,
        "levels": levels,
        "kind": config.loss,
        "errors": config.errors,
    }


class SeriesVectors(nn.Module):
    """A learnt vector for each series; one that was not trained on has the mean of all."""

    undecayed: ClassVar[tuple[str, ...]] = ("weight",)  # by weight decay: it is an embedding

    def __init__(self, series: int, size: int) -> None:
        super().__init__()
        self.weight: nn.Parameter = nn.Parameter(torch.randn(series, size) / max(size, 1) ** 0.5)

    def forward(self, series: Tensor) -> Tensor:
        own = self.weight[series.clamp(min=0)]
        return torch.where((series < 0).unsqueeze(-1), self.weight.mean(0), own)


def counted_of(batch: WindowBatch) -> CountedWindows:
    """The windows that the mean loss of a batch is over."""
    return batch.counted or CountedWindows(batch.seen, batch.scale, 1)


def pinball(quantiles: Tensor, actual: Tensor, levels: Tensor) -> Tensor:
    """The pinball loss (..., Q) of quantiles (..., Q) at actual values (...)."""
    error = actual.unsqueeze(-1) - quantiles
    return torch.maximum(levels * error, (levels - 1) * error)


def target_loss(
    outputs: Tensor, actual: Tensor, seen: Tensor, kind: str, levels: tuple[float, ...]
) -> Tensor:
    """The loss (...) of outputs (..., Q) at each actual value (...), 0 where it was not seen.

    Twice the pinball loss, so that at the median it is the absolute error.
    """
    if kind == "quantiles":
        loss = 2 * pinball(outputs, actual, outputs.new_tensor(levels)).mean(-1)
    elif kind == "mae":
        loss = (outputs.squeeze(-1) - actual).abs()
    else:
        loss = (outputs.squeeze(-1) - actual).square()
    return torch.where(seen, loss, 0)
