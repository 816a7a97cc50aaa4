"""Bounds of forecasts by their histories, and whole numbers of continuous quantiles."""

import numpy as np
import pytest
from forecast_helpers.toys import window_traits

from recurra.tasks.forecast.intervals.bounds import bounded, jittered, measure_reach, rounded

WIDE = np.array([-1e9, 1e9])


@pytest.mark.parametrize(
    ("nonnegative", "lowest", "wanted"),
    [
        ("auto", 0.0, 0),
        ("auto", 2.0, 0),
        ("auto", -0.1, -5),
        ("yes", -0.1, 0),
        ("no", 0.0, -5),
    ],
)
def test_what_never_was_negative_is_not_forecast_so(nonnegative, lowest, wanted):
    traits = window_traits(1, lowest=lowest, highest=9.0)
    assert bounded(np.array([[-5.0]]), traits, nonnegative, np.full(2, 9.0)).tolist() == [[wanted]]


def test_bounds_leave_a_history_by_no_more_than_the_reach():
    traits = window_traits(2, lowest=[-10.0, 20.0], highest=[10.0, 30.0])
    held = bounded(np.tile(WIDE, (2, 1)), traits, "no", np.array([1.0, 2.0]))
    assert held.tolist() == [[-30, 50], [-10, 90]]


def test_a_history_of_zeros_bounds_nothing_above():
    traits = window_traits(1, lowest=0.0, highest=0.0)
    assert bounded(WIDE[None], traits, "auto", np.full(2, 2.0)).tolist() == [[0, 1e9]]


def test_a_series_without_values_bounds_nothing():
    traits = window_traits(1, lowest=np.nan, highest=np.nan)
    assert bounded(WIDE[None], traits, "auto", np.full(2, 2.0)).tolist() == [WIDE.tolist()]


def test_the_reach_is_that_of_held_out_values():
    traits = window_traits(400, lowest=0.0, highest=10.0)
    actual = np.full((400, 2), 5.0)
    np.testing.assert_array_equal(measure_reach(actual, traits), [2, 2])
    actual[:40, 1] = 60
    np.testing.assert_allclose(measure_reach(actual, traits), [2, 10])


@pytest.mark.parametrize("rate", [0.3, 1.0, 4.0])
def test_rounded_quantiles_of_spread_counts_are_those_of_the_counts(rate):
    counts = np.random.default_rng(2).poisson(rate, (50_000, 1)).astype(float)
    whole = window_traits(len(counts), whole=True)
    spread = jittered(counts, whole, lowest=-np.inf)
    assert np.abs(spread - counts).max() <= 0.5
    levels = [0.025, 0.1, 0.45, 0.9, 0.975]
    found = rounded(np.quantile(spread, levels)[None], np.ones(1, bool))[0]
    np.testing.assert_array_equal(found, np.quantile(counts, levels, method="inverted_cdf"))


def test_other_numbers_are_neither_spread_nor_rounded():
    actual, traits = np.array([[0.25, 1.0]]), window_traits(1)
    np.testing.assert_array_equal(jittered(actual, traits, lowest=-np.inf), actual)
    np.testing.assert_array_equal(rounded(actual, traits.whole), actual)
