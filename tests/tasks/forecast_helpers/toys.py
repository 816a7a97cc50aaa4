"""Small tables and forecasters that the tests of forecasting share."""

import contextlib

import numpy as np
import pandas
import pytest

from recurra import Forecaster
from recurra.data.series.read import read_panel
from recurra.tasks import estimator
from recurra.tasks.forecast.config import MODELS, ForecastConfig
from recurra.tasks.forecast.store import PlacedPanel
from recurra.tasks.forecast.windows.splits import columns_of
from recurra.tasks.forecast.windows.traits import WindowTraits

MODELS = tuple(MODELS)
SEASON, HORIZON = 6, 4

TINY = {"horizon": HORIZON, "freq": "h", "season": SEASON, "lookback": 18, "hidden": 8}
TINY |= {"batch_size": 4, "max_steps": 3, "validate_every": 2, "embedding": 3}


def few_samples(model, count=12):
    """So many samples, for the one model that draws any."""
    return {"samples": count} if model == "autoregressive" else {}


def small(settings):
    return {**TINY, "model": "segments", **few_samples(settings.get("model")), **settings}


def config(**settings):
    return ForecastConfig(**small(settings))


def tiny(**settings):
    return Forecaster(**small(settings))


def one(name, values, start="2024-01-01"):
    stamps = pandas.date_range(start, periods=len(values), freq="h")
    return pandas.DataFrame({"unique_id": name, "ds": stamps, "y": np.asarray(values, float)})


def wave(steps, seed=0, noise=0.1):
    """A sine of season 6 about a level of its own, with noise."""
    random = np.random.default_rng(seed)
    season = np.sin(2 * np.pi * np.arange(steps) / SEASON)
    return 10 + 5 * seed + season + noise * random.normal(size=steps)


def table(lengths=(60, 50, 40), gaps=True):
    """Series a, b, ... that begin at different times, with missing values."""
    made = []
    for seed, steps in enumerate(lengths):
        values = wave(steps, seed)
        if gaps:
            values[np.random.default_rng(seed).random(steps) < 0.15] = np.nan
            values[-1] = 10.0 + seed
        made.append(one("abcdefgh"[seed], values, f"2024-01-0{1 + seed}"))
    return pandas.concat(made, ignore_index=True)


def with_covariates(frame, seed=7):
    """The table with covariates `wind` (past), `price` (future), `kind` and `size` (static)."""
    random = np.random.default_rng(seed)
    series = frame.unique_id.map(ord) - ord("a")
    return frame.assign(
        wind=random.normal(size=len(frame)),
        price=random.normal(size=len(frame)),
        kind=series.map(lambda n: ("shop", "web")[n % 2]),
        size=series.astype(float),
    )


def covariates_of(model):
    """The settings that read these columns, as far as the model can."""
    past = {} if model == "autoregressive" else {"past": "wind"}
    return {**past, "future": "price", "static": "kind,size"}


def ahead_of(frame, steps=HORIZON, seed=8):
    """The table of `price` for the steps after each series."""
    random = np.random.default_rng(seed)
    ends = frame.groupby("unique_id", sort=False).ds.max()
    parts = [
        one(name, np.zeros(steps), end + pandas.Timedelta("1h")).drop(columns="y")
        for name, end in ends.items()
    ]
    found = pandas.concat(parts, ignore_index=True)
    return found.assign(price=random.normal(size=len(found)))


def panel_of(frame, **settings):
    return read_panel(frame, columns_of(config(**settings)))


def placed_of(forecaster):
    """The series that a forecaster was trained on, as its model takes them."""
    panel = forecaster._own_data().panel
    return PlacedPanel(panel, np.zeros(len(panel), np.int64))


def numbers(frame):
    """The columns of forecasts alone."""
    return frame[[name for name in frame.columns if name.startswith("recurra")]].to_numpy()


def window_traits(count, **changed):
    """Regular windows, of each of which an error of 1 is expected, or as changed."""
    usual = {"error": 1.0, "width": 1.0, "gap": 0, "seen": 1.0, "begun": 1.0, "repeats": 0.0}
    usual |= {"lowest": -1.0, "highest": 1.0, "whole": False, "intermittent": False}
    return WindowTraits(**{n: np.broadcast_to(v, count) for n, v in (usual | changed).items()})


@contextlib.contextmanager
def no_compiling():
    """Layers run by the interpreter, and runs without a page: both are tested elsewhere, and take
    longer than these networks.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECURRA_ENGINE", "interp")
        patch.setattr(estimator, "describe", lambda *given: None)
        yield
