"""Exponential smoothing of each series, learnt together with a network that all share.

After Smyl 2020, "A hybrid method of exponential smoothing and recurrent neural networks for time
series forecasting" (International Journal of Forecasting 36, the winner of the M4 competition):
every series has smoothing constants and a seasonality of its own, learnt by gradient descent with
the shared weights; the network reads the series without level and season and forecasts the rest.
Here level and season add up; with `transform = "log"` they multiply, as in the paper.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from recurra.nn import Recurrent, Stack
from recurra.nn.linear import Linear
from recurra.nn.states import State
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

__all__ = ["SmoothingNet", "smooth_in_blocks"]

_BLOCK = 16
"""Steps smoothed at once where there is no season; not tuned."""

_START = -0.5
"""The logit that all smoothing constants start from: 0.38, not tuned."""


class SmoothingNet(ForecastNet):
    """Quantiles of H steps: level and season at the last step, and what the network adds."""

    # By weight decay: each series' own start.
    undecayed: ClassVar[tuple[str, ...]] = ("constants", "season")

    def __init__(self, config: ForecastConfig, sizes: Sizes) -> None:
        super().__init__(**loss_options(config))
        self._seasonal = sizes.season > 1
        self._block = sizes.season if self._seasonal else _BLOCK
        self._window = config.segment or self._block
        # The first forecast of a look-back is at the end of a block that has a window before it.
        self._first = max(2, -(-self._window // self._block)) * self._block
        steps = max(config.lookback_steps(sizes.season), self._first)
        self.lookback: int = steps // self._block * self._block
        self.constants: nn.Parameter = nn.Parameter(torch.full((sizes.series, 2), _START))
        self.season: nn.Parameter = nn.Parameter(torch.zeros(sizes.series, self._block))
        self.vectors: SeriesVectors = SeriesVectors(sizes.series, config.embedding)
        constant = sizes.static + config.embedding
        # A flag marks a missing value of the step itself; earlier gaps stand at the level.
        self.recurrent: Recurrent | Stack = recurrent_layers(
            config, self._window + 1 + sizes.past + sizes.future + constant
        )
        self.dropout: nn.Dropout = nn.Dropout(config.dropout)
        width = self.recurrent.output_size
        self.adapter: nn.Sequential = nn.Sequential(Linear(width + constant, width), nn.Tanh())
        self.head: nn.Linear = Linear(width, config.horizon * max(len(self.levels), 1))
        quantiles = max(len(self.levels), 1)
        self.covariates: nn.Linear | None = (
            Linear(sizes.future, quantiles) if sizes.future else None
        )

    def loss(self, batch: WindowBatch) -> Tensor:
        _, level, seasons, outputs, _ = self._read(batch)
        ends = range(self._first, self.lookback + 1, self._block)

        def after_ends(part: Tensor) -> Tensor:
            return torch.stack([part[k : k + self.horizon] for k in ends])

        forecasts = self._combined(
            outputs[:: self._block],
            level[self._first - 1 :: self._block],
            seasons[self._first // self._block :],
            after_ends(batch.future),
            self._constant(batch),
        )
        loss = self.mean_loss(forecasts, batch, after_ends)
        return penalised(loss, self.penalties(outputs, outputs))

    def begin(self, batch: WindowBatch) -> CarriedState:
        """Level, season from the next step on, and the last window without it."""
        rest, level, seasons, outputs, layers = self._read(batch)
        values = {
            "output": outputs[-1],
            "level": level[-1],
            "season": seasons[-1],
            "rest": rest[-self._window :],
            "smoothing": torch.stack(self._smoothing_constants(batch)),
            "constant": self._constant(batch),
        }
        return CarriedState(layers, values)

    def advance(self, state: CarriedState, step: StepInput) -> CarriedState:
        season, seen = state["season"], step.seen.float()
        alpha, gamma = state["smoothing"]
        level = state["level"] + alpha * seen * (step.value - season[0] - state["level"])
        renewed = season[0] + gamma * seen * (step.value - level - season[0])
        rest = torch.where(step.seen, step.value - season[0], level)
        rest = torch.cat([state["rest"][1:], rest.unsqueeze(0)])
        own = [(rest - level).t(), seen.unsqueeze(-1), step.past, step.future]
        inputs = torch.cat([*own, state["constant"]], -1).unsqueeze(0)
        outputs, layers = self.recurrent(inputs, state.layers)
        later = torch.cat([season[1:], renewed.unsqueeze(0)])
        return state.later(layers, level=level, season=later, rest=rest, output=outputs[-1])

    def forecast_from(self, state: CarriedState, future: Tensor, paths: int = 0) -> NetOutput:
        output, level, season = (state[n].unsqueeze(0) for n in ("output", "level", "season"))
        combined = self._combined(output, level, season, future.unsqueeze(0), state["constant"])
        return NetOutput(combined[0].transpose(0, 1))

    def _read(self, batch: WindowBatch) -> tuple[Tensor, Tensor, Tensor, Tensor, State]:
        """Values without their season, levels, seasons by block, the network's outputs, states."""
        values, seen = batch.values[: self.lookback], batch.seen[: self.lookback]
        level, fitted, seasons = smooth_in_blocks(
            values, seen, *self._smoothing_constants(batch), self._first_season(batch)
        )
        rest = torch.where(seen, values - fitted, level)
        outputs, layers = self.recurrent(self._inputs(batch, rest, seen, level))
        return rest, level, seasons, outputs, layers

    def _combined(
        self, outputs: Tensor, level: Tensor, season: Tensor, future: Tensor, constant: Tensor
    ) -> Tensor:
        """Forecasts (K, H, B, Q): the sum of level (K, B), season (K, m, B), the network's part,
        and that of covariates known ahead (K, H, B, F).
        """
        constant = constant.expand(len(outputs), -1, -1)
        added = self.head(self.adapter(torch.cat([self.dropout(outputs), constant], -1)))
        added = added.unflatten(-1, (self.horizon, -1)).transpose(1, 2)
        if self.covariates is not None:
            added = added + self.covariates(future)
        ahead = torch.arange(self.horizon, device=level.device) % self._block
        combined: Tensor = added + (level.unsqueeze(1) + season[:, ahead]).unsqueeze(-1)
        return combined

    def _smoothing_constants(self, batch: WindowBatch) -> tuple[Tensor, Tensor]:
        """The smoothing constants (B,) of level and season; for a new series, the mean's."""
        new = (batch.series < 0).unsqueeze(-1)
        own = self.constants[batch.series.clamp(min=0)]
        alpha, gamma = torch.where(new, self.constants.mean(0), own).sigmoid().unbind(-1)
        return alpha, gamma * self._seasonal

    def _first_season(self, batch: WindowBatch) -> Tensor:
        """The season (m, B) that smoothing starts from: the departures of the first two blocks from
        their means, and the series' learnt season; a step's place counts from the series' start.
        """
        own = self.season[batch.series.clamp(min=0)]
        season = torch.where((batch.series < 0).unsqueeze(-1), 0.0, own)
        place = (batch.age[: self._block] % self._block).t()
        return (season.gather(1, place).t() + self._departures(batch)) * self._seasonal

    def _departures(self, batch: WindowBatch) -> Tensor:
        """The mean departure of the first two blocks from their own means, (m, B)."""
        values, seen = (
            part[: 2 * self._block].view(2, self._block, -1) for part in (batch.values, batch.seen)
        )
        mean = values.sum(1, keepdim=True) / seen.sum(1, keepdim=True).clamp(min=1)
        apart = torch.where(seen, values - mean, 0)
        return apart.sum(0) / seen.sum(0).clamp(min=1)

    def _inputs(self, batch: WindowBatch, rest: Tensor, seen: Tensor, level: Tensor) -> Tensor:
        """The inputs of each step from the first forecast's on: its window of values, by level."""
        low, high = self._first - 1, self.lookback
        windows = rest.unfold(0, self._window, 1)[self._first - self._window :]
        parts = [windows - level[low:].unsqueeze(-1), seen[low:].unsqueeze(-1).float()]
        constant = self._constant(batch).expand(high - low, -1, -1)
        return torch.cat([*parts, batch.past[low:high], batch.future[low:high], constant], -1)

    def _constant(self, batch: WindowBatch) -> Tensor:
        """The inputs (B, features) that are the same at all steps."""
        return torch.cat([batch.static, self.vectors(batch.series)], -1)


