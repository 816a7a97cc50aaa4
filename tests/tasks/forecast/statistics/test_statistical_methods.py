"""The statistical methods: by their textbook recursions, on made series, and by statsforecast."""

import math

import numpy as np
import pytest

from recurra.tasks.forecast.evaluation.seasonality import adjusted
from recurra.tasks.forecast.statistics.drift import seasonal_naive_drift
from recurra.tasks.forecast.statistics.ets import ets
from recurra.tasks.forecast.statistics.exponential_states import (
    SmoothingForm,
    Start,
    ahead,
    growth,
    run,
)
from recurra.tasks.forecast.statistics.histories import aligned
from recurra.tasks.forecast.statistics.intermittent import adida, croston
from recurra.tasks.forecast.statistics.lag_regression import can_regress, lag_regression
from recurra.tasks.forecast.statistics.methods import METHODS
from recurra.tasks.forecast.statistics.theta import theta

NAN = math.nan
PARAMETERS = (0.3, 0.05, 0.2, 0.9)


def wave(steps, season=4, slope=0.5, noise=0.0, level=50.0):
    random = np.random.default_rng(1)
    phase = np.sin(2 * np.pi * np.arange(steps) / season)
    return level + slope * np.arange(steps) + 8 * phase + noise * random.normal(size=steps)


def by_hand(values, form, parameters, level, trend, season):
    """The component form of the textbook, one value after another; season by phase."""
    alpha, beta, gamma, phi = parameters
    damping = phi if form.trend != "none" else 1.0
    squares, season, m = 0.0, list(season), len(season)
    for t, value in enumerate(values):
        phase = (t - len(values)) % m
        base = level + (damping * trend if form.trend != "none" else 0.0)
        factor = season[phase]
        mean = {"none": base, "additive": base + factor, "relative": base * factor}[form.season]
        error = 0.0 if math.isnan(value) else value - mean
        squares += error**2
        relative = form.season == "relative"
        level = base + alpha * (error / factor if relative else error)
        if form.trend != "none":
            trend = damping * trend + beta * (error / factor if relative else error)
        if form.season != "none":
            season[phase] = factor + gamma * (error / base if relative else error)
    return squares, level, trend, season


@pytest.mark.parametrize("trend", ["none", "damped", "linear"])
@pytest.mark.parametrize("season", ["none", "additive", "relative"])
def test_the_recursions_are_those_of_the_book(trend, season):
    form, values = SmoothingForm(trend, season), wave(23, noise=1.0)
    values[7] = NAN
    first = [1.1, 0.8, 1.2, 0.9] if season == "relative" else [1.0, -2.0, 3.0, -2.0]
    start = Start(np.array([49.0]), np.array([0.4]), np.array(first)[:, None])
    parameters = np.array(PARAMETERS)[:, None, None]
    found = run(aligned([values], 4, 99), form, parameters, start)
    squares, level, slope, factors = by_hand(values, form, PARAMETERS, 49.0, 0.4, first)
    assert found.squares[0, 0] == pytest.approx(squares)
    assert found.level[0, 0] == pytest.approx(level)
    if trend != "none":
        assert found.trend[0, 0] == pytest.approx(slope)
    if season != "none":
        assert found.season[:, 0, 0] == pytest.approx(factors)
    points = ahead(form, found, np.array([0.9]), 6)[0]
    damped = np.cumsum(0.9 ** np.arange(1, 7)) if trend != "none" else np.zeros(6)
    lines, later = level + slope * damped, np.array(factors)[np.arange(6) % 4]
    expected = {"none": lines, "additive": lines + later, "relative": lines * later}[season]
    assert points == pytest.approx(expected)


def test_the_deviation_grows_as_the_book_says():
    alpha, beta, gamma, phi = PARAMETERS
    found = growth(np.array(PARAMETERS)[:, None], 4, 6)[0]
    weights = [
        alpha + beta * sum(phi**i for i in range(1, j + 1)) + gamma * (j % 4 == 0)
        for j in range(1, 6)
    ]
    expected = [math.sqrt(1 + sum(w**2 for w in weights[:h])) for h in range(6)]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("name", METHODS)
def test_histories_are_fitted_alone_whatever_comes_along(name):
    histories = [wave(60, noise=1), wave(9), wave(31, noise=2)[::-1].copy(), np.array([NAN, 3.0])]
    together = METHODS[name](histories, 4, 5)
    for number, history in enumerate(histories):
        alone = METHODS[name]([history], 4, 5)
        assert together.point[number] == pytest.approx(alone.point[0], rel=1e-9)
        assert together.deviation[number] == pytest.approx(alone.deviation[0], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", ["SeasonalNaiveDrift", "Theta", "ETS", "LagRegression"])
@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e9])
def test_the_unit_does_not_matter(name, factor):
    history = wave(60, noise=1)
    plain, scaled = (METHODS[name]([history * by], 4, 5).point[0] for by in (1.0, factor))
    assert scaled == pytest.approx(plain * factor, rel=1e-5)


