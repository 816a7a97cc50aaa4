"""The choice of a model by the data: what is tried, what wins, and that it can be repeated."""

import dataclasses
import json

import numpy as np
import pandas
import pytest
from forecast_helpers.toys import no_compiling, numbers, one, panel_of, table, wave

from recurra import Forecaster
from recurra.errors import ConfigError
from recurra.settings import Launched
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.selection import successive_halving as search
from recurra.tasks.forecast.selection.candidates import (
    candidates_of,
    common_settings,
    default_seconds,
)
from recurra.tasks.forecast.selection.model_choice import ModelChoice

AUTO = {"horizon": 4, "freq": "h", "season": 6, "hidden": 4, "batch_size": 4, "max_steps": 2}


@pytest.fixture(scope="module")
def chosen(tmp_path_factory):
    with no_compiling():
        out = tmp_path_factory.mktemp("runs") / "auto"
        model = Forecaster(**AUTO, budget="1s")
        yield model.fit(table(), out=out), out


def config(**settings):
    return ForecastConfig(**{**AUTO, **settings})


def models_of(panel, given=(), **settings):
    return [tried["model"] for tried in candidates_of(config(**settings), panel, given)]


def test_a_choice_trains_one_of_the_candidates_and_says_which(chosen):
    model, _ = chosen
    assert model.choice is not None
    assert model.config.model == model.choice.settings["model"] != "auto"
    assert model.config.max_steps == 2  # it was given
    assert sum(trial.best for trial in model.choice.trials) == 1
    best = min(trial.combined for trial in model.choice.trials[-2:])
    assert next(t.combined for t in model.choice.trials if t.best) == best
    text, again = model.choice.sentences()
    assert f"{model.choice.windows:,} held-out windows" in text
    assert f"--model {model.config.model}" in again


def test_the_options_that_it_prints_train_the_same(chosen):
    model, _ = chosen
    with no_compiling():
        again = Forecaster(**{**AUTO, **model.choice.settings}).fit(table())
    np.testing.assert_array_equal(numbers(again.predict()), numbers(model.predict()))


def test_a_run_keeps_the_choice(chosen):
    model, out = chosen
    loaded = Forecaster.load(out)
    assert loaded.choice == model.choice
    record = json.loads((out / "config.json").read_text())
    assert record["settings"]["model"] == model.config.model
    np.testing.assert_array_equal(numbers(loaded.predict()), numbers(model.predict()))


def test_another_training_chooses_again(chosen):
    model, _ = chosen
    assert model.get_params()["model"] == "auto"
    assert model.get_params()["budget"] == "1s"
    assert model._asked() == ForecastConfig(**AUTO, budget="1s")


@pytest.mark.parametrize("is_loaded", [False, True])
def test_a_backtest_chooses_on_what_came_before(chosen, monkeypatch, is_loaded):
    lengths = []
    choose = search.choose_settings

    def noted(given, panel, *others):
        lengths.append(panel.lengths.tolist())
        return choose(given, panel, *others)

    monkeypatch.setattr("recurra.tasks.forecast.task.choose_settings", noted)
    with no_compiling():
        model = Forecaster.load(chosen[1]) if is_loaded else chosen[0]
        model.backtest(table(), windows=1)
    assert lengths == [[56, 46, 36]]


def test_what_is_given_is_not_changed():
    panel = panel_of(table(gaps=False))
    for tried in candidates_of(config(scaling="mean", loss="mse"), panel, ("scaling", "loss")):
        assert "loss" not in tried
        assert "scaling" not in tried
    assert "members" not in common_settings(config(members="ETS"), panel, ("members",))


def test_candidates_follow_the_data():
    positive = panel_of(table(gaps=False))
    assert all(
        tried.get("transform") == "log" for tried in candidates_of(config(), positive, ())[:2]
    )
    mixed = dataclasses.replace(positive, y=positive.y - 12)
    assert all("transform" not in tried for tried in candidates_of(config(), mixed, ()))
    assert "smoothing" in models_of(positive)
    assert "smoothing" not in models_of(positive, season=1)
    sparse = dataclasses.replace(positive, y=(np.arange(len(positive.y)) % 3 == 0) * 2.0)
    assert "autoregressive" in models_of(sparse)
    assert "ADIDA" in common_settings(config(), sparse, ())["members"]
    assert "ADIDA" not in common_settings(config(), positive, ())["members"]
    long = panel_of(one("a", wave(400)))
    assert "LagRegression" in common_settings(config(), long, ())["members"]


def test_a_series_too_short_to_compare_gets_the_mean_of_the_methods():
    frame = one("a", [3.0, 5, 4, 6, 5, 7, 6, 8])
    with no_compiling():
        model = Forecaster(**AUTO, budget="1s").fit(frame)
    assert model.choice.windows == 0
    assert "No series is long enough" in model.choice.sentences()[0]
    assert model._product.combination.regular[0] == 0
    assert numbers(model.predict())[:, 0] == pytest.approx([7.5] * 4, abs=3)


def test_methods_that_take_too_long_are_left_out():
    panel = panel_of(pandas.concat([one(f"s{n}", wave(60, n)) for n in range(9)]))
    common = {"members": "SeasonalNaiveDrift,ETS"}
    few = search._affordable(config(), panel, common, 1e-4)
    assert few["members"] == "SeasonalNaiveDrift"
    assert search._affordable(config(), panel, common, 1e4) == common


def test_the_budget_is_by_the_size_of_the_data_and_has_a_unit():
    assert default_seconds(panel_of(one("a", wave(50)))) == pytest.approx(30, abs=0.1)
    texts = {"90s": 90, "2m": 120, "1.5 h": 5400, "": 0}
    assert {text: config(budget=text).budget_seconds for text in texts} == texts
    for text in ("2", "soon", "0s", "-1m"):
        with pytest.raises(ConfigError, match="a time with its unit"):
            config(budget=text)
    with pytest.raises(ConfigError, match="a budget is for choosing"):
        config(budget="2m", model="direct")


def test_several_processes_are_refused(monkeypatch):
    monkeypatch.setattr(search, "launched", lambda: Launched(0, 2, 0))
    with pytest.raises(ConfigError, match="each would choose by itself"):
        search.choose_settings(config(), panel_of(table()), (), None, print)


def test_a_choice_survives_json(chosen):
    choice = chosen[0].choice
    assert ModelChoice.from_json(json.loads(json.dumps(choice.to_json()))) == choice
