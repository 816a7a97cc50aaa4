"""Recurrent layers over the look-back, and the quantiles of all steps ahead at once.

After Wen, Torkkola, Narayanaswamy and Madeka 2017, "A Multi-Horizon Quantile Recurrent Forecaster"
(arXiv:1711.11053): an encoder, a decoder that reads the covariates known ahead, and the pinball
loss; training forks forecasts from several steps of each look-back.
"""

import torch
from torch import Tensor, nn

from recurra.nn import Recurrent, Stack
from recurra.nn.linear import Linear
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

__all__ = ["DirectNet"]

_CONTEXT = 16
"""Numbers that the encoder hands to the decoder for each step ahead; not tuned."""

_FORKS = 8
"""Forecasts trained on in each window: from its end, and evenly over the half before it; not
tuned."""


class DirectNet(ForecastNet):
    """Quantiles of H steps from the state of an encoder."""

    def __init__(self, config: ForecastConfig, sizes: Sizes) -> None:
        super().__init__(**loss_options(config))
        self.lookback: int = config.lookback_steps(sizes.season)
        self.vectors: SeriesVectors = SeriesVectors(sizes.series, config.embedding)
        constant = sizes.static + config.embedding
        self.recurrent: Recurrent | Stack = recurrent_layers(
            config, 2 + sizes.past + sizes.future + constant
        )
        width = self.recurrent.output_size
        self.context: nn.Linear = Linear(width, config.horizon * _CONTEXT)
        self.dropout: nn.Dropout = nn.Dropout(config.dropout)
        self.decoder: nn.Sequential = nn.Sequential(
            Linear(_CONTEXT + sizes.future + constant, config.hidden),
            nn.ReLU(),
            Linear(config.hidden, max(len(self.levels), 1)),
        )

    def loss(self, batch: WindowBatch) -> Tensor:
        forks, constant = self._forks(), self._constant(batch)
        outputs, _ = self.recurrent(self._inputs(batch, constant))

        def after_forks(part: Tensor) -> Tensor:
            return torch.stack([part[k + 1 : k + 1 + self.horizon] for k in forks])

        decoded = self._decoded(outputs[forks], after_forks(batch.future), constant)
        loss = self.mean_loss(decoded, batch, after_forks)
        return penalised(loss, self.penalties(outputs, outputs))

    def begin(self, batch: WindowBatch) -> CarriedState:
        constant = self._constant(batch)
        outputs, layers = self.recurrent(self._inputs(batch, constant))
        return CarriedState(layers, {"output": outputs[-1], "constant": constant})

    def advance(self, state: CarriedState, step: StepInput) -> CarriedState:
        own = [step.value.unsqueeze(-1), step.seen.unsqueeze(-1).float(), step.past, step.future]
        inputs = torch.cat([*own, state["constant"]], -1).unsqueeze(0)
        outputs, layers = self.recurrent(inputs, state.layers)
        return state.later(layers, output=outputs[-1])

    def forecast_from(self, state: CarriedState, future: Tensor, paths: int = 0) -> NetOutput:
        output, constant = state["output"].unsqueeze(0), state["constant"]
        decoded = self._decoded(output, future.unsqueeze(0), constant)
        return NetOutput(decoded[0].transpose(0, 1))

    def _decoded(self, outputs: Tensor, future: Tensor, constant: Tensor) -> Tensor:
        """Forecasts (K, H, B, Q) from outputs (K, B, width) of the encoder."""
        context = self.context(self.dropout(outputs))
        context = context.unflatten(-1, (self.horizon, _CONTEXT)).movedim(-2, 1)
        constant = constant.expand(*future.shape[:2], -1, -1)
        decoded: Tensor = self.decoder(torch.cat([context, future, constant], -1))
        return decoded

    def _constant(self, batch: WindowBatch) -> Tensor:
        """The inputs (B, features) that are the same at all steps."""
        return torch.cat([batch.static, self.vectors(batch.series)], -1)

    def _inputs(self, batch: WindowBatch, constant: Tensor) -> Tensor:
        steps = slice(0, self.lookback)
        parts = [
            batch.values[steps].unsqueeze(-1),
            batch.seen[steps].unsqueeze(-1).float(),
            batch.past[steps],
            batch.future[steps],
            constant.expand(self.lookback, -1, -1),
        ]
        return torch.cat(parts, -1)

    def _forks(self) -> list[int]:
        half = max(self.lookback // 2, 1)
        stride = max(half // _FORKS, 1)
        return [k for k in range(self.lookback - 1, self.lookback - 1 - half, -stride) if k >= 0]
