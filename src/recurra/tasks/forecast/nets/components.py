"""Base of the forecasting models: sizes, vectors of series, carried states, quantile losses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from recurra.nn import Recurrent, Stack
from recurra.nn.states import State
from recurra.tasks.forecast.windows.windows import Batch
from recurra.tasks.network import ActivationPenalties

__all__ = [
    "Ahead",
    "Carried",
    "ForecastNet",
    "Now",
    "SeriesVectors",
    "Sizes",
    "pinball",
    "target_loss",
]


class Sizes(NamedTuple):
    """What of the data decides a network's shape: counts of series and covariates, the season."""

    series: int
    past: int
    future: int
    static: int
    season: int


class Ahead(NamedTuple):
    """Forecasts of a batch, scaled: quantiles (B, H, Q), and sample paths (S, B, H) if drawn.

    A model trained for one number a step has Q = 1.
    """

    quantiles: Tensor
    paths: Tensor | None = None


class Now(NamedTuple):
    """One step of B series, scaled: value (B,), whether it was seen, covariates of the step."""

    value: Tensor
    seen: Tensor
    past: Tensor
    future: Tensor


@dataclass(frozen=True)
class Carried:
    """What a model carries from step to step: the states of its layers, and tensors by name."""

    states: State
    values: Mapping[str, Tensor]

    def __getitem__(self, name: str) -> Tensor:
        return self.values[name]

    def later(self, states: State, **changed: Tensor) -> Carried:
        """The same with new states, and with some tensors replaced."""
        return Carried(states, {**self.values, **changed})


class ForecastNet(nn.Module):
    """A model of what comes after a look-back.

    `lookback` is how many steps it reads, `levels` those of the quantiles it gives: none where it
    is trained for the mean or for the median alone; `kind` is what it is trained for, `errors`
    how they are counted, `samples` how many paths its quantiles are made of, 0 where it doesn't
    sample.
    """

    recurrent: Recurrent | Stack
    penalties: ActivationPenalties
    lookback: int
    levels: tuple[float, ...]
    kind: str
    errors: str
    samples = 0

    @property
    def steps(self) -> int:
        """Steps of the recurrence in a look-back."""
        return self.lookback

    def forward(self, batch: Batch) -> Tensor:
        """The loss of the forecast alone, as `judge`: an inspection follows its gradient."""
        return self.judge(batch)

    def loss(self, batch: Batch) -> Tensor:
        """Mean loss of what was seen, a scalar; penalties add to its gradient alone."""
        raise NotImplementedError

    def ahead(self, batch: Batch, paths: int = 0) -> Ahead:
        """The forecasts of a batch whose truth need not be known, with so many paths or more."""
        return self.ahead_of(self.begin(batch), batch.future[self.lookback :], paths)

    def begin(self, batch: Batch) -> Carried:
        """Read the look-back; returns what is carried from its end."""
        raise NotImplementedError

    def advance(self, carried: Carried, now: Now) -> Carried:
        """Read one further step; ConfigError where the model can't without its look-back."""
        raise NotImplementedError

    def ahead_of(self, carried: Carried, future: Tensor, paths: int = 0) -> Ahead:
        """The forecasts from there; `future` (H, B, F) is known of the steps ahead."""
        raise NotImplementedError

    def judge(self, batch: Batch) -> Tensor:
        """Mean loss of the forecast alone, of what was seen, a scalar."""
        truth, seen = (part[self.lookback :] for part in (batch.values, batch.seen))
        hidden = batch._replace(seen=batch.seen.clone(), values=batch.values.clone())
        hidden.values[self.lookback :], hidden.seen[self.lookback :] = 0, False
        found = self.ahead(hidden).quantiles.transpose(0, 1)
        return self.loss_of(found, truth, seen, batch)

    def loss_of(self, outputs: Tensor, truth: Tensor, seen: Tensor, batch: Batch) -> Tensor:
        """Mean loss of outputs (..., B, Q) over the truths (..., B) of a batch that were seen."""
        loss = target_loss(outputs, truth, seen, self.kind, self.levels)
        scaled = loss.sum() / seen.sum().clamp(min=1)
        if self.errors == "scaled":
            return scaled
        weight = batch.scale.float() ** (2 if self.kind == "mse" else 1)
        data = (loss * weight).sum() / (seen * weight).sum().clamp(min=torch.finfo().tiny)
        return data if self.errors == "data" else (scaled + data) / 2

    def parameter_count(self) -> int:
        """Learnt numbers."""
        return sum(parameter.numel() for parameter in self.parameters())


class SeriesVectors(nn.Module):
    """A learnt vector for each series; one that was not trained on has the mean of all."""

    undecayed = ("weight",)  # by weight decay: it is an embedding

    def __init__(self, series: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(series, size) / max(size, 1) ** 0.5)

    def forward(self, series: Tensor) -> Tensor:
        known = self.weight[series.clamp(min=0)]
        return torch.where((series < 0).unsqueeze(-1), self.weight.mean(0), known)


def pinball(quantiles: Tensor, truth: Tensor, levels: Tensor) -> Tensor:
    """The pinball loss (..., Q) of quantiles (..., Q) for a truth (...)."""
    error = truth.unsqueeze(-1) - quantiles
    return torch.maximum(levels * error, (levels - 1) * error)


def target_loss(
    outputs: Tensor, truth: Tensor, seen: Tensor, kind: str, levels: tuple[float, ...]
) -> Tensor:
    """The loss (...) of outputs (..., Q) at each truth (...), 0 where that was not seen.

    Twice the pinball loss, so that at the median it is the absolute error.
    """
    if kind == "quantiles":
        loss = 2 * pinball(outputs, truth, outputs.new_tensor(levels)).mean(-1)
    elif kind == "mae":
        loss = (outputs.squeeze(-1) - truth).abs()
    else:
        loss = (outputs.squeeze(-1) - truth).square()
    return torch.where(seen, loss, 0)
