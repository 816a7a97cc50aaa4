"""Recurrent layers over the look-back, and the quantiles of all steps ahead at once.

After Wen, Torkkola, Narayanaswamy and Madeka 2017, "A Multi-Horizon Quantile Recurrent Forecaster"
(arXiv:1711.11053): an encoder, a decoder that reads what is known ahead, and the pinball loss;
training forks forecasts from several steps of each look-back.
"""

import torch
from torch import Tensor, nn

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

__all__ = ["DirectNet"]

_CONTEXT = 16
"""Numbers that the encoder hands to the decoder for each step ahead."""

_FORKS = 8
"""Forecasts trained on in each window: from its end, and evenly over the half before it."""


class DirectNet(ForecastNet):
    """Quantiles of H steps from the state of an encoder."""

    def __init__(self, config: ForecastConfig, sizes: Sizes) -> None:
        super().__init__()
        self.kind, self.errors, self.horizon = config.loss, config.errors, config.horizon
        self.levels = config.levels if config.loss == "quantiles" else ()
        self.lookback = config.lookback_steps(sizes.season)
        self.vectors = SeriesVectors(sizes.series, config.embedding)
        fixed = sizes.static + config.embedding
        self.recurrent = recurrent_layers(config, 2 + sizes.past + sizes.future + fixed)
        width = self.recurrent.output_size
        self.context = nn.Linear(width, config.horizon * _CONTEXT)
        self.dropout = nn.Dropout(config.dropout)
        self.decoder = nn.Sequential(
            nn.Linear(_CONTEXT + sizes.future + fixed, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, max(len(self.levels), 1)),
        )

    def loss(self, batch: Batch) -> Tensor:
        forks, fixed = self._forks(), self._fixed(batch)
        outputs, _ = self.recurrent(self._inputs(batch, fixed))
        future, truth, seen = (
            torch.stack([part[k + 1 : k + 1 + self.horizon] for k in forks])
            for part in (batch.future, batch.values, batch.seen)
        )
        found = self._decoded(outputs[forks], future, fixed)
        loss = self.loss_of(found, truth, seen, batch)
        return penalised(loss, self.penalties(outputs, outputs))

    def begin(self, batch: Batch) -> Carried:
        fixed = self._fixed(batch)
        outputs, states = self.recurrent(self._inputs(batch, fixed))
        return Carried(states, {"output": outputs[-1], "fixed": fixed})

    def advance(self, carried: Carried, now: Now) -> Carried:
        read = [now.value.unsqueeze(-1), now.seen.unsqueeze(-1).float(), now.past, now.future]
        inputs = torch.cat([*read, carried["fixed"]], -1).unsqueeze(0)
        outputs, states = self.recurrent(inputs, carried.states)
        return carried.later(states, output=outputs[-1])

    def ahead_of(self, carried: Carried, future: Tensor, paths: int = 0) -> Ahead:
        output, fixed = carried["output"].unsqueeze(0), carried["fixed"]
        return Ahead(self._decoded(output, future.unsqueeze(0), fixed)[0].transpose(0, 1))

    def _decoded(self, outputs: Tensor, future: Tensor, fixed: Tensor) -> Tensor:
        """Forecasts (K, H, B, Q) from outputs (K, B, width) of the encoder."""
        context = self.context(self.dropout(outputs))
        context = context.unflatten(-1, (self.horizon, _CONTEXT)).movedim(-2, 1)
        around = fixed.expand(*future.shape[:2], -1, -1)
        found: Tensor = self.decoder(torch.cat([context, future, around], -1))
        return found

    def _fixed(self, batch: Batch) -> Tensor:
        return torch.cat([batch.static, self.vectors(batch.series)], -1)

    def _inputs(self, batch: Batch, fixed: Tensor) -> Tensor:
        steps = slice(0, self.lookback)
        parts = [
            batch.values[steps].unsqueeze(-1),
            batch.seen[steps].unsqueeze(-1).float(),
            batch.past[steps],
            batch.future[steps],
            fixed.expand(self.lookback, -1, -1),
        ]
        return torch.cat(parts, -1)

    def _forks(self) -> list[int]:
        half = max(self.lookback // 2, 1)
        stride = max(half // _FORKS, 1)
        return [k for k in range(self.lookback - 1, self.lookback - 1 - half, -stride) if k >= 0]
