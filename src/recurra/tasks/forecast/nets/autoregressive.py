"""A distribution of each next value, and paths sampled step after step.

After Salinas, Flunkert, Gasthaus and Januschowski 2020, "DeepAR: Probabilistic forecasting with
autoregressive recurrent networks" (arXiv:1704.04110): each step reads the value before it, values
some lags back, the covariates of the step itself, the series' age and scale.
"""

import torch
from torch import Tensor, nn

from recurra.nn import Recurrent, Stack
from recurra.nn.linear import Linear
from recurra.nn.states import State, reorder
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.nets.components import (
    CarriedState,
    ForecastNet,
    NetOutput,
    SeriesVectors,
    Sizes,
    StepInput,
    counted_of,
)
from recurra.tasks.forecast.nets.distributions import FAMILIES, RandomNumbers
from recurra.tasks.forecast.windows.cutter import WindowBatch
from recurra.tasks.network import penalised, recurrent_layers

__all__ = ["AutoregressiveNet"]


class AutoregressiveNet(ForecastNet):
    """The likelihood of every step; quantiles are those of the sampled paths."""

    def __init__(self, config: ForecastConfig, sizes: Sizes) -> None:
        super().__init__(config.horizon, config.levels, kind="likelihood", samples=config.samples)
        self._family = FAMILIES[config.distribution](config.components)
        self._family.check(config)
        self._lags = (1, *(lag for lag in config.lag_steps(sizes.season) if lag > 1))
        self._warm = config.lookback_steps(sizes.season)
        self.lookback: int = self._warm + max(self._lags)
        self.vectors: SeriesVectors = SeriesVectors(sizes.series, config.embedding)
        constant = sizes.static + config.embedding + 1
        self.recurrent: Recurrent | Stack = recurrent_layers(
            config, 2 * len(self._lags) + sizes.future + 1 + constant
        )
        self.dropout: nn.Dropout = nn.Dropout(config.dropout)
        self.head: nn.Linear = Linear(self.recurrent.output_size, self._family.size)

    @property
    def steps(self) -> int:
        """Steps of the recurrence in a look-back, which the lags come before."""
        return self._warm

    def loss(self, batch: WindowBatch) -> Tensor:
        loss, outputs = self._negative_log_likelihood(batch, slice(max(self._lags), None))
        return penalised(loss, self.penalties(outputs, outputs))

    def forecast_loss(self, batch: WindowBatch) -> Tensor:
        return self._negative_log_likelihood(batch, slice(self.lookback, None))[0]

    def _negative_log_likelihood(self, batch: WindowBatch, steps: slice) -> tuple[Tensor, Tensor]:
        """Mean negative log-likelihood of the steps that were seen, each given those before it.

        The layers' outputs come second.
        """
        first = max(self._lags)
        outputs, _ = self.recurrent(self._inputs(batch, first, len(batch.values)))
        parameters = self.head(self.dropout(outputs[steps.start - first :]))
        log_prob = self._family.log_prob(parameters, batch.values[steps], batch.scale.float())
        counted = counted_of(batch)
        total = counted.seen[steps].sum().clamp(min=1)
        loss = -torch.where(batch.seen[steps], log_prob, 0).sum() / total * counted.processes
        return loss, outputs

    def begin(self, batch: WindowBatch) -> CarriedState:
        low = max(self._lags)
        _, layers = self.recurrent(self._inputs(batch, low, self.lookback))
        values = {
            "values": batch.values[self.lookback - low : self.lookback],
            "seen": batch.seen[self.lookback - low : self.lookback],
            "age": batch.age[self.lookback],
            "key": batch.key,
            "constant": self._constant(batch),
            "scale": batch.scale.float(),
        }
        return CarriedState(layers, values)

    def advance(self, state: CarriedState, step: StepInput) -> CarriedState:
        _, layers = self.recurrent(self._next(state, step.future), state.layers)
        return self._pushed(state, layers, step.value, step.seen)

    def forecast_from(self, state: CarriedState, future: Tensor, paths: int = 0) -> NetOutput:
        drawn = self._paths(state, future, max(self.samples, paths))
        levels = drawn.new_tensor(self.levels)
        return NetOutput(drawn.quantile(levels, dim=0).permute(1, 2, 0), drawn)

    def _paths(self, state: CarriedState, future: Tensor, samples: int) -> Tensor:
        """Sampled values (S, B, H); those of a window are the same in any batch, for one seed of
        torch's generator.
        """
        rows, drawn = state["scale"].shape[0], []
        seed = torch.randint(torch.iinfo(torch.int64).max, ())
        numbers = RandomNumbers(seed, state["key"], state["age"], samples)
        outputs, layers = self.recurrent(self._next(state, future[0]), state.layers)
        # The first step ahead reads nothing that is drawn: one row does for all its samples.
        layers = reorder(layers, torch.arange(rows, device=future.device).repeat(samples))
        repeated = {name: _repeated(name, v, samples) for name, v in state.values.items()}
        wide = CarriedState(layers, repeated)
        outputs = outputs[-1].repeat(samples, 1)
        for step in range(self.horizon):
            if step:
                inputs = self._next(wide, future[step].repeat(samples, 1))
                outputs, layers = self.recurrent(inputs, wide.layers)
                outputs = outputs[-1]
            drawn.append(self._family.sample(self.head(outputs), wide["scale"], numbers))
            seen = torch.ones_like(drawn[-1], dtype=torch.bool)
            wide = self._pushed(wide, layers, drawn[-1], seen)
        return torch.stack(drawn).view(self.horizon, samples, rows).permute(1, 2, 0)

    def _pushed(
        self, state: CarriedState, layers: State, value: Tensor, seen: Tensor
    ) -> CarriedState:
        """The state one step later: the newest value joins those of the lags, the oldest goes."""
        return state.later(
            layers,
            values=torch.cat([state["values"][1:], value.unsqueeze(0)]),
            seen=torch.cat([state["seen"][1:], seen.unsqueeze(0)]),
            age=state["age"] + 1,
        )

    def _next(self, state: CarriedState, future: Tensor) -> Tensor:
        """The inputs of the step to come, (1, B, features)."""
        values, seen = state["values"], state["seen"]
        lagged = [part[-lag] for lag in self._lags for part in (values, seen)]
        columns = self._columns(lagged, state["age"])
        return torch.cat([columns, future, state["constant"]], -1).unsqueeze(0)

    def _inputs(self, batch: WindowBatch, low: int, high: int) -> Tensor:
        """The inputs of steps from `low` to `high`, (T, B, features)."""
        lagged = [
            part[low - lag : high - lag]
            for lag in self._lags
            for part in (batch.values, batch.seen)
        ]
        columns = self._columns(lagged, batch.age[low:high])
        constant = self._constant(batch).expand(high - low, -1, -1)
        return torch.cat([columns, batch.future[low:high], constant], -1)

    def _columns(self, lagged: list[Tensor], age: Tensor) -> Tensor:
        return torch.stack([*(p.float() for p in lagged), (2 + age.clamp(min=0)).log10()], -1)

    def _constant(self, batch: WindowBatch) -> Tensor:
        """The inputs (B, features) that are the same at all steps."""
        size = (batch.scale.log10() / 3).float().unsqueeze(-1)
        return torch.cat([batch.static, self.vectors(batch.series), size], -1)


def _repeated(name: str, value: Tensor, times: int) -> Tensor:
    """Rows `times` over: they are the second axis where there is one for steps."""
    if name in ("age", "key", "scale"):
        return value.repeat(times)
    if name == "constant":
        return value.repeat(times, 1)
    return value.repeat(1, times, *[1] * (value.dim() - 2))
