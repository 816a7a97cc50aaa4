"""A distribution of each next value, and paths sampled step after step.

After Salinas, Flunkert, Gasthaus and Januschowski 2020, "DeepAR: Probabilistic forecasting with
autoregressive recurrent networks" (arXiv:1704.04110): each step reads the value before it, values
some lags back, what is known of the step itself, the series' age and scale.
"""

import torch
from torch import Tensor, nn

from recurra.nn.states import State, reorder
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.nets.components import (
    Ahead,
    Carried,
    ForecastNet,
    Now,
    SeriesVectors,
    Sizes,
)
from recurra.tasks.forecast.nets.distributions import FAMILIES
from recurra.tasks.forecast.windows.draws import Draws
from recurra.tasks.forecast.windows.windows import Batch
from recurra.tasks.network import penalised, recurrent_layers

__all__ = ["AutoregressiveNet"]


class AutoregressiveNet(ForecastNet):
    """The likelihood of every step; quantiles are those of the sampled paths."""

    def __init__(self, config: ForecastConfig, sizes: Sizes) -> None:
        super().__init__()
        self.horizon, self.samples = config.horizon, config.samples
        self.kind, self.errors, self.levels = "likelihood", "scaled", config.levels
        self.family = FAMILIES[config.distribution](config.components)
        self.family.check(config)
        self.lags = (1, *(lag for lag in config.lag_steps(sizes.season) if lag > 1))
        self.warm = config.lookback_steps(sizes.season)
        self.lookback = self.warm + max(self.lags)
        self.vectors = SeriesVectors(sizes.series, config.embedding)
        fixed = sizes.static + config.embedding + 1
        self.recurrent = recurrent_layers(config, 2 * len(self.lags) + sizes.future + 1 + fixed)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(self.recurrent.output_size, self.family.size)

    @property
    def steps(self) -> int:
        """Steps before the present that training reads; the lags before them are no steps."""
        return self.warm

    def loss(self, batch: Batch) -> Tensor:
        loss, outputs = self._surprise(batch, slice(max(self.lags), None))
        return penalised(loss, self.penalties(outputs, outputs))

    def judge(self, batch: Batch) -> Tensor:
        return self._surprise(batch, slice(self.lookback, None))[0]

    def _surprise(self, batch: Batch, steps: slice) -> tuple[Tensor, Tensor]:
        """Mean negative log-likelihood of the steps that were seen, each given those before it.

        The layers' outputs come second.
        """
        first = max(self.lags)
        outputs, _ = self.recurrent(self._inputs(batch, first, len(batch.values)))
        given = self.head(self.dropout(outputs[steps.start - first :]))
        likely = self.family.log_prob(given, batch.values[steps], batch.scale.float())
        seen = batch.seen[steps]
        return -torch.where(seen, likely, 0).sum() / seen.sum().clamp(min=1), outputs

    def begin(self, batch: Batch) -> Carried:
        low = max(self.lags)
        _, states = self.recurrent(self._inputs(batch, low, self.lookback))
        values = {
            "values": batch.values[self.lookback - low : self.lookback],
            "seen": batch.seen[self.lookback - low : self.lookback],
            "age": batch.age[self.lookback],
            "key": batch.key,
            "fixed": self._fixed(batch),
            "scale": batch.scale.float(),
        }
        return Carried(states, values)

    def advance(self, carried: Carried, now: Now) -> Carried:
        _, states = self.recurrent(self._next(carried, now.future), carried.states)
        return self._pushed(carried, states, now.value, now.seen)

    def ahead_of(self, carried: Carried, future: Tensor, paths: int = 0) -> Ahead:
        drawn = self._paths(carried, future, max(self.samples, paths))
        levels = drawn.new_tensor(self.levels)
        return Ahead(drawn.quantile(levels, dim=0).permute(1, 2, 0), drawn)

    def _paths(self, carried: Carried, future: Tensor, samples: int) -> Tensor:
        """Sampled values (S, B, H): those of a window are the same in any batch that torch's
        generator is seeded alike for.
        """
        rows, drawn = carried["scale"].shape[0], []
        seed = torch.randint(torch.iinfo(torch.int64).max, ())
        draws = Draws(seed, carried["key"], carried["age"], samples)
        outputs, states = self.recurrent(self._next(carried, future[0]), carried.states)
        # The first step ahead reads nothing that is drawn: one row does for all its samples.
        each = torch.arange(rows, device=future.device).repeat(samples)
        states = reorder(states, each)
        repeated = {name: _repeated(name, v, samples) for name, v in carried.values.items()}
        wide = Carried(states, repeated)
        outputs = outputs[-1].repeat(samples, 1)
        for step in range(self.horizon):
            if step:
                inputs = self._next(wide, future[step].repeat(samples, 1))
                outputs, states = self.recurrent(inputs, wide.states)
                outputs = outputs[-1]
            drawn.append(self.family.sample(self.head(outputs), wide["scale"], draws))
            seen = torch.ones_like(drawn[-1], dtype=torch.bool)
            wide = self._pushed(wide, states, drawn[-1], seen)
        return torch.stack(drawn).view(self.horizon, samples, rows).permute(1, 2, 0)

    def _pushed(self, carried: Carried, states: State, value: Tensor, seen: Tensor) -> Carried:
        """One step later: the newest value joins those that lags read, the oldest goes."""
        return carried.later(
            states,
            values=torch.cat([carried["values"][1:], value.unsqueeze(0)]),
            seen=torch.cat([carried["seen"][1:], seen.unsqueeze(0)]),
            age=carried["age"] + 1,
        )

    def _next(self, carried: Carried, future: Tensor) -> Tensor:
        """What the step to come reads, (1, B, features)."""
        values, seen = carried["values"], carried["seen"]
        lagged = [part[-lag] for lag in self.lags for part in (values, seen)]
        columns = self._columns(lagged, carried["age"])
        return torch.cat([columns, future, carried["fixed"]], -1).unsqueeze(0)

    def _inputs(self, batch: Batch, low: int, high: int) -> Tensor:
        """What steps from `low` to `high` read, (T, B, features)."""
        lagged = [
            part[low - lag : high - lag] for lag in self.lags for part in (batch.values, batch.seen)
        ]
        columns = self._columns(lagged, batch.age[low:high])
        around = self._fixed(batch).expand(high - low, -1, -1)
        return torch.cat([columns, batch.future[low:high], around], -1)

    def _columns(self, lagged: list[Tensor], age: Tensor) -> Tensor:
        return torch.stack([*(p.float() for p in lagged), (2 + age.clamp(min=0)).log10()], -1)

    def _fixed(self, batch: Batch) -> Tensor:
        size = (batch.scale.log10() / 3).float().unsqueeze(-1)
        return torch.cat([batch.static, self.vectors(batch.series), size], -1)


def _repeated(name: str, value: Tensor, times: int) -> Tensor:
    """Rows `times` over: they are the second axis of what has one for steps."""
    if name in ("age", "key", "scale"):
        return value.repeat(times)
    if name == "fixed":
        return value.repeat(times, 1)
    return value.repeat(1, times, *[1] * (value.dim() - 2))
