"""Scales of windows against numpy's own means, and transforms there and back."""

import numpy as np
import pytest

from recurra.errors import DataError
from recurra.tasks.forecast.windows.scaling import (
    SeriesScale,
    transformed,
    untransformed,
    window_scale,
)

GAPS = np.array([[1.0, np.nan], [np.nan, -4.0], [5.0, -8.0], [np.nan, np.nan]])
USUAL = SeriesScale(np.array([7.0, -7.0]), np.array([2.0, 3.0]), np.array([4.0, 5.0]))


@pytest.mark.parametrize(
    ("how", "location", "scale"),
    [
        ("standard", np.nanmean(GAPS, 0), np.nanstd(GAPS, 0)),
        ("mean", [0, 0], np.nanmean(np.abs(GAPS), 0)),
        ("last", [5, -8], USUAL.spread),
        ("none", [0, 0], [1, 1]),
    ],
)
def test_scales_are_of_what_was_seen(how, location, scale):
    found = window_scale(GAPS, USUAL, how)
    np.testing.assert_allclose(found, [location, scale])


@pytest.mark.parametrize("how", ["standard", "mean"])
def test_a_window_without_size_takes_the_spread_of_its_series_else_a_typical_one(how):
    zeros = np.zeros((4, 2))
    usual = SeriesScale(np.zeros(2), np.array([3.0, 0.0]), np.array([1.0, 7.0]))
    assert window_scale(zeros, usual, how)[1].tolist() == [3.0, 7.0]


def test_rounding_is_not_a_deviation():
    almost = np.full((9, 1), 0.1) * 3e9 + np.linspace(0, 1e-6, 9)[:, None]
    usual = SeriesScale(np.zeros(1), np.array([7e3]), np.ones(1))
    assert window_scale(almost, usual, "standard")[1] == [7e3]


@pytest.mark.parametrize(
    ("how", "location", "scale"),
    [("standard", 7, 2), ("mean", 0, 7), ("last", 7, 2), ("none", 0, 1)],
)
def test_a_window_in_which_nothing_was_seen_goes_by_what_is_usual(how, location, scale):
    found = window_scale(np.full((3, 2), np.nan), USUAL, how)
    assert [part[0] for part in found] == [location, scale]


@pytest.mark.parametrize("how", ["standard", "mean", "last", "none"])
def test_a_series_without_any_value_has_a_finite_scale(how):
    usual = SeriesScale(np.array([np.nan]), np.zeros(1), np.ones(1))
    assert np.isfinite(window_scale(np.full((3, 1), np.nan), usual, how)).all()


@pytest.mark.parametrize("how", ["none", "log", "log1p"])
def test_transforms_lead_back(how):
    values = np.array([0.5, np.nan, 1e-3, 1e9])
    np.testing.assert_allclose(untransformed(transformed(values, how), how), values, rtol=1e-9)


def test_transforms_never_overflow():
    assert np.isfinite(untransformed(np.array([1e5]), "log")).all()


@pytest.mark.parametrize(("how", "value"), [("log", 0.0), ("log", -1.5), ("log1p", -1.5)])
def test_values_that_have_no_logarithm_are_refused(how, value):
    with pytest.raises(DataError, match=f"transform = '{how}'.*lowest is {value:g}"):
        transformed(np.array([3.0, np.nan, value]), how)
    assert transformed(np.array([0.0]), "log1p") == [0]
