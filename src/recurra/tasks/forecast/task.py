"""The forecasting task: series in, and the steps that follow them as quantiles and paths."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from recurra.config.task_config import TaskConfig
from recurra.data.series.panel import Panel
from recurra.data.series.read import open_panel, read_panel
from recurra.errors import ConfigError, DataError
from recurra.files import digest
from recurra.nn.states import State
from recurra.reports import Headline
from recurra.tasks.estimator import Estimator, estimator_for
from recurra.tasks.forecast import facts
from recurra.tasks.forecast.combining import combined_cutter
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.data_checks import ForecastWarning, check_values, series_warnings
from recurra.tasks.forecast.evaluation.backtest import (
    Backtest,
    judge_origins,
    rolling_origins,
    short_series_warnings,
)
from recurra.tasks.forecast.evaluation.holdout import judge_holdout, remarks
from recurra.tasks.forecast.intervals.sample_size import interval_warnings
from recurra.tasks.forecast.model import Model
from recurra.tasks.forecast.nets import ForecastNet, Sizes, build, sizes_of
from recurra.tasks.forecast.nets.inference import batches
from recurra.tasks.forecast.online.forecast_dialogue import ForecastDialogues
from recurra.tasks.forecast.online.stream import Stream
from recurra.tasks.forecast.selection.model_choice import ModelChoice
from recurra.tasks.forecast.selection.successive_halving import choose_settings
from recurra.tasks.forecast.store import PlacedPanel
from recurra.tasks.forecast.windows.cutter import (
    WindowBatch,
    WindowCutter,
    cutter_for,
    training_windows,
)
from recurra.tasks.forecast.windows.splits import (
    Origins,
    SplitPoints,
    columns_of,
    holdout_origins,
    split,
)
from recurra.tasks.task import Evaluation, Facts, Figures, Probe, Retrain, Source, Task
from recurra.training import Validate, Windows

__all__ = ["TASK", "Forecast", "ForecastTables"]

_VALIDATED = 512
"""Held-out windows that choose the best weights."""


@dataclass(frozen=True, eq=False)
class ForecastTables:
    """A panel of series, and where its table and that of its static covariates lie, if anywhere."""

    panel: Panel
    path: str | None = None
    static_path: str | None = None
    is_part: bool = False
    """True for a part of a table that warnings were issued for already."""


class Forecast(Task[ForecastConfig, ForecastTables, Model]):
    """Look-backs of many series; a network forecasts the steps that follow each, scaled."""

    configuration: ClassVar[type[TaskConfig]] = ForecastConfig
    estimator = "recurra.tasks.forecast.forecaster:Forecaster"
    unit = "values"
    warning: ClassVar[type[Warning]] = ForecastWarning

    def read(self, data: Any = None, *, static: Any = None, **others: Any) -> ForecastTables:
        """Read a table: a path (.csv, .parquet), or a pandas or polars frame."""
        config = self.config
        if data is None and not config.data:
            raise DataError("No table to train on; give a path or a frame.")
        table = _single(config.data if data is None else data)
        if isinstance(table, Panel):
            return ForecastTables(table, is_part=True)
        static = config.static_data if static is None else static
        panel = read_panel(table, columns_of(config), static=static)
        return ForecastTables(panel, _path(table), _path(static))

    def notes(self, data: ForecastTables) -> list[str]:
        """Warnings of missing, constant or short series, and of too few held-out windows."""
        panel = data.panel
        if data.is_part:
            return []
        return [
            *series_warnings(panel, self.config.horizon),
            *interval_warnings(self.config, panel),
        ]

    def record(self, config: ForecastConfig, data: ForecastTables) -> ForecastConfig:
        """The configuration with absolute paths."""
        return dataclasses.replace(config, static_data=data.static_path)

    def sources(self, data: ForecastTables) -> list[Source]:
        """The values, with covariates, as they were read."""
        panel, total = data.panel, hashlib.sha256()
        for array in (panel.y, panel.past, panel.future, panel.static, panel.offsets):
            total.update(np.ascontiguousarray(array).tobytes())
        total.update(repr((panel.ids.tolist(), panel.starts.tolist())).encode())
        return [Source("values", data.path, total.hexdigest())]

    def context_of(self, data: ForecastTables) -> dict[str, Any]:
        """Sizes that the data decide (series, covariates, season), and the values' digest."""
        panel = data.panel
        return {
            "sizes": sizes_of(self.config, panel)._asdict(),
            "values": digest(panel.y.tobytes()),
            **{name: self.context[name] for name in ("choice",) if name in self.context},
        }

    @property
    def sizes(self) -> Sizes:
        """The sizes that the context holds."""
        sizes = self.context["sizes"]
        return Sizes(**{**sizes, "cycles": tuple(sizes["cycles"])})

    def decided(
        self, data: ForecastTables, given: Iterable[str], say: Callable[[str], None]
    ) -> Forecast:
        """The task with a model, and what else was not given, chosen by the data."""
        if self.config.model != "auto":
            return self

        def make(config: ForecastConfig) -> Estimator[ForecastConfig, Model]:
            return estimator_for(Forecast).from_config(config, {})

        choice = choose_settings(self.config, data.panel, given, make, say)
        for sentence in choice.sentences():
            say(sentence)
        context = {**self.context, "choice": choice.to_json()}
        return type(self)(self.config.changed(choice.settings), context)

    def build(self) -> ForecastNet:
        """The network of `config.model`."""
        return build(self.config, self.sizes)

    def windows(self, data: ForecastTables) -> Windows:
        """Windows drawn again in every epoch from all origins of training."""
        check_values(self.config, data.panel)
        return training_windows(self.config, *self._cut(data.panel), self.config.seed)

    def loss(self, model: nn.Module, batch: WindowBatch, state: State) -> tuple[Tensor, int, State]:
        """The network's own loss: of quantiles, errors or likelihood."""
        loss: Tensor = model.loss(batch)  # type: ignore[operator]
        return loss, batch.values.numel(), None

    def validation(self, data: ForecastTables) -> Validate | None:
        """The loss of forecasts on windows of the held-out part, spread evenly over it."""
        cutter, points = self._cut(data.panel)
        origins = holdout_origins(self.config, data.panel, points)
        if not len(origins.series):
            return None
        return lambda net: {"loss": _mean_loss(net, cutter, _spread(origins, _VALIDATED))}

    def complete(
        self, models: Sequence[nn.Module], data: ForecastTables, retrain: Retrain
    ) -> Model:
        """Calibrate on the held-out part; then train the final steps on that part too."""
        config, panel, nets = self.config, data.panel, _nets(models)
        cutter, points = self._cut(panel)
        origins = holdout_origins(config, panel, points)
        if config.member_names:
            cutter = combined_cutter(config, self.sizes.season, nets, cutter, origins)
        model = Model.trained(config, self.sizes, nets, cutter, origins)
        if not config.final_steps:
            return model
        final = copy.deepcopy(nets)
        stages = [_FinalSteps.after(self.member(number)) for number in range(len(nets))]
        retrain("final", final, stages)
        return dataclasses.replace(model, nets=final, before=model)

    def artefacts(self, product: Model) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Calibration, and the end of every series, as much of it as a forecast reads."""
        return product.to_parts()

    def models(self, product: Model) -> Sequence[nn.Module]:
        """The networks that are averaged."""
        return product.nets

    def restore(
        self, models: Sequence[nn.Module], tensors: Mapping[str, Tensor], facts: Mapping[str, Any]
    ) -> Model:
        """The model of the stored parts."""
        return Model.from_parts(self.config, self.sizes, _nets(models), dict(tensors), dict(facts))

    def held_out(self, product: Model, data: ForecastTables) -> Backtest | None:
        """Forecasts of the held-out part beside the baselines; final steps are not in them."""
        backtest = judge_holdout(product.before or product, data.panel)
        return None if backtest is None else _with_sections(backtest, [facts.HELD_OUT])

    def evaluate(
        self,
        product: Model,
        data: ForecastTables,
        *,
        windows: int = 1,
        step: int | None = None,
        baselines: bool = True,
        adapt: int = 0,
        seed: int = 0,
        **others: Any,
    ) -> Backtest:
        """Judge forecasts of the last `windows` origins of each series, `step` apart."""
        placed, horizon = product.place(data.panel), self.config.horizon
        origins = rolling_origins(placed.panel.lengths, horizon, windows, step or horizon)
        backtest = judge_origins(
            product, placed, origins, baselines=baselines, adapt=adapt, seed=seed
        )
        used = remarks(self.config, self.context["values"], backtest, windows, step or horizon)
        return _with_sections(
            backtest, [*short_series_warnings(windows, origins, len(placed.panel)), *used]
        )

    def probe(self, data: ForecastTables, *, rows: int, steps: int) -> Probe:
        """Windows of the held-out part, or the last ones; the loss is that of the forecast."""
        cutter, points = self._cut(data.panel)
        origins = holdout_origins(self.config, data.panel, points)
        if not len(origins.series):
            last = data.panel.lengths - self.config.horizon
            origins = Origins(np.flatnonzero(last > 0), last[last > 0])
        batch = cutter.cut(_spread(origins, rows), with_actual=True)
        return Probe({"batch": batch}, lambda loss: loss, judges=False)

    def facts(self, product: Model, data: ForecastTables, evaluation: Evaluation | None) -> Facts:
        """The data, warnings of them, the model, its quality, and pictures of forecasts."""
        assert evaluation is None or isinstance(evaluation, Backtest)
        record = self.context.get("choice")
        choice = None if record is None else ModelChoice.from_json(record)
        return facts.facts_of(product, data.panel, data.path, evaluation, choice)

    def headline(self, data: ForecastTables, evaluation: Evaluation) -> Headline:
        """The deciding figure of the held-out part beside the baselines, and the verdict."""
        assert isinstance(evaluation, Backtest)
        return facts.headline_of(evaluation)

    def figures(self, data: ForecastTables) -> Figures:
        """MASE on the held-out part; chance is the best baseline's."""
        return Figures(
            title=f"forecast of {self.config.horizon} steps",
            quality="held-out MASE",
            measure="MASE",
            chance=None,
            loss="loss",
            chance_loss=None,
        )

    def session(
        self,
        product: Model,
        *,
        placed: PlacedPanel | None = None,
        future: Any = None,
        seed: int = 0,
        **others: Any,
    ) -> Stream:
        """The series followed from their ends on, one observation at a time.

        `placed` are the series in their place in time, by default those of training; `future` is a
        table of future covariates.
        """
        return Stream(product, placed or product.history, future, seed)

    def dialogues(self, product: Model, most: int) -> ForecastDialogues:
        """Forecasts after further observations."""
        return ForecastDialogues(product)

    def reading(self, data: Any, static: Any) -> Any:
        """A table that is open, so that parts of it can be read as panels."""
        return open_panel(data, columns_of(self.config), static=static)

    def _cut(self, panel: Panel) -> tuple[WindowCutter, SplitPoints]:
        """The cutter of training windows, and their split points."""
        with torch.random.fork_rng(devices=[]):
            lookback = self.build().lookback
        points = split(self.config, panel, lookback)
        return cutter_for(
            self.config, panel, lookback, self.sizes.cycles, limit=points.limit
        ), points


