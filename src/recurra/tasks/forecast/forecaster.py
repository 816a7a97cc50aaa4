"""The estimator of forecasting: fit, predict, sample, evaluate, stream."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np

from recurra.data.series.panel import Panel
from recurra.data.series.read import read_panel
from recurra.errors import ConfigError
from recurra.tasks.estimator import Estimator
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.data_checks import series_warnings, warn
from recurra.tasks.forecast.evaluation.backtest import (
    Backtest,
    rolling_origins,
    run_backtest,
    short_series_warnings,
)
from recurra.tasks.forecast.figures import forecast_figure
from recurra.tasks.forecast.frames import (
    MODEL_NAME,
    DataFrame,
    forecast_columns,
    long_columns,
    make_frame,
)
from recurra.tasks.forecast.model import Model
from recurra.tasks.forecast.nets.inference import Predictions
from recurra.tasks.forecast.online.anomaly import anomaly_columns
from recurra.tasks.forecast.online.stream import Stream
from recurra.tasks.forecast.selection.model_choice import ModelChoice
from recurra.tasks.forecast.store import PlacedPanel
from recurra.tasks.forecast.task import Forecast
from recurra.tasks.forecast.windows.splits import Origins, columns_of
from recurra.tasks.signature import options_of
from recurra.tasks.task import Task
from recurra.training import Progress

if TYPE_CHECKING:
    from recurra.plots import Figure

__all__ = ["Forecaster"]


class Forecaster(Estimator[ForecastConfig, Model]):
    """Probabilistic forecasts of one series or thousands by one recurrent network.

    Any field of `ForecastConfig` may be given by name. `fit` trains it, `load` brings a trained
    one back.

    Raises:
        ConfigError: a setting is unknown, or its value is not allowed.

    Example:
        >>> import numpy, pandas
        >>> days = pandas.date_range("2024-01-01", periods=90)
        >>> df = pandas.DataFrame({"unique_id": "shop", "ds": days, "y": numpy.arange(90.0) % 7})
        >>> model = Forecaster(horizon=7, freq="D", model="direct", max_steps=2)
        >>> model.fit(df).predict().columns.tolist()[:4]
        ['unique_id', 'ds', 'recurra', 'recurra-lo-80']
    """

    task: ClassVar[type[Task[Any, Any, Any]]] = Forecast

    @options_of(ForecastConfig)
    def __init__(self, config: ForecastConfig) -> None:
        super().__init__(config)

    def fit(  # type: ignore[override]
        self,
        data: Any = None,
        y: None = None,
        *,
        static: Any = None,
        out: str | os.PathLike[str] | None = None,
        resume: bool = False,
        overwrite: bool = False,
        progress: Progress | bool | None = None,
    ) -> Self:
        """Train on a table: a path (.csv, .parquet), or a pandas or polars frame.

        Args:
            data: the table; `id`, `time`, `target` and `layout` say how it is laid out.
            y: nothing; the target is a column of the table.
            static: a second table of the series' static covariates.
            out: directory of the run; without one it lies in a temporary folder.
            resume: resume the run from its last checkpoint; epochs, max_steps, max_minutes,
                patience and resume_schedule alone may differ from the settings it was started with.
            overwrite: replace the run that is there.
            progress: a live display on stderr; by default in a terminal or notebook.

        Raises:
            DataError: the table can't be used, or no series is long enough.
            ConfigError: the run that is to be resumed has other settings.
            RunError: `out` holds another run, or the data of the run have changed.
            TrainingError: a loss or gradient is not finite, or the disk is full.
        """
        if not resume:
            self._given = self._given_before()
            self.config: ForecastConfig = self._asked()
        return super().fit(
            data, out=out, resume=resume, overwrite=overwrite, progress=progress, static=static
        )

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Every setting by name, those not given at their defaults, as before any choice."""
        return {**super().get_params(deep), **self._replaced, **self._given}

    @property
    def choice(self) -> ModelChoice | None:
        """What was tried and chosen where the model was "auto"; None for one given by name."""
        record = self._task.context.get("choice")
        return None if record is None else ModelChoice.from_json(record)

    @property
    def _replaced(self) -> dict[str, Any]:
        """The settings that a choice replaced."""
        return {} if self.choice is None else self.choice.asked

    def _given_before(self) -> dict[str, Any]:
        """The settings that were given, without those of a choice, which a run records too."""
        return {name: value for name, value in self._given.items() if name not in self._replaced}

    def _asked(self) -> ForecastConfig:
        """The configuration before any choice, so that another training chooses again."""
        return dataclasses.replace(self.config, **self._replaced)

    def predict(
        self,
        data: Any = None,
        *,
        future: Any = None,
        static: Any = None,
        horizon: int | None = None,
        seed: int = 0,
    ) -> DataFrame:
        """Forecasts of the steps after the training data, or after new data, without training.

        Args:
            data: a table as in training; series that were not in it are forecast as well.
            future: a table of the covariates known ahead, where the model reads any.
            static: a second table of static covariates, where training had one.
            horizon: how many of the trained steps to give; all, left out.
            seed: of the paths that the autoregressive model samples.

        Returns the columns id, time, `recurra`, and `recurra-lo-80`, `recurra-hi-80`, ... for each
        interval.
        """
        placed = self._series(data, static)
        steps = self._steps(horizon)
        predictions = self._predictions(placed, future, 0, seed)
        columns = forecast_columns(predictions, self.config.levels, self.config.widths, steps)
        return self._answer(placed, steps, columns)

    def sample(
        self,
        data: Any = None,
        *,
        paths: int = 100,
        future: Any = None,
        static: Any = None,
        horizon: int | None = None,
        seed: int = 0,
    ) -> DataFrame:
        """Sample paths of the steps to come: id, time, `sample_id` from 0 on, `recurra`."""
        if paths < 1:
            raise ConfigError(f"paths = {paths}; draw at least 1.")
        placed = self._series(data, static)
        steps = self._steps(horizon)
        drawn = self._predictions(placed, future, paths, seed).paths
        assert drawn is not None
        columns = {
            "sample_id": np.tile(np.arange(paths), len(placed.panel) * steps),
            MODEL_NAME: drawn[:, :, :steps].transpose(0, 2, 1).ravel(),
        }
        return self._answer(placed, steps, columns, paths)

    def plot(
        self,
        data: Any = None,
        *,
        future: Any = None,
        static: Any = None,
        horizon: int | None = None,
        series: Sequence[Any] = (),
        seed: int = 0,
    ) -> Figure:
        """A picture of the forecasts of `predict`: history, forecast and intervals of the series
        named, or of some spread over all; ConfigError where one isn't there.
        """
        placed, model = self._series(data, static), self._ready()
        steps, ahead = self._steps(horizon), model.future_features(placed, future)
        return forecast_figure(model, placed, ahead, steps=steps, series=series, seed=seed)

    def evaluate(  # type: ignore[override]
        self,
        data: Any = None,
        *,
        windows: int = 1,
        step: int | None = None,
        static: Any = None,
        baselines: bool = True,
        adapt: int = 0,
        backtest: int = 0,
        refit: bool = False,
        seed: int = 0,
        progress: Progress | bool | None = None,
    ) -> Backtest:
        """Judge forecasts of the last `windows` origins of each series, `step` apart, a horizon if
        left out: without training, and beside the baselines unless they are not wanted.

        With `adapt` the quantiles follow the actual values of earlier windows, of all series, as
        far as they are known by then: an error counts half after so many steps, 500 say. With
        `backtest` the model is trained again on what came before so many windows, as the method
        `backtest` does.

        Of the training data the last `holdback` steps were not trained on (without `final_steps`),
        though the weights were chosen and the intervals calibrated on them: `backtest` is the
        stricter test.
        """
        self._check_evaluation(windows, adapt, backtest, refit)
        if backtest:
            table, beside = self._table(data, static)
            return self.backtest(
                table, windows=backtest, step=step, refit=refit, static=beside, progress=progress
            )
        task, model = cast("Forecast", self._task), self._ready()
        read = self._own_data() if data is None else task.read_measured(data, static=static)
        return task.evaluate(
            model, read, windows=windows, step=step, baselines=baselines, adapt=adapt, seed=seed
        )

    def backtest(
        self,
        data: Any,
        *,
        windows: int = 5,
        step: int | None = None,
        refit: bool = False,
        static: Any = None,
        progress: Progress | bool | None = None,
    ) -> Backtest:
        """Judge a new forecaster with these settings on `windows` rolling origins, a horizon apart
        if `step` is left out: trained only on what came before the first of each series, or with
        `refit` again for each round of origins, the last of every series in the last round.

        Covariates too are encoded by what came before: one that has a text which wasn't there in
        training is refused, as by `predict`. A series without an origin in a round is trained on as
        far as it is not later than what the earliest of the round's origins knows.
        """
        _check_count("windows", windows)
        opened = cast("Forecast", self._task).reading(data, static)
        step = step or self.config.horizon
        origins = rolling_origins(opened.lengths, self.config.horizon, windows, step)
        warn(short_series_warnings(windows, origins, len(opened.lengths)))

        def train(panel: Panel) -> Model:
            new = type(self).from_config(self._asked(), self._given_before())
            model = new.fit(panel, progress=progress)
            if model.results[-1].stopped == "interrupted":
                raise KeyboardInterrupt
            return model._ready()

        return run_backtest(self.config, opened, origins, refit, train)

    def anomalies(
        self, data: Any = None, *, last: int | None = None, static: Any = None, seed: int = 0
    ) -> DataFrame:
        """Anomaly scores of the last observations of each series (all, left out).

        Columns: id, time, the target, `recurra` and its intervals as they were forecast one step
        before, and `score`: the distance from the median on a normal scale; 3 and more is rare.
        Where the table ends, covariates known ahead are taken to stay as they were last.
        """
        if last is not None:
            _check_count("last", last)
        model = self._ready()
        if data is None:
            placed = PlacedPanel(self._own_data().panel, np.zeros(len(model.starts), np.int64))
        else:
            placed = self._series(data, static)
        most = int(placed.panel.lengths.max(initial=1))
        columns = anomaly_columns(model, placed, last or most, seed=seed)
        return make_frame(columns, placed.panel.frame_kind)

    def stream(
        self, data: Any = None, *, future: Any = None, static: Any = None, seed: int = 0
    ) -> Stream:
        """Follow the series from the end of the training data, or of new data, step by step.

        `future` is a table of covariates known ahead, where the model reads any: of as many steps
        as are known, since each update and forecast may be given a further one.

        Raises ConfigError for a model that can't be streamed: that of segments.

        Example:
            >>> import numpy, pandas
            >>> hours = pandas.date_range("2024-01-01", periods=200, freq="h")
            >>> df = pandas.DataFrame({"unique_id": "a", "ds": hours, "y": numpy.arange(200) % 24})
            >>> model = Forecaster(horizon=6, freq="h", model="direct", hidden=4, max_steps=1)
            >>> live = model.fit(df).stream()
            >>> list(live.update({"a": 8.0}))
            ['a']
            >>> live.predict()["ds"].iloc[0]
            Timestamp('2024-01-09 09:00:00')
        """
        placed = self._series(data, static)
        return cast("Stream", self.session(placed=placed, future=future, seed=seed))

    def _series(self, data: Any, static: Any) -> PlacedPanel:
        """The series to forecast: those of training, or new ones."""
        model = self._ready()
        if data is None:
            if self._data is None:
                return model.history
            return PlacedPanel(self._data.panel, np.zeros(len(self._data.panel), np.int64))
        schema = model.history.panel.schema
        panel = read_panel(data, columns_of(self.config), schema=schema, static=static)
        warn([*series_warnings(panel, self.config.horizon), *model.new_series_warnings(panel)])
        return model.place(panel)

    def _table(self, data: Any, static: Any) -> tuple[Any, Any]:
        """The table to judge on, and that of static covariates: given, or the run's own."""
        if data is not None:
            return data, static
        self._own_data()
        if not self.config.data:
            raise ConfigError("The model was trained on a frame; give it to the backtest again.")
        return self.config.data[0], static or self.config.static_data

    def _check_evaluation(self, windows: int, adapt: int, backtest: int, refit: bool) -> None:
        _check_count("windows", windows)
        if adapt < 0 or adapt != int(adapt):
            raise ConfigError(
                f"adapt = {adapt}; it must be the steps after which an error counts half, 500 say, "
                "or 0 for quantiles that stay as they were calibrated."
            )
        if backtest and (windows != 1 or adapt):
            raise ConfigError(
                "backtest trains again, and windows and adapt judge the model as it is; give "
                "backtest alone."
            )
        if refit and not backtest:
            raise ConfigError("refit is for backtest; give both, or none.")

    def _predictions(self, placed: PlacedPanel, future: Any, paths: int, seed: int) -> Predictions:
        model = self._ready()
        cutter = model.cutter(placed, model.future_features(placed, future))
        everywhere = Origins(np.arange(len(placed.panel)), placed.panel.lengths)
        return model.forecast(cutter, everywhere, paths=paths, seed=seed)

    def _answer(
        self, placed: PlacedPanel, steps: int, columns: dict[str, Any], repeat: int = 1
    ) -> DataFrame:
        panel = placed.panel
        stamps = panel.frequency.after(panel.last, steps)
        return make_frame({**long_columns(panel, stamps, repeat), **columns}, panel.frame_kind)

    def _steps(self, horizon: int | None) -> int:
        trained = self.config.horizon
        if horizon is not None and not 1 <= horizon <= trained:
            raise ConfigError(
                f"horizon = {horizon}; this model was trained for {trained} steps: ask for 1 to "
                f"{trained}, or train another with horizon = {horizon}."
            )
        return trained if horizon is None else horizon


def _check_count(name: str, value: int) -> None:
    if value < 1:
        raise ConfigError(f"{name} = {value}; it must be 1 or more.")