@pytest.mark.parametrize("name", ["SeasonalNaiveDrift", "ETS", "LagRegression"])
def test_a_line_with_a_season_goes_on(name):
    whole = wave(85)
    found = METHODS[name]([whole[:80]], 4, 5).point[0]
    assert found == pytest.approx(whole[80:], abs=1.0)


def theta_by_hand(values, alpha, weight, level):
    """One-step errors of the paper's equations (DOTM), and the next forecast."""
    mean, slope, intercept, errors = values[0], 0.0, values[0], []
    for n, value in enumerate(values, 1):
        if n > 1:
            line = (1 - alpha) ** (n - 1) * intercept + (1 - (1 - alpha) ** n) / alpha * slope
            errors.append(value - level - weight * line)
            slope = ((n - 2) * slope + 6 * (value - mean) / n) / (n + 1)
            mean = ((n - 1) * mean + value) / n
            intercept = mean - slope * (n + 1) / 2
        level += alpha * (value - level)
    n = len(values) + 1
    line = (1 - alpha) ** (n - 1) * intercept + (1 - (1 - alpha) ** n) / alpha * slope
    return np.array(errors), level + weight * line


def test_theta_finds_the_least_error_of_the_paper_s_equations():
    values = wave(30, season=1, noise=3.0)
    found = theta([values], 1, 1)
    random = np.random.default_rng(0)
    tried = [
        theta_by_hand(values, random.uniform(0.1, 0.99), random.random(), random.uniform(0, 90))
        for _ in range(6000)
    ]
    squares = [(errors**2).sum() for errors, _ in tried]
    least = found.deviation[0, 0] ** 2 * (len(values) - 4)
    assert least <= min(squares) * (1 + 1e-6)
    assert least == pytest.approx(min(squares), rel=0.03)
    assert found.point[0, 0] == pytest.approx(tried[int(np.argmin(squares))][1], abs=0.5)


def test_theta_and_ets_are_near_those_of_statsforecast():
    models = pytest.importorskip("statsforecast.models")
    for seed in range(2):
        random = np.random.default_rng(seed)
        values = 100 + random.normal(size=60).cumsum() + 10 * np.sin(np.arange(60) * np.pi / 2)
        theirs = models.DynamicOptimizedTheta(season_length=4).forecast(y=values, h=6)["mean"]
        assert theta([values], 4, 6).point[0] == pytest.approx(theirs, abs=0.6)
        theirs = models.AutoETS(season_length=4).forecast(y=values, h=6)["mean"]
        assert ets([values], 4, 6).point[0] == pytest.approx(theirs, abs=1.5)


def test_drift_moves_the_last_season_by_the_mean_change():
    history = np.array([1.0, 5, 3, 7, 5, 9])  # a season of two, two steps up each
    found = seasonal_naive_drift([history], 2, 3)
    assert found.point[0] == pytest.approx([7, 11, 9])
    assert found.deviation[0] == pytest.approx(0)


def test_a_long_season_is_taken_off_before_smoothing():
    values = wave(400, season=50, slope=0.0, noise=0.1)
    found = ets([values[:350]], 50, 50).point[0]
    assert found == pytest.approx(values[350:], abs=0.6)
    assert adjusted(values, 50).values.std() < 0.5


def test_regression_learns_an_autoregression_and_long_seasons():
    random = np.random.default_rng(0)
    values = np.zeros(600)
    for t in range(1, 600):
        values[t] = 0.8 * values[t - 1] + random.normal()
    found = lag_regression([values], 1, 3).point[0]
    assert found == pytest.approx(values[-1] * 0.8 ** np.arange(1, 4), abs=0.5)
    week = np.tile([1.0, 2, 3, 4, 5, 9, 9], 20)  # a season of seven seen as one of a day
    daily = np.repeat(week, 3)
    assert lag_regression([daily], 3, 6).point[0] == pytest.approx(daily[:6], abs=0.2)


def test_the_regression_needs_long_whole_histories():
    whole = wave(60)
    assert can_regress(whole, 4)
    assert can_regress(np.concatenate([np.full(50, NAN), whole]), 4)
    assert not can_regress(whole[:49], 4)
    assert not can_regress(whole, 13)
    assert not can_regress(np.where(np.arange(60) % 5, whole, NAN), 4)


def test_intermittent_demand_by_hand():
    history = np.array([0.0, 2, 0, 0, 4, 0, 0, 0, 3])
    size = 2 + 0.1 * 2
    size += 0.1 * (3 - size)
    interval = 2 + 0.1 * 1
    interval += 0.1 * (4 - interval)
    assert croston([history], 1, 2).point[0] == pytest.approx(size / interval)
    # The mean interval is 3.5 steps, so sums of 4: 6 and 3.
    assert 3 / 4 <= adida([history], 1, 1).point[0, 0] <= 6 / 4
    assert croston([np.zeros(5)], 1, 1).point.tolist() == [[0]]
    assert adida([np.zeros(5)], 1, 1).point.tolist() == [[0]]