def smooth_in_blocks(
    values: Tensor, seen: Tensor, alpha: Tensor, gamma: Tensor, season: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Exponential smoothing of level and additive season, differentiable, a block at a time.

    Values and `seen` are (L, B), with L a whole number of seasons; the constants (B,), the first
    season (m, B). Steps that were not seen move neither level nor season. Returns levels (L, B),
    the season taken from each step (L, B), and the seasons before the first block and after each,
    (L / m + 1, m, B).

        level_t = level_{t-1} + alpha (y_t - season_t - level_{t-1})
        season_{t+m} = season_t + gamma (y_t - level_t - season_t)

    >>> y = torch.arange(6.0).unsqueeze(1)
    >>> half = torch.tensor([0.5])
    >>> smooth_in_blocks(y, y >= 0, half, 0 * half, torch.zeros(2, 1))[0].flatten().tolist()[-2:]
    [3.078125, 4.0390625]
    """
    size = len(season)
    lower = torch.ones(size, size, dtype=torch.bool, device=values.device).tril().unsqueeze(-1)
    first = seen[:size]
    level = torch.where(first, values[:size] - season, 0).sum(0) / first.sum(0).clamp(min=1)
    levels, fitted, seasons = [], [], [season]
    for low in range(0, len(values), size):
        y, present = values[low : low + size], seen[low : low + size].float()
        share = alpha * present
        # An earlier level remains by a product of (1 - alpha), one factor a step.
        decay = torch.log1p(-share.clamp(max=1 - 1e-6)).cumsum(0)
        weight = (decay.unsqueeze(1) - decay.unsqueeze(0)).masked_fill(~lower, -torch.inf).exp()
        own_levels = decay.exp() * level + (weight * (share * (y - season))).sum(1)
        levels.append(own_levels)
        fitted.append(season)
        season = season + gamma * present * (y - own_levels - season)
        level = own_levels[-1]
        seasons.append(season)
    return torch.cat(levels), torch.cat(fitted), torch.stack(seasons)
