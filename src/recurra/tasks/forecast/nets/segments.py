"""Recurrence over segments of a long look-back, and all segments ahead at once.

Lin, Lin, Wu, Zhao, Zheng and Wang 2023, "SegRNN: Segment Recurrent Neural Network for Long-Term
Time Series Forecasting" (arXiv:2308.11200): a segment is one step of the recurrence; each segment
ahead is one further step from the last state, told apart by a learnt vector of its position.
Covariates are ours: what is known ahead joins each segment, before and after the present.
"""

import torch
from torch import Tensor, nn

from recurra.errors import ConfigError
from recurra.nn.states import reorder
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.nets.components import (
    Ahead,
    Carried,
    ForecastNet,
    Now,
    SeriesVectors,
    Sizes,
)
from recurra.tasks.forecast.windows.windows import Batch
from recurra.tasks.network import penalised, recurrent_layers

__all__ = ["SegmentsNet"]


class SegmentsNet(ForecastNet):
    """Quantiles of H steps from segments of w steps; the look-back is a whole number of them."""

    undecayed = ("places",)  # by weight decay: an embedding of positions

    def __init__(self, config: ForecastConfig, sizes: Sizes) -> None:
        super().__init__()
        self.kind, self.errors, self.horizon = config.loss, config.errors, config.horizon
        self.levels = config.levels if config.loss == "quantiles" else ()
        lookback = config.lookback_steps(sizes.season)
        self.segment = config.segment or _divisor(sizes.season, config.horizon)
        self.lookback = max(lookback // self.segment, 1) * self.segment
        width, embedding = config.hidden, min(config.embedding, config.hidden - 1)
        features = 2 + sizes.past + sizes.future
        self.read = nn.Linear(self.segment * features, width)
        self.recurrent = recurrent_layers(config, width)
        count = -(-config.horizon // self.segment)
        self.places = nn.Parameter(torch.randn(count, width - embedding) / width**0.5)
        self.vectors = SeriesVectors(sizes.series, embedding)
        known = self.segment * sizes.future + sizes.static
        self.known = nn.Linear(known, width) if known else None
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(self.recurrent.output_size, self.segment * max(len(self.levels), 1))

    @property
    def steps(self) -> int:
        """Segments in a look-back."""
        return self.lookback // self.segment

    def loss(self, batch: Batch) -> Tensor:
        carried, outputs = self._read(batch)
        found = self.ahead_of(carried, batch.future[self.lookback :]).quantiles.transpose(0, 1)
        truth, seen = batch.values[-self.horizon :], batch.seen[-self.horizon :]
        loss = self.loss_of(found, truth, seen, batch)
        return penalised(loss, self.penalties(outputs, outputs))

    def begin(self, batch: Batch) -> Carried:
        return self._read(batch)[0]

    def _read(self, batch: Batch) -> tuple[Carried, Tensor]:
        """What is carried from the look-back on, and the outputs of the layers in it."""
        outputs, states = self.recurrent(torch.relu(self.read(self._segments(batch))))
        values = {"vectors": self.vectors(batch.series), "static": batch.static}
        return Carried(states, values), outputs

    def advance(self, carried: Carried, now: Now) -> Carried:
        raise ConfigError(
            "The segments model reads whole segments up to the present, so a new step shifts them "
            "all: it can't be streamed; choose model = 'direct', 'autoregressive' or 'smoothing'."
        )

    def ahead_of(self, carried: Carried, future: Tensor, paths: int = 0) -> Ahead:
        starts = self._starts(carried, future)
        count, rows = starts.shape[:2]
        # Each segment ahead is a row of its own: one step from the last state of its series.
        each = torch.arange(rows, device=starts.device).repeat(count)
        apart = reorder(carried.states, each)
        outputs, _ = self.recurrent(starts.flatten(0, 1).unsqueeze(0), apart)
        found = self.head(self.dropout(outputs[0])).view(count, rows, self.segment, -1)
        return Ahead(found.transpose(0, 1).flatten(1, 2)[:, : self.horizon])

    def _segments(self, batch: Batch) -> Tensor:
        """The look-back as (n, B, segment * features)."""
        steps = slice(0, self.lookback)
        told = (batch.values[steps], batch.seen[steps].float())
        parts = [torch.stack(told, -1), batch.past[steps], batch.future[steps]]
        return self._cut(torch.cat(parts, -1))

    def _cut(self, features: Tensor) -> Tensor:
        steps, rows, width = features.shape
        cut = features.view(steps // self.segment, self.segment, rows, width)
        return cut.transpose(1, 2).flatten(2)

    def _starts(self, carried: Carried, future: Tensor) -> Tensor:
        """What each segment ahead begins from, (m, B, width)."""
        vectors, count = carried["vectors"], len(self.places)
        places = self.places.unsqueeze(1).expand(-1, len(vectors), -1)
        starts = torch.cat([places, vectors.expand(count, -1, -1)], -1)
        if self.known is None:
            return starts
        missing = count * self.segment - len(future)
        after = nn.functional.pad(future, (0, 0, 0, 0, 0, missing))
        static = carried["static"].expand(count, -1, -1)
        known: Tensor = self.known(torch.cat([self._cut(after), static], -1))
        return starts + known


def _divisor(season: int, horizon: int) -> int:
    """The largest divisor of the season, of 48 at most, that is no longer than the horizon."""
    whole = season if season > 1 else horizon
    return max(d for d in range(1, min(whole, horizon, 48) + 1) if whole % d == 0)
