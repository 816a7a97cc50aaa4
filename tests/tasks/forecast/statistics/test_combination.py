"""Weighted means of a network's forecasts and statistical ones."""

import dataclasses

import numpy as np
import pandas
import pytest
from forecast_helpers.toys import (
    TINY,
    no_compiling,
    numbers,
    one,
    panel_of,
    placed_of,
    table,
    wave,
)

from recurra import Forecaster
from recurra.errors import ConfigError
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.nets.inference import scaled_forecasts
from recurra.tasks.forecast.statistics.combination import (
    Combination,
    HeldOutWindows,
    MemberForecasts,
    member_weights,
)
from recurra.tasks.forecast.statistics.methods import METHODS
from recurra.tasks.forecast.windows.splits import Origins

MEMBERS = "SeasonalNaiveDrift,ETS"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    with no_compiling():
        out = tmp_path_factory.mktemp("runs") / "combined"
        model = Forecaster(**TINY, model="direct", members=MEMBERS)
        yield model.fit(table(), out=out), out


def windows_of(forecasts, actual, intermittent=None):
    count = len(actual)
    sparse = np.zeros(count, bool) if intermittent is None else intermittent
    return HeldOutWindows(forecasts, actual, np.ones(count), sparse, lambda values: values)


def test_weights_find_the_better_half_and_the_mean_of_errors_that_cancel():
    random = np.random.default_rng(0)
    actual, members = random.normal(size=(200, 5)), MemberForecasts(("Theta", "ETS"), 1, 5)
    error = random.normal(size=(200, 5))
    forecasts = np.stack([actual + 30, actual + error, actual - error], -1)
    found = member_weights(members, windows_of(forecasts, actual), 10**9)
    assert found.regular == pytest.approx([0, 0.5, 0.5], abs=1e-6)
    assert found.intermittent is found.regular
    shrunk = member_weights(members, windows_of(forecasts, actual), 10).regular
    assert shrunk.sum() == pytest.approx(1)
    assert 0 < shrunk[0] < 0.01


def test_series_that_were_not_held_out_draw_the_weights_to_the_members():
    frame = pandas.concat([one("a", wave(40)), one("b", wave(9, 1)), one("c", wave(9, 2))])
    with no_compiling():
        found = Forecaster(**TINY, model="direct", members=MEMBERS).fit(frame)._product.combination
    assert found.regular[0] <= 1 / 3
    assert found.regular.sum() == pytest.approx(1)


def test_intermittent_series_are_weighed_by_squares():
    actual = np.tile([0.0, 0, 0, 4], (40, 1))
    forecasts = np.stack([np.zeros((40, 4)), np.ones((40, 4))], -1)
    members = MemberForecasts(("ADIDA",), 1, 4)
    sparse = np.arange(40) < 20
    found = member_weights(members, windows_of(forecasts, actual, sparse), 10**9)
    assert found.regular == pytest.approx([1, 0], abs=1e-6)
    assert found.intermittent == pytest.approx([0, 1], abs=1e-6)


def test_members_read_the_history_before_the_origin_alone():
    panel = panel_of(table(gaps=False))
    members = MemberForecasts(("Theta", "ETS"), 6, 4)
    found = members(panel, np.array([1, 0]), np.array([30, 41]))
    expected = METHODS["ETS"]([panel.values(1)[:30]], 6, 4).point[0]
    assert found[0, :, 1] == pytest.approx(expected)
    later = dataclasses.replace(panel, y=np.where(np.arange(len(panel.y)) > 41, 1e6, panel.y))
    again = members(later, np.array([0]), np.array([41]))
    assert again[0] == pytest.approx(found[1])


def test_forecasts_of_positive_series_stay_positive():
    falling = np.linspace(100.0, 2.0, 30)
    panel = panel_of(one("a", falling))
    found = MemberForecasts(("Theta", "SeasonalNaiveDrift"), 1, 8)
    assert found(panel, np.array([0]), np.array([30])).min() == 0.5


def test_a_run_forecasts_the_same_after_loading(trained):
    model, out = trained
    again = Forecaster.load(out)
    assert numbers(again.predict()) == pytest.approx(numbers(model.predict()))
    combination = again._product.combination
    assert combination.to_json() == model._product.combination.to_json()
    assert sum(combination.regular) == pytest.approx(1)


def test_the_centre_is_the_weighted_mean(trained):
    product = trained[0]._product
    members, weights = product.combination.members, np.array([0.0, 0.25, 0.75])
    alone = dataclasses.replace(product, combination=Combination(members, weights, weights))
    placed = placed_of(trained[0])
    origins = Origins(np.arange(3), placed.panel.lengths)
    found = scaled_forecasts(product.nets, alone.cutter(placed), origins)
    middle = found.to_data(found.quantiles[..., 2], "none")
    for number, row in enumerate(middle):
        history = [placed.panel.values(number)]
        drift, ets = (METHODS[name](history, 6, 4).point[0] for name in MEMBERS.split(","))
        assert row == pytest.approx(0.25 * drift + 0.75 * ets, rel=1e-6)


def test_paths_move_with_the_forecasts():
    with no_compiling():
        model = Forecaster(**TINY, model="autoregressive", samples=40, members=MEMBERS)
        model.fit(one("a", 1000 + wave(60)))
        paths = model.sample(paths=30).groupby("ds").recurra.median().to_numpy()
    assert paths == pytest.approx(model.predict().recurra.to_numpy(), abs=3)


def test_a_long_series_is_judged_on_few_windows():
    with no_compiling():
        model = Forecaster(**{**TINY, "holdback": 700}, model="direct", members="LagRegression")
        model.fit(one("a", wave(1500)))
        assert model._product.combination.regular[1] > 0.5


def test_unknown_members_are_refused():
    with pytest.raises(ConfigError, match="'ARIMA' is not a statistical method; choose from Sea"):
        ForecastConfig(horizon=3, members="ETS,ARIMA")
