"""Errors to expect of series and windows, and the kinds that series are of."""

import numpy as np
import pandas
import pytest
from forecast_helpers.toys import one, panel_of, window_traits

from recurra.tasks.forecast.windows.traits import (
    SeriesTraits,
    is_whole,
    series_traits,
    steps_since_seen,
    window_error,
)

SEASON, HORIZON = 7, 7
MEAN = np.sqrt(2 / np.pi)
"""The mean absolute value of the standard normal distribution."""


def traits_of(rows, limit=None, transform="none"):
    panel = panel_of(pandas.concat([one(f"s{n}", row) for n, row in enumerate(rows)]))
    return series_traits(panel, transform, SEASON, HORIZON, limit)


@pytest.mark.parametrize("swing", [0.0, 20.0])
def test_neither_level_nor_season_is_an_error(swing):
    random, steps = np.random.default_rng(0), np.arange(700)
    rows = [
        level + swing * np.sin(2 * np.pi * steps / SEASON) + noise * random.normal(size=700)
        for level, noise in ((5, 0.5), (1000, 3))
    ]
    np.testing.assert_allclose(traits_of(rows).error, MEAN * np.array([0.5, 3]), rtol=0.1)


def test_a_walk_errs_by_how_far_it_goes_in_half_a_horizon():
    walk = np.random.default_rng(1).normal(size=2000).cumsum()
    assert traits_of([walk]).error[0] == pytest.approx(MEAN * np.sqrt(4), rel=0.1)


def test_a_steady_trend_is_no_error():
    assert traits_of([np.arange(200.0)]).error[0] == pytest.approx(0, abs=1e-9)


def test_only_values_before_the_limit_count():
    rows = [[1.0, 2, 3, 1, 2, 3, 1, 2, 900.5, -5]]
    found = traits_of(rows, limit=np.array([8]))
    assert (found.lowest[0], found.highest[0], found.whole[0]) == (1, 3, 1)


def test_kinds_of_series():
    rows = [[0.0, 0, 2, 0] * 3, [0.5, 1, 2, 3] * 3, [3.0] * 12, [np.nan] * 12, [-1.0, 0, 0, 0] * 3]
    found = traits_of(rows)
    assert found.intermittent.tolist() == [True, False, False, False, False]
    assert found.whole.tolist() == [1, 0, 1, 0, 1]
    assert (found.error[2], found.change[2]) == (0, 0)
    assert np.isnan(found.lowest[3])


def test_few_whole_values_are_evidence_only_if_the_others_are_whole():
    assert traits_of([[1.0, 2], [3.5] * 9]).whole.tolist() == [0, 0]
    assert traits_of([[1.0, 2], [3.0] * 9]).whole.tolist() == [1, 1]


def usual(error=2.0, change=4.0):
    zeros = np.zeros(3)
    return SeriesTraits(zeros + error, zeros + change, zeros, zeros, zeros, zeros, zeros + 1)


def test_windows_that_move_more_err_more():
    """A still one by less, at least a quarter; few pairs say little."""
    scale = np.full(3, 2.0)
    found = window_error(np.array([2.0, 4, 0]), np.full(3, 10**6), usual(), scale)
    np.testing.assert_allclose(found, [1, 1.75, 0.25], rtol=1e-4)
    found = window_error(np.array([2.0, 4, 0]), np.full(3, 10), usual(), scale)
    np.testing.assert_allclose(found, [1, 1.375, 0.625])


def test_of_what_never_changed_no_error_is_expected():
    found = window_error(np.array([0.0, 3, 0]), np.full(3, 9), usual(error=0, change=0), np.ones(3))
    np.testing.assert_allclose(found, [np.nan, 3, np.nan])


def test_gaps_count_from_the_last_value():
    seen = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0]], bool)
    assert steps_since_seen(seen).tolist() == [1, 2, 3]


def test_whole_numbers_survive_32_bits():
    values = np.array([[55_001.0, 0.25], [3.0, 7.0]], np.float32).astype(float)
    assert is_whole(values, np.ones((2, 2), bool)).tolist() == [True, False]


def test_a_regular_window_has_its_values_and_moves():
    odd = {"gap": 1}, {"seen": 0.4}, {"repeats": 0.6}
    assert window_traits(1).regular.all()
    assert not any(window_traits(1, **one).regular.any() for one in odd)
