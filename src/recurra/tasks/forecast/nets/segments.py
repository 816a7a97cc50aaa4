"""Recurrence over segments of a long look-back, and all segments ahead at once.

Lin, Lin, Wu, Zhao, Zheng and Wang 2023, "SegRNN: Segment Recurrent Neural Network for Long-Term
Time Series Forecasting" (arXiv:2308.11200): a segment is one step of the recurrence; each segment
ahead is one further step from the last state, distinguished by a learnt vector of its position.
Covariates are our addition: those known ahead join each segment, before and after the origin.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from recurra.errors import ConfigError
from recurra.nn import Recurrent, Stack
from recurra.nn.linear import Linear
from recurra.nn.states import reorder
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.nets.components import (
    CarriedState,
    ForecastNet,
    NetOutput,
    SeriesVectors,
    Sizes,
    StepInput,
    loss_options,
)
from recurra.tasks.forecast.windows.cutter import WindowBatch
from recurra.tasks.network import penalised, recurrent_layers

__all__ = ["SegmentsNet"]


class SegmentsNet(ForecastNet):
    """Quantiles of H steps from segments of w steps; the look-back is a whole number of them."""

    undecayed: ClassVar[tuple[str, ...]] = ("positions",)  # by weight decay: an embedding

    def __init__(self, config: ForecastConfig, sizes: Sizes) -> None:
        super().__init__(**loss_options(config))
        lookback = config.lookback_steps(sizes.season)
        self._segment = config.segment or _divisor(sizes.season, config.horizon)
        self.lookback: int = max(lookback // self._segment, 1) * self._segment
        width, embedding = config.hidden, min(config.embedding, config.hidden - 1)
        features = 2 + sizes.past + sizes.future
        self.projection: nn.Linear = Linear(self._segment * features, width)
        self.recurrent: Recurrent | Stack = recurrent_layers(config, width)
        count = -(-config.horizon // self._segment)
        self.positions: nn.Parameter = nn.Parameter(
            torch.randn(count, width - embedding) / width**0.5
        )
        self.vectors: SeriesVectors = SeriesVectors(sizes.series, embedding)
        covariates = self._segment * sizes.future + sizes.static
        self.covariates: nn.Linear | None = Linear(covariates, width) if covariates else None
        self.dropout: nn.Dropout = nn.Dropout(config.dropout)
        self.head: nn.Linear = Linear(
            self.recurrent.output_size, self._segment * max(len(self.levels), 1)
        )

    @property
    def steps(self) -> int:
        """Segments in a look-back."""
        return self.lookback // self._segment

    def loss(self, batch: WindowBatch) -> Tensor:
        state, outputs = self._read(batch)
        future = batch.future[self.lookback :]
        quantiles = self.forecast_from(state, future).quantiles.transpose(0, 1)
        loss = self.mean_loss(quantiles, batch, lambda part: part[-self.horizon :])
        return penalised(loss, self.penalties(outputs, outputs))

    def begin(self, batch: WindowBatch) -> CarriedState:
        return self._read(batch)[0]

    def _read(self, batch: WindowBatch) -> tuple[CarriedState, Tensor]:
        """The state after the look-back, and the outputs of the layers in it."""
        outputs, layers = self.recurrent(torch.relu(self.projection(self._segments(batch))))
        values = {"vectors": self.vectors(batch.series), "static": batch.static}
        return CarriedState(layers, values), outputs

    def advance(self, state: CarriedState, step: StepInput) -> CarriedState:
        raise ConfigError(
            "The segments model reads whole segments up to the origin, so a new step shifts them "
            "all: it can't be streamed; choose model = 'direct', 'autoregressive' or 'smoothing'."
        )

    def forecast_from(self, state: CarriedState, future: Tensor, paths: int = 0) -> NetOutput:
        starts = self._starts(state, future)
        count, rows = starts.shape[:2]
        # Each segment ahead is a row of its own: one step from the last state of its series.
        repeated = reorder(state.layers, torch.arange(rows, device=starts.device).repeat(count))
        outputs, _ = self.recurrent(starts.flatten(0, 1).unsqueeze(0), repeated)
        quantiles = self.head(self.dropout(outputs[0])).view(count, rows, self._segment, -1)
        return NetOutput(quantiles.transpose(0, 1).flatten(1, 2)[:, : self.horizon])

    def _segments(self, batch: WindowBatch) -> Tensor:
        """The look-back as (n, B, segment * features)."""
        steps = slice(0, self.lookback)
        values = torch.stack((batch.values[steps], batch.seen[steps].float()), -1)
        return self._cut(torch.cat([values, batch.past[steps], batch.future[steps]], -1))

    def _cut(self, features: Tensor) -> Tensor:
        steps, rows, width = features.shape
        cut = features.view(steps // self._segment, self._segment, rows, width)
        return cut.transpose(1, 2).flatten(2)

    def _starts(self, state: CarriedState, future: Tensor) -> Tensor:
        """The input (m, B, width) of each segment ahead."""
        vectors, count = state["vectors"], len(self.positions)
        positions = self.positions.unsqueeze(1).expand(-1, len(vectors), -1)
        starts = torch.cat([positions, vectors.expand(count, -1, -1)], -1)
        if self.covariates is None:
            return starts
        missing = count * self._segment - len(future)
        after = nn.functional.pad(future, (0, 0, 0, 0, 0, missing))
        static = state["static"].expand(count, -1, -1)
        shift: Tensor = self.covariates(torch.cat([self._cut(after), static], -1))
        return starts + shift


def _divisor(season: int, horizon: int) -> int:
    """The largest divisor of the season, of 48 at most, that is no longer than the horizon."""
    whole = season if season > 1 else horizon
    return max(d for d in range(1, min(whole, horizon, 48) + 1) if whole % d == 0)
