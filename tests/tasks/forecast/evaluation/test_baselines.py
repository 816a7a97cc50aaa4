"""The baselines: by hand, on awkward histories, and against M4's submitted forecasts."""

import doctest
import math

import numpy as np
import pytest
from forecast_helpers import m4_hourly

from recurra.errors import ConfigError
from recurra.tasks.forecast.evaluation import baselines
from recurra.tasks.forecast.evaluation.baselines import (
    BASELINES,
    MEANINGS,
    baseline_quantiles,
)
from recurra.tasks.forecast.evaluation.seasonality import adjusted, is_seasonal
from recurra.tasks.forecast.statistics.methods import METHODS
from recurra.tasks.forecast.statistics.simple_smoothing import fit_smoothing

NAN = math.nan
ABOVE = 0.8413447460685429  # the level one standard deviation above the median
FACTORS = np.array([0.5, 1.0, 2.0, 0.5])


def series(*values):
    return np.array(values, dtype=np.float64)


def spikes(n, season):
    return 10.0 + (np.arange(n) % season == 0)


def forecast(name, history, season=4, horizon=5):
    return BASELINES[name](history, season, horizon)


def smoothing_error(values, constant):
    """The least sum of squared errors, and the last level, by the textbook's recurrence."""

    def run(first):
        level, errors = first, []
        for value in values:
            errors.append(value - level)
            level += constant * errors[-1]
        return np.array(errors), level

    (zero, end), (one, end_of_one) = run(0.0), run(1.0)
    effect = one - zero
    first = -(zero @ effect) / (effect @ effect)
    return ((zero + first * effect) ** 2).sum(), end + first * (end_of_one - end)


def test_they_are_named_and_explained_in_order():
    assert list(BASELINES) == ["Naive", "SeasonalNaive", "Naive2", "SES", *METHODS]
    assert list(MEANINGS) == list(BASELINES)


def test_naive_repeats_the_last_known_value():
    assert forecast("Naive", series(3, 1, 4)).tolist() == [4] * 5
    assert forecast("Naive", series(3, 1, NAN, NAN)).tolist() == [1] * 5


def test_seasonal_naive_repeats_the_last_season():
    assert forecast("SeasonalNaive", np.arange(10.0)).tolist() == [6, 7, 8, 9, 6]


def test_seasonal_naive_goes_back_further_where_a_value_is_missing():
    history = series(1, 2, 3, 4, 5, NAN, NAN, 8, NAN)
    assert forecast("SeasonalNaive", history).tolist() == [2, 3, 8, 5, 2]


def test_a_phase_that_was_never_seen_gets_the_last_value():
    history = series(1, NAN, 3, 4, 5, NAN, 7, 8)
    assert forecast("SeasonalNaive", history).tolist() == [5, 8, 7, 8, 5]


@pytest.mark.parametrize("name", ["SeasonalNaive", "Naive2"])
def test_a_history_shorter_than_a_season_is_not_seasonal(name):
    assert forecast(name, series(3, 1, 4)).tolist() == [4] * 5


def test_the_test_of_seasonality():
    noise = np.random.default_rng(0).normal(size=200)
    assert is_seasonal(spikes(72, 24), 24)
    assert not is_seasonal(spikes(71, 24), 24)
    assert not is_seasonal(noise, 24)
    assert not is_seasonal(np.ones(100), 24)
    assert not is_seasonal(spikes(72, 24), 1)


def test_the_bound_of_the_test_grows_with_the_correlations_before_the_season():
    pattern = np.array([2.0, -1.0, -1.0])
    # Three times: -7/18, -8/18 and 12/18, below 1.645 sqrt((1 + 2 (49 + 64) / 324) / 9) = 0.714.
    assert not is_seasonal(np.tile(pattern, 3), 3)
    # Four times: -10/24, -11/24 and 18/24, above 0.631; with the last in the sum it were 0.808.
    assert is_seasonal(np.tile(pattern, 4), 3)


def test_naive2_multiplies_by_the_season():
    history = 8 * np.tile(FACTORS, 5)[:-1]
    assert forecast("Naive2", history, horizon=6) == pytest.approx([4, 4, 8, 16, 4, 4])


def test_naive2_adds_the_season_where_values_are_not_positive():
    history = np.tile(FACTORS, 5)[:-1] - 1
    assert forecast("Naive2", history) == pytest.approx([-0.5, -0.5, 0, 1, -0.5], abs=1e-12)


@pytest.mark.parametrize("name", ["Naive2", "SES"])
def test_missing_values_keep_their_place_in_the_season(name):
    history = 8 * np.tile(FACTORS, 12)
    history[[7, 18, 46, 47]] = NAN
    assert forecast(name, history) == pytest.approx([4, 8, 16, 4, 4], rel=0.15)


def test_decomposition_takes_the_season_off_a_trend():
    trend = 20 + np.arange(41.0)
    history = trend * np.tile(FACTORS, 11)[:41]
    assert adjusted(history, 4).values == pytest.approx(trend, rel=0.02)


def test_smoothing_finds_the_least_error():
    values = np.random.default_rng(3).normal(size=60).cumsum() + np.sin(np.arange(60) * 2)
    fit = fit_smoothing(values)
    grid = [smoothing_error(values, constant)[0] for constant in np.linspace(1e-4, 0.9999, 300)]
    error, level = smoothing_error(values, fit.constant)
    assert error <= min(grid)
    assert fit.level == pytest.approx(level)
    assert fit.deviation == pytest.approx(math.sqrt(error / 58))


