"""The forecasting task from Python: fit, predict, sample, load."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra import __version__
from recurra.config.training import EXTENDABLE
from recurra.data.series.panel import Panel
from recurra.data.series.read import open_panel, read_panel
from recurra.errors import ConfigError, RunError
from recurra.files import digest
from recurra.tasks.forecast.config import ForecastConfig, forecast_config
from recurra.tasks.forecast.data_checks import series_warnings, warn
from recurra.tasks.forecast.describe import describe
from recurra.tasks.forecast.evaluation.backtest import (
    Backtest,
    judge_origins,
    rolling_origins,
    run_backtest,
    short_series_warnings,
)
from recurra.tasks.forecast.figures import forecast_figure
from recurra.tasks.forecast.fitting import check_trainable, ended, fit_model
from recurra.tasks.forecast.frames import (
    MODEL_NAME,
    DataFrame,
    forecast_columns,
    long_columns,
    make_frame,
)
from recurra.tasks.forecast.intervals.sample_size import interval_warnings
from recurra.tasks.forecast.model import Model
from recurra.tasks.forecast.online.anomaly import anomaly_columns
from recurra.tasks.forecast.online.stream import Stream
from recurra.tasks.forecast.store import PlacedPanel
from recurra.tasks.forecast.windows.splits import Origins, columns_of
from recurra.training import Progress, RichProgress, Run, TrainingResult

if TYPE_CHECKING:
    from recurra.plots import Figure

__all__ = ["Forecaster"]

TASK = "forecast"


class Forecaster:
    """Probabilistic forecasts of one series or thousands by one recurrent network.

    Any field of `ForecastConfig` may be given by name: `horizon=48`, `freq="h"`, `cell="gru"`,
    `model="segments"`, `hidden=128`, `lookback=0`, `loss="quantiles"`, ... It is cloned, and has
    `get_params` and `set_params`, as scikit-learn expects.

    Raises:
        ConfigError: a setting is unknown, or its value can't be.

    Example:
        >>> import numpy, pandas
        >>> days = pandas.date_range("2024-01-01", periods=90)
        >>> df = pandas.DataFrame({"unique_id": "shop", "ds": days, "y": numpy.arange(90.0) % 7})
        >>> model = Forecaster(horizon=7, freq="D", hidden=8, max_steps=2)
        >>> model.fit(df).predict().columns.tolist()[:4]
        ['unique_id', 'ds', 'recurra', 'recurra-lo-80']
    """

    def __init__(self, **settings: Any) -> None:
        self.config: ForecastConfig = forecast_config(settings)
        self.results: tuple[TrainingResult, ...] = ()
        self.held_back: Backtest | None = None
        self.run: Run | None = None
        self._given = settings
        self._model: Model | None = None
        self._panel: PlacedPanel | None = None
        self._temporary: str | None = None

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Every setting by name, those not given at their defaults."""
        return {**dataclasses.asdict(self.config), **self._given}

    def set_params(self, **settings: Any) -> Forecaster:
        """Change settings; what was trained is forgotten."""
        Forecaster.__init__(self, **{**self._given, **settings})
        return self

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self._given.items())
        return f"Forecaster({given})"

    def fit(
        self,
        data: Any,
        y: None = None,
        *,
        static: Any = None,
        out: str | os.PathLike[str] | None = None,
        resume: bool = False,
        overwrite: bool = False,
        progress: Progress | bool = False,
    ) -> Forecaster:
        """Train on a table: a path (.csv, .parquet), or a pandas or polars frame.

        Args:
            data: the table; `id`, `time`, `target` and `layout` say how it is laid out.
            y: nothing; the target is a column of the table.
            static: a second table of the series' static covariates.
            out: directory of the run; without one it lies in a temporary folder.
            resume: go on with the run that is there, trained on the same data and settings.
            overwrite: replace the run that is there.
            progress: True shows a live bar on stderr.

        Raises:
            DataError: the table can't be used, or no series is long enough.
            ConfigError: the run that is to go on has other settings.
            RunError: `out` holds another run, or the data of the run have changed.
            TrainingError: a loss or gradient is not finite, or the disk is full.
        """
        if resume and overwrite:
            raise ConfigError("A run is either resumed or overwritten; give one of the two.")
        panel = read_panel(data, columns_of(self.config), static=static)
        if out is None:
            self._temporary = out = tempfile.mkdtemp(prefix="recurra-")
            weakref.finalize(self, shutil.rmtree, out, ignore_errors=True)
            overwrite = True
        check_trainable(self.config, panel)
        record = self._record(panel, data, static)
        run = (
            self._continued(out, record) if resume else Run.create(out, record, overwrite=overwrite)
        )
        # Not before what would be refused is refused.
        warn([*series_warnings(panel, self.config.horizon), *interval_warnings(self.config, panel)])
        self._train(panel, run, resume, _shown(progress))
        return self

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
            seed: of what the autoregressive model samples.

        Returns the columns id, time, `recurra`, and `recurra-lo-80`, `recurra-hi-80`, ... for each
        interval.
        """
        kept = self._data(data, static)
        steps = self._steps(horizon)
        found = self._ahead(kept, future, 0, seed)
        columns = forecast_columns(found, self.config.levels, self.config.widths, steps)
        return self._answer(kept, steps, columns)

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
        """Sample paths of what comes: id, time, `sample_id` from 0 on, `recurra`."""
        if paths < 1:
            raise ConfigError(f"paths = {paths}; draw at least 1.")
        kept = self._data(data, static)
        steps = self._steps(horizon)
        drawn = self._ahead(kept, future, paths, seed).paths
        assert drawn is not None
        columns = {
            "sample_id": np.tile(np.arange(paths), len(kept.panel) * steps),
            MODEL_NAME: drawn[:, :, :steps].transpose(0, 2, 1).ravel(),
        }
        return self._answer(kept, steps, columns, paths)

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
        """A picture of what `predict` gives: history, forecast and intervals of the series named,
        or of some spread over all; ConfigError where one isn't there.
        """
        kept, model = self._data(data, static), self._ready()
        steps, ahead = self._steps(horizon), model.future_features(kept, future)
        return forecast_figure(model, kept, ahead, steps=steps, series=series, seed=seed)

    def evaluate(
        self,
        data: Any = None,
        *,
        windows: int = 1,
        step: int | None = None,
        static: Any = None,
        baselines: bool = True,
        adapt: int = 0,
        seed: int = 0,
    ) -> Backtest:
        """Judge forecasts of the last `windows` origins of each series, `step` apart, a horizon if
        left out: without training, and beside the baselines unless they are not wanted.

        With `adapt` the quantiles follow the truths of earlier windows, of all series, as far as
        they are known by then: an error counts half after so many steps, 500 say.

        Of the training data the last `holdback` steps were not trained on (without `final_steps`),
        though the weights were chosen and the intervals calibrated on them: `backtest` is the
        stricter test.
        """
        _check_count("windows", windows)
        if adapt < 0 or adapt != int(adapt):
            raise ConfigError(
                f"adapt = {adapt}; it must be the steps after which an error counts half, 500 say, "
                "or 0: quantiles stay as they were calibrated."
            )
        kept = self._whole(data, static, "evaluate on")
        horizon = self.config.horizon
        origins = rolling_origins(kept.panel.lengths, horizon, windows, step or horizon)
        warn(short_series_warnings(windows, origins, len(kept.panel)))
        return judge_origins(
            self._ready(), kept, origins, baselines=baselines, adapt=adapt, seed=seed
        )

    def backtest(
        self,
        data: Any,
        *,
        windows: int = 5,
        step: int | None = None,
        refit: bool = False,
        static: Any = None,
        progress: Progress | bool = False,
    ) -> Backtest:
        """Judge a new forecaster with these settings on `windows` rolling origins, a horizon apart
        if `step` is left out: trained only on what came before the first of each series, or with
        `refit` anew for each round of origins, the last of every series in the last round.

        Covariates too are encoded by what came before: one that has a text which wasn't there in
        training is refused, as by `predict`. A series without an origin in a round is trained on as
        far as it is not later than what the earliest of the round's origins knows.
        """
        _check_count("windows", windows)
        opened = open_panel(data, columns_of(self.config), static=static)
        step = step or self.config.horizon
        origins = rolling_origins(opened.lengths, self.config.horizon, windows, step)
        warn(short_series_warnings(windows, origins, len(opened.lengths)))
        return run_backtest(self.config, opened, origins, refit, _shown(progress))

    def anomalies(
        self, data: Any = None, *, last: int | None = None, static: Any = None, seed: int = 0
    ) -> DataFrame:
        """How surprising each of the last observations of each series was (all, left out).

        Columns: id, time, the target, `recurra` and its intervals as they were forecast one step
        before, and `score`: how far from the median on a normal scale; 3 and more is rare. Where
        the table ends, covariates known ahead are taken to stay as they were last.
        """
        if last is not None:
            _check_count("last", last)
        kept = self._whole(data, static, "look at")
        most = int(kept.panel.lengths.max(initial=1))
        found = anomaly_columns(self._ready(), kept, last or most, seed=seed)
        return make_frame(found, kept.panel.frame_kind)

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
        return Stream(self._ready(), self._data(data, static), future, seed)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Forecaster:
        """The forecaster of a run.

        Raises RunError where the run is missing, damaged, of another task or not trained to its
        end.
        """
        run = Run.open(path)
        if run.config.get("task") != TASK:
            raise RunError(f"{run.path} is a run of task {run.config.get('task')!r}, not {TASK!r}.")
        if "model" not in run.config:
            raise RunError(f"{run.path} is not trained to its end; go on with --resume.")
        model = cls(**run.config["settings"])
        model.run = run
        model._model = Model.from_parts(model.config, run.load_model(), run.config["model"])
        return model

    def _train(self, panel: Panel, run: Run, resume: bool, progress: Progress | None) -> None:
        model, before, self.results = fit_model(
            self.config, panel, run, resume=resume, progress=progress
        )
        self.run, self._model = run, model
        if model is None or before is None:
            return
        self._panel = PlacedPanel(panel, np.zeros(len(panel), np.int64))
        tensors, told = model.to_parts()
        run.save_model(tensors)
        results = [ended(result) for result in self.results]
        run.save_config({**run.config, "model": told, "results": results})
        if not (self._temporary and run.path == Path(self._temporary)):
            self.held_back = describe(run, before, panel, self.results)

    def _data(self, data: Any, static: Any) -> PlacedPanel:
        """The series to forecast: those of training, or new ones."""
        model = self._ready()
        if data is None:
            return self._panel or model.history
        schema = model.history.panel.schema
        panel = read_panel(data, columns_of(self.config), schema=schema, static=static)
        warn([*series_warnings(panel, self.config.horizon), *model.new_series_warnings(panel)])
        return model.place(panel)

    def _whole(self, data: Any, static: Any, purpose: str) -> PlacedPanel:
        """As `_data`, but a run's own series, of which it keeps the end alone, are refused."""
        if data is None and self._model is not None and self._panel is None:
            raise ConfigError(
                f"A run keeps only the end of its series; give the table to {purpose}."
            )
        return self._data(data, static)

    def _ahead(self, kept: PlacedPanel, future: Any, paths: int, seed: int) -> Any:
        model = self._ready()
        cutter = model.cutter(kept, model.future_features(kept, future))
        everywhere = Origins(np.arange(len(kept.panel)), kept.panel.lengths)
        return model.forecast(cutter, everywhere, paths=paths, seed=seed)

    def _answer(
        self, kept: PlacedPanel, steps: int, columns: dict[str, Any], repeat: int = 1
    ) -> DataFrame:
        panel = kept.panel
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

    def _ready(self) -> Model:
        if self._model is None:
            raise RunError("The model is not trained yet; call fit, or Forecaster.load(run).")
        return self._model

    def _record(self, panel: Panel, data: Any, static: Any) -> dict[str, Any]:
        return {
            "task": TASK,
            "recurra": __version__,
            "settings": dataclasses.asdict(self.config),
            "data": _source(data),
            "static data": _source(static),
            "schema": panel.schema.to_json(),
            "series": len(panel),
            "values": len(panel.y),
            "values digest": digest(panel.y.tobytes()),
        }

    def _continued(self, out: str | os.PathLike[str], record: dict[str, Any]) -> Run:
        run = Run.open(out)
        known = run.config.get("settings", {})
        longer = {name: record["settings"][name] for name in EXTENDABLE}
        if {**known, **longer} != record["settings"]:
            raise ConfigError(
                f"{run.path} was begun with other settings; a run goes on with those it has, but "
                f"for {', '.join(EXTENDABLE)}: give the same, or another --out."
            )
        if run.config.get("values digest") != record["values digest"]:
            raise RunError(
                f"{run.path} was begun with other data; give the same, or another --out."
            )
        run.save_config({**run.config, "settings": record["settings"]})
        return run


def _check_count(name: str, value: int) -> None:
    if value < 1:
        raise ConfigError(f"{name} = {value}; it must be 1 or more.")


def _source(data: Any) -> str | None:
    """The path of the table, None for a frame."""
    return str(Path(data).resolve()) if isinstance(data, str | os.PathLike) else None


def _shown(progress: Progress | bool) -> Progress | None:
    if isinstance(progress, bool):
        return RichProgress(unit="values") if progress else None
    return progress
