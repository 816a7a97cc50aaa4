"""Exponential smoothing of each series, learnt together with a network that all share.

After Smyl 2020, "A hybrid method of exponential smoothing and recurrent neural networks for time
series forecasting" (International Journal of Forecasting 36, the winner of the M4 competition):
every series has smoothing constants and a seasonality of its own, learnt by gradient descent with
the shared weights; the network sees the series without level and season and forecasts what is left.
Here level and season add up; with `transform = "log"` they multiply, as in the paper.
"""

import torch
from torch import Tensor, nn

from recurra.nn.states import State
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

__all__ = ["SmoothingNet", "smooth"]

_BLOCK = 16
"""Steps smoothed at once where there is no season."""

_START = -0.5
"""Where the logits of all smoothing constants start: at 0.38."""


class SmoothingNet(ForecastNet):
    """Quantiles of H steps: level and season at the last step, and what the network adds."""

    undecayed = ("constants", "season")  # by weight decay: each series' own start

    def __init__(self, config: ForecastConfig, sizes: Sizes) -> None:
        super().__init__()
        self.kind, self.errors, self.horizon = config.loss, config.errors, config.horizon
        self.levels = config.levels if config.loss == "quantiles" else ()
        self.seasonal = sizes.season > 1
        self.block = sizes.season if self.seasonal else _BLOCK
        self.window = config.segment or self.block
        # The first forecast of a look-back is at the end of a block that has a window before it.
        self.first = max(2, -(-self.window // self.block)) * self.block
        steps = max(config.lookback_steps(sizes.season), self.first)
        self.lookback = steps // self.block * self.block
        self.constants = nn.Parameter(torch.full((sizes.series, 2), _START))
        self.season = nn.Parameter(torch.zeros(sizes.series, self.block))
        self.vectors = SeriesVectors(sizes.series, config.embedding)
        fixed = sizes.static + config.embedding
        # Of what was missing only the present is told: a gap stands at the level in the window.
        self.recurrent = recurrent_layers(
            config, self.window + 1 + sizes.past + sizes.future + fixed
        )
        self.dropout = nn.Dropout(config.dropout)
        width = self.recurrent.output_size
        self.adapt = nn.Sequential(nn.Linear(width + fixed, width), nn.Tanh())
        self.head = nn.Linear(width, config.horizon * max(len(self.levels), 1))
        self.known = nn.Linear(sizes.future, max(len(self.levels), 1)) if sizes.future else None

    def loss(self, batch: Batch) -> Tensor:
        _, level, seasons, outputs, _ = self._read(batch)
        ends = range(self.first, self.lookback + 1, self.block)
        truth, seen, future = (
            torch.stack([part[k : k + self.horizon] for k in ends])
            for part in (batch.values, batch.seen, batch.future)
        )
        found = self._added(
            outputs[:: self.block],
            level[self.first - 1 :: self.block],
            seasons[self.first // self.block :],
            future,
            self._fixed(batch),
        )
        loss = self.loss_of(found, truth, seen, batch)
        return penalised(loss, self.penalties(outputs, outputs))

    def begin(self, batch: Batch) -> Carried:
        """Level, season from the next step on, and the last window without it."""
        rest, level, seasons, outputs, states = self._read(batch)
        values = {
            "output": outputs[-1],
            "level": level[-1],
            "season": seasons[-1],
            "rest": rest[-self.window :],
            "constants": torch.stack(self._constants(batch)),
            "fixed": self._fixed(batch),
        }
        return Carried(states, values)

    def advance(self, carried: Carried, now: Now) -> Carried:
        season, there = carried["season"], now.seen.float()
        alpha, gamma = carried["constants"]
        level = carried["level"] + alpha * there * (now.value - season[0] - carried["level"])
        renewed = season[0] + gamma * there * (now.value - level - season[0])
        rest = torch.where(now.seen, now.value - season[0], level)
        rest = torch.cat([carried["rest"][1:], rest.unsqueeze(0)])
        read = [(rest - level).t(), there.unsqueeze(-1), now.past, now.future]
        inputs = torch.cat([*read, carried["fixed"]], -1).unsqueeze(0)
        outputs, states = self.recurrent(inputs, carried.states)
        later = torch.cat([season[1:], renewed.unsqueeze(0)])
        return carried.later(states, level=level, season=later, rest=rest, output=outputs[-1])

    def ahead_of(self, carried: Carried, future: Tensor, paths: int = 0) -> Ahead:
        output, level, season = (carried[n].unsqueeze(0) for n in ("output", "level", "season"))
        found = self._added(output, level, season, future.unsqueeze(0), carried["fixed"])
        return Ahead(found[0].transpose(0, 1))

    def _read(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor, State]:
        """Values without their season, levels, seasons by block, the network's outputs, states."""
        values, seen = batch.values[: self.lookback], batch.seen[: self.lookback]
        level, fitted, seasons = smooth(
            values, seen, *self._constants(batch), self._first_season(batch)
        )
        rest = torch.where(seen, values - fitted, level)
        outputs, states = self.recurrent(self._inputs(batch, rest, seen, level))
        return rest, level, seasons, outputs, states

    def _added(
        self, outputs: Tensor, level: Tensor, season: Tensor, future: Tensor, fixed: Tensor
    ) -> Tensor:
        """Forecasts (K, H, B, Q): level (K, B), season (K, m, B), what the network adds, and what
        is known ahead, (K, H, B, F).
        """
        around = fixed.expand(len(outputs), -1, -1)
        added = self.head(self.adapt(torch.cat([self.dropout(outputs), around], -1)))
        added = added.unflatten(-1, (self.horizon, -1)).transpose(1, 2)
        if self.known is not None:
            added = added + self.known(future)
        ahead = torch.arange(self.horizon, device=level.device) % self.block
        found: Tensor = added + (level.unsqueeze(1) + season[:, ahead]).unsqueeze(-1)
        return found

    def _constants(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The smoothing constants (B,) of level and season; of an unknown series, the mean's."""
        new = (batch.series < 0).unsqueeze(-1)
        known = self.constants[batch.series.clamp(min=0)]
        alpha, gamma = torch.where(new, self.constants.mean(0), known).sigmoid().unbind(-1)
        return alpha, gamma * self.seasonal

    def _first_season(self, batch: Batch) -> Tensor:
        """The season (m, B) that smoothing starts from: how the first two blocks depart from their
        means, and what was learnt of the series; a step's place counts from the series' start.
        """
        known = self.season[batch.series.clamp(min=0)]
        season = torch.where((batch.series < 0).unsqueeze(-1), 0.0, known)
        place = (batch.age[: self.block] % self.block).t()
        return (season.gather(1, place).t() + self._departures(batch)) * self.seasonal

    def _departures(self, batch: Batch) -> Tensor:
        """The mean departure of the first two blocks from their own means, (m, B)."""
        values, seen = (
            part[: 2 * self.block].view(2, self.block, -1) for part in (batch.values, batch.seen)
        )
        mean = values.sum(1, keepdim=True) / seen.sum(1, keepdim=True).clamp(min=1)
        apart = torch.where(seen, values - mean, 0)
        return apart.sum(0) / seen.sum(0).clamp(min=1)

    def _inputs(self, batch: Batch, rest: Tensor, seen: Tensor, level: Tensor) -> Tensor:
        """For each step from the first forecast's on: the last window's values, by level."""
        low, high = self.first - 1, self.lookback
        windows = rest.unfold(0, self.window, 1)[self.first - self.window :]
        parts = [windows - level[low:].unsqueeze(-1), seen[low:].unsqueeze(-1).float()]
        fixed = self._fixed(batch).expand(high - low, -1, -1)
        return torch.cat([*parts, batch.past[low:high], batch.future[low:high], fixed], -1)

    def _fixed(self, batch: Batch) -> Tensor:
        return torch.cat([batch.static, self.vectors(batch.series)], -1)


def smooth(
    values: Tensor, seen: Tensor, alpha: Tensor, gamma: Tensor, season: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Exponential smoothing of level and additive season, differentiable, a block at a time.

    Values and `seen` are (L, B), with L a whole number of seasons; the constants (B,), the first
    season (m, B). What was not seen moves neither level nor season. Returns levels (L, B), the
    season taken from each step (L, B), and the seasons before the first block and after each,
    (L / m + 1, m, B).

        level_t = level_{t-1} + alpha (y_t - season_t - level_{t-1})
        season_{t+m} = season_t + gamma (y_t - level_t - season_t)

    >>> y = torch.arange(6.0).unsqueeze(1)
    >>> half = torch.tensor([0.5])
    >>> smooth(y, y >= 0, half, 0 * half, torch.zeros(2, 1))[0].flatten().tolist()[-2:]
    [3.078125, 4.0390625]
    """
    size = len(season)
    lower = torch.ones(size, size, dtype=torch.bool, device=values.device).tril().unsqueeze(-1)
    first = seen[:size]
    level = torch.where(first, values[:size] - season, 0).sum(0) / first.sum(0).clamp(min=1)
    levels, fitted, seasons = [], [], [season]
    for low in range(0, len(values), size):
        y, there = values[low : low + size], seen[low : low + size].float()
        step = alpha * there
        # What remains of an earlier level is a product of (1 - alpha), one factor a step.
        kept = torch.log1p(-step.clamp(max=1 - 1e-6)).cumsum(0)
        weight = (kept.unsqueeze(1) - kept.unsqueeze(0)).masked_fill(~lower, -torch.inf).exp()
        within = kept.exp() * level + (weight * (step * (y - season))).sum(1)
        levels.append(within)
        fitted.append(season)
        season = season + gamma * there * (y - within - season)
        level = within[-1]
        seasons.append(season)
    return torch.cat(levels), torch.cat(fitted), torch.stack(seasons)