class _FinalSteps(Forecast):
    """Training on all of the data from the rate where the schedule ended, down by as much again."""

    @classmethod
    def after(cls, task: Forecast) -> _FinalSteps:
        """The stage that follows a member's training."""
        config = task.config
        rate = config.learning_rate * config.final_learning_rate
        changed = dataclasses.replace(
            config,
            max_steps=config.final_steps,
            learning_rate=rate or config.learning_rate,
            warmup_steps=0,
            schedule="cosine",
            validate_every=None,
            patience=None,
        )
        return cls(changed, task.context)

    def windows(self, data: ForecastTables) -> Windows:
        """Windows over the held-out part too."""
        cutter, points = self._cut(data.panel)
        lengths = data.panel.lengths
        everything = SplitPoints(lengths, points.first, lengths - self.config.horizon)
        return training_windows(self.config, cutter, everything, self.config.seed)

    def validation(self, data: ForecastTables) -> None:
        """None: no part is held out any more."""


TASK = Forecast


def _with_sections(backtest: Backtest, notes: Sequence[str]) -> Backtest:
    sections = facts.sections_of(backtest, brief=True)
    return dataclasses.replace(backtest, sections=sections, remarks=tuple(notes))


def _nets(models: Sequence[nn.Module]) -> tuple[ForecastNet, ...]:
    nets = tuple(models)
    assert all(isinstance(net, ForecastNet) for net in nets)
    return nets  # type: ignore[return-value]


def _mean_loss(net: nn.Module, cutter: WindowCutter, origins: Origins) -> float:
    total, rows = 0.0, 0
    for batch in batches(cutter, origins, with_actual=True):
        size = batch.values.shape[1]
        total += float(net.forecast_loss(batch)) * size  # type: ignore[operator]
        rows += size
    return total / rows


def _spread(origins: Origins, most: int) -> Origins:
    """At most `most` origins spread over all, with the first and the last."""
    chosen = np.linspace(0, len(origins.series) - 1, most).round().astype(int)
    return Origins(*(part[np.unique(chosen)] for part in origins))


def _single(data: Any) -> Any:
    """The table, of a list of one path; arrays stay a list."""
    paths = isinstance(data, (tuple, list)) and any(isinstance(d, (str, os.PathLike)) for d in data)
    if not paths:
        return data
    if len(data) != 1:
        raise ConfigError(f"{len(data)} tables were given; a forecaster is trained on one.")
    return data[0]


def _path(table: Any) -> str | None:
    return str(Path(table).resolve()) if isinstance(table, (str, os.PathLike)) else None