def test_smoothing_of_a_level_with_noise_and_of_a_walk():
    draws = np.random.default_rng(0).normal(size=400)
    assert fit_smoothing(100 + draws).constant < 0.1
    assert fit_smoothing(draws.cumsum()).constant > 0.9


def test_smoothing_passes_over_gaps():
    values = np.random.default_rng(2).normal(size=30)
    gaps = np.insert(values, [4, 9, 30], NAN)
    assert forecast("SES", gaps, 1).tolist() == forecast("SES", values, 1).tolist()


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("value", [0.0, -2.5, 1e6])
def test_a_constant_history_is_continued(name, value):
    for length in (1, 2, 4, 30):
        history = np.full(length, value)
        assert forecast(name, history) == pytest.approx(np.full(5, value))
        assert baseline_quantiles(history, name, 4, 5, (0.1, 0.9)) == pytest.approx(value)


@pytest.mark.parametrize("name", BASELINES)
def test_without_a_known_value_there_is_no_forecast(name):
    for history in (series(), series(NAN, NAN), np.full(20, NAN)):
        assert np.isnan(forecast(name, history)).all()
        assert np.isnan(baseline_quantiles(history, name, 4, 5, (0.5,))).all()


@pytest.mark.parametrize("name", BASELINES)
def test_the_median_is_the_forecast_and_the_spread_never_shrinks(name):
    history = spikes(40, 4) + np.random.default_rng(0).normal(size=40)
    found = baseline_quantiles(history, name, 4, 8, (0.05, 0.5, 0.95))
    assert found[:, 1].tolist() == forecast(name, history, horizon=8).tolist()
    width = found[:, 2] - found[:, 0]
    assert (width > 0).all()
    assert (width[4:] >= width[:4]).all()


def test_the_spread_of_naive_is_that_of_a_walk():
    above = baseline_quantiles(series(1, 3, 2, 4), "Naive", 1, 4, (ABOVE,))[:, 0] - 4
    assert above == pytest.approx(math.sqrt(3) * np.sqrt([1, 2, 3, 4]))


def test_the_spread_of_naive_counts_gaps_as_steps():
    history = series(1, NAN, 3, NAN, NAN)  # one change of 2 in two steps, then two steps unknown
    above = baseline_quantiles(history, "Naive", 1, 2, (ABOVE,))[:, 0] - 3
    assert above == pytest.approx(math.sqrt(2) * np.sqrt([3, 4]))


def test_the_spread_of_seasonal_naive_grows_with_the_seasons():
    found = baseline_quantiles(series(0, 5, 2, 5, 2, 7), "SeasonalNaive", 2, 5, (ABOVE,))
    assert found[:, 0] - [2, 7, 2, 7, 2] == pytest.approx(np.sqrt([1, 1, 2, 2, 3]) * math.sqrt(2))


def test_the_spread_of_naive2_follows_the_season():
    history = 8 * np.tile(FACTORS, 6) * np.exp(np.random.default_rng(0).normal(size=24) / 50)
    width = np.diff(baseline_quantiles(history, "Naive2", 4, 4, (0.1, 0.9)))[:, 0]
    assert width / np.sqrt([1, 2, 3, 4]) / width[0] == pytest.approx(FACTORS / 0.5, rel=0.05)


def test_the_spread_of_smoothing_grows_with_its_constant_and_follows_the_season():
    walk = np.random.default_rng(4).normal(size=36).cumsum() / 9
    history = 8 * np.tile(FACTORS, 9) * np.exp(walk)
    without = adjusted(history, 4)
    fit = fit_smoothing(without.values)
    above = baseline_quantiles(history, "SES", 4, 4, (ABOVE,))[:, 0] - forecast("SES", history)[:4]
    index = without.size(np.arange(4))
    assert index.mean() == pytest.approx(1)
    growth = np.sqrt([1 + h * fit.constant**2 for h in range(4)])
    assert 0.1 < fit.constant < 0.9
    assert above == pytest.approx(fit.deviation * index * growth)


def test_the_spread_of_a_walk_holds_what_it_says():
    walks = np.random.default_rng(1).normal(size=(1500, 60)).cumsum(1)
    found = [baseline_quantiles(walk[:50], "Naive", 1, 10, (0.1, 0.9)) for walk in walks]
    inside = [(q[:, 0] < w[50:]) & (w[50:] < q[:, 1]) for q, w in zip(found, walks, strict=True)]
    assert np.mean(inside) == pytest.approx(0.8, abs=0.02)


def test_unknown_baselines_and_levels_are_refused():
    with pytest.raises(ConfigError, match="'ARIMA' is not a baseline; choose from Naive, Seas"):
        baseline_quantiles(np.ones(3), "ARIMA", 1, 2, (0.5,))
    with pytest.raises(ConfigError, match="between 0 and 1"):
        baseline_quantiles(np.ones(3), "Naive", 1, 2, (0.5, 1.0))


def test_examples():
    found = doctest.testmod(baselines, extraglobs={"np": np})
    assert found.attempted
    assert not found.failed


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "submitted", "near"),
    [("Naive2", "naive2", 1e-8), ("SeasonalNaive", "snaive", 1e-12), ("SES", "ses", 5e-4)],
)
def test_they_are_those_that_m4_submitted(real_data, name, submitted, near):
    theirs = np.stack(m4_hourly.read(real_data, f"hourly_forecast_{submitted}.csv"))
    ours = np.stack(
        [forecast(name, y, 24, 48) for y in m4_hourly.read(real_data, "hourly_train.csv")]
    )
    assert len(ours) == 414
    assert np.abs(ours - theirs).max(1) / np.abs(theirs).max(1) == pytest.approx(0, abs=near)
