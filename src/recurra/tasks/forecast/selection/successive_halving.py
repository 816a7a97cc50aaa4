"""A search among candidates by successive halving, judged on held-out windows of all series.

Jamieson & Talwalkar 2016, "Non-stochastic best arm identification and hyperparameter optimization".
"""

import dataclasses
import math
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from recurra.data.series.panel import Panel
from recurra.errors import ConfigError
from recurra.settings import launched
from recurra.tasks.estimator import Estimator
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.data_checks import ForecastWarning
from recurra.tasks.forecast.model import Model
from recurra.tasks.forecast.selection.candidates import (
    candidates_of,
    common_settings,
    default_seconds,
)
from recurra.tasks.forecast.selection.model_choice import CandidateTrial, ModelChoice
from recurra.tasks.forecast.statistics.combination import NETWORK
from recurra.tasks.forecast.statistics.histories import Vector
from recurra.tasks.forecast.statistics.methods import METHODS
from recurra.tasks.forecast.windows.splits import season_of

__all__ = ["choose_settings"]

_SEARCHED, _TRAINED, _AFTER = 0.4, 0.36, 0.12
"""Shares of the budget: for the trials, the training, and its final steps on all of the data. The
rest is for what no step counts: reading, fitting methods, judging."""
_FEWEST, _MOST = 50, 4000
"""Steps of the training after a search; not tuned."""
_METHODS = 0.3
"""The share of the budget that fitting a statistical method to every series may take."""
_SAMPLE = 60
"""Series on which the time of a method is measured."""
_COMPILING = 10
"""With fewer steps a trial spent its time on compiling its cell, and is made once more."""

Maker = Callable[[ForecastConfig], Estimator[Any, Any]]


def choose_settings(
    config: ForecastConfig,
    panel: Panel,
    given: Iterable[str],
    make: Maker,
    say: Callable[[str], None],
) -> ModelChoice:
    """Settings for a panel, of those that were not given; `make` makes an untrained forecaster.

    Raises ConfigError where several processes train together: each would choose by itself.
    """
    if launched().world_size > 1:
        raise ConfigError(
            "model = 'auto' was given to several processes, and each would choose by itself; run "
            "one process first, and give the settings that it prints to all."
        )
    seconds, given = config.budget_seconds or default_seconds(panel), tuple(given)
    common = _affordable(config, panel, common_settings(config, panel, given), seconds)
    left = candidates_of(config, panel, given)
    rounds = math.ceil(math.log2(len(left))) if len(left) > 1 else 1
    say(
        f"Choosing among {len(left)} networks and the methods {common.get('members')} in about "
        f"{_in_words(seconds)} (budget); a model given by name skips this."
    )
    trials: list[CandidateTrial] = []
    for _ in range(rounds):
        share = _SEARCHED * seconds / rounds / len(left)
        made = [_tried(config, panel, common, settings, share, make) for settings in left]
        for trial, _ in made:
            say(f"{trial.name}: error {trial.error:.3f} after {trial.steps:,} steps")
        trials += [trial for trial, _ in made]
        order = sorted(range(len(made)), key=lambda n: made[n][0].error)
        best, judged = made[order[0]]
        left = [left[n] for n in order[: max(1, len(left) // 2)]]
    number = max(n for n, trial in enumerate(trials) if trial is best)
    trials[number] = dataclasses.replace(best, best=True)
    chosen = {**common, **best.settings, **_length(config, given, best, seconds)}
    asked = {name: getattr(config, name) for name in (*chosen, "budget")}
    return ModelChoice(asked, chosen, tuple(trials), judged.methods, judged.windows, seconds)


@dataclasses.dataclass(frozen=True)
class _Judged:
    methods: dict[str, float]
    windows: int


def _tried(
    config: ForecastConfig,
    panel: Panel,
    common: dict[str, Any],
    settings: dict[str, Any],
    seconds: float,
    make: Maker,
) -> tuple[CandidateTrial, _Judged]:
    """A trial of settings for so many seconds of training, and the methods' errors beside it."""
    short = {**common, **settings, "max_minutes": seconds / 60, "final_steps": 0}
    made = _trained(config.changed(short), panel, make)
    if sum(result.steps for result in made.results) < _COMPILING:
        made = _trained(config.changed(short), panel, make)
    model: Model = made._ready()
    errors, windows = _errors(model)
    steps = sum(result.steps for result in made.results)
    spent = sum(result.seconds for result in made.results)
    own = errors.get(NETWORK)
    mean = None if own is None else errors[""]
    trial = CandidateTrial(settings, steps, spent, own, mean)
    methods = {name: value for name, value in errors.items() if name not in (NETWORK, "")}
    return trial, _Judged(methods, windows)


def _trained(config: ForecastConfig, panel: Panel, make: Maker) -> Estimator[Any, Any]:
    """A forecaster with these settings; KeyboardInterrupt where its training was interrupted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ForecastWarning)  # the training after the search has them
        made = make(config).fit(panel, progress=False)
    if made.results[-1].stopped == "interrupted":
        raise KeyboardInterrupt
    return made


def _errors(model: Model) -> tuple[dict[str, float], int]:
    """The errors on the held-out windows by name, "" for the mean of all, and the windows."""
    combination = model.combination
    assert combination is not None  # candidates have members
    return dict(combination.errors), combination.windows


def _length(
    config: ForecastConfig, given: Iterable[str], best: CandidateTrial, seconds: float
) -> dict[str, int]:
    """The steps that the rest of the budget allows at the speed of the trial."""
    speed = best.steps / max(best.seconds, 1e-9)
    steps = int(np.clip(speed * _TRAINED * seconds, _FEWEST, _MOST))
    if "max_steps" in given:
        steps = config.max_steps or steps
    wanted = {"max_steps": steps, "final_steps": max(steps // 3, 1)}
    return {name: value for name, value in wanted.items() if name not in given}


def _affordable(
    config: ForecastConfig, panel: Panel, common: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """The settings without methods whose fits to all series take too much of the budget."""
    if "members" not in common:
        return common
    season = season_of(config, panel)
    spread = np.unique(np.linspace(0, len(panel) - 1, _SAMPLE).round().astype(int))
    histories, names = [panel.values(n) for n in spread], []
    for name in common["members"].split(","):
        alone, together = (
            _time(name, part, season, config.horizon) for part in (histories[:1], histories)
        )
        each = max(together - alone, 0.0) / max(len(histories) - 1, 1)
        if 2 * (alone + each * len(panel)) <= _METHODS * seconds:
            names.append(name)
    return {**common, "members": ",".join(names) or "SeasonalNaiveDrift"}


def _time(name: str, histories: Sequence[Vector], season: int, horizon: int) -> float:
    """The seconds that a method takes for these histories."""
    began = time.perf_counter()
    METHODS[name](histories, season, horizon)
    return time.perf_counter() - began


def _in_words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
