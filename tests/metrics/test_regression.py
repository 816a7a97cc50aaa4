"""Figures of regressions: against scikit-learn, and what is undefined."""

import math

import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given
from hypothesis import strategies as st

from recurra.errors import DataError
from recurra.metrics.bootstrap import bootstrap_interval
from recurra.metrics.regression import regression_scores, rmse_interval


def items(seed=0, targets=3, count=50):
    """Targets on different scales and offsets, none of them near 0, and weights."""
    generator = np.random.default_rng(seed)
    scales = 10.0 ** np.arange(targets)
    actual = (generator.normal(size=(count, targets)) + 7) * scales
    predicted = actual + generator.normal(size=(count, targets)) * scales * 0.4
    return predicted, actual, generator.integers(0, 4, count) / 2


@pytest.mark.parametrize("weighted", [False, True])
def test_figures_are_those_of_scikit_learn(weighted):
    predicted, actual, weights = items()
    rest = {"sample_weight": weights if weighted else None}
    found = regression_scores(predicted, actual, weights=rest["sample_weight"])
    raw = {**rest, "multioutput": "raw_values"}
    each = [
        oracle.r2_score(actual, predicted, **raw),
        oracle.root_mean_squared_error(actual, predicted, **raw),
        oracle.mean_absolute_error(actual, predicted, **raw),
        oracle.mean_absolute_percentage_error(actual, predicted, **raw),
    ]
    np.testing.assert_allclose(np.transpose(found.targets), each)
    overall = [
        oracle.r2_score(actual, predicted, **rest),
        oracle.mean_squared_error(actual, predicted, **rest) ** 0.5,
        oracle.mean_absolute_error(actual, predicted, **rest),
        oracle.mean_absolute_percentage_error(actual, predicted, **rest),
    ]
    np.testing.assert_allclose(found.overall, overall)


def test_one_column_is_one_target():
    predicted, actual, _ = items(targets=1)
    flat = regression_scores(predicted[:, 0], actual[:, 0])
    assert flat == regression_scores(predicted, actual)
    assert flat.overall == pytest.approx(flat.targets[0])


def test_what_is_undefined_is_nan_and_left_out_of_means():
    """The first target is constant, though its mean is rounded; the second has a 0."""
    actual = np.array([[0.1, 0.0], [0.1, 2.0], [0.1, 4.0]])
    found = regression_scores(actual + np.array([0.1, 1.0]), actual)
    first, second = found.targets
    assert math.isnan(first.r2)
    assert math.isnan(second.mape)
    assert first.mape == pytest.approx(1)
    assert second.r2 == pytest.approx(1 - 3 / 8)
    assert (found.overall.r2, found.overall.mape) == (second.r2, first.mape)
    alone = regression_scores([1.0], [0.0]).overall
    np.testing.assert_equal(alone, (math.nan, 1, 1, math.nan))


def test_items_of_no_weight_do_not_count():
    """Neither their 0 nor their difference makes a figure undefined, or defined."""
    found = regression_scores([1.0, 3.0, 9.0], [2.0, 2.0, 0.0], weights=[1, 1, 0])
    np.testing.assert_equal(found.overall, (math.nan, 1, 1, 0.5))


@given(st.floats(-1e8, 1e8), st.integers(1, 9))
def test_r2_of_a_constant_is_undefined_at_any_scale(value, count):
    assert math.isnan(regression_scores([0.0] * count, [value] * count).overall.r2)


def test_the_interval_is_that_of_all_squared_errors():
    predicted, actual, weights = items(targets=2)
    generator, weights = np.random.default_rng, weights + 1
    groups = [place // 5 for place in range(50)]
    low, high = rmse_interval(predicted, actual, generator(3), weights=weights, groups=groups)
    squared = ((predicted - actual) ** 2).sum(1) * weights
    expected = bootstrap_interval(squared, 2 * weights, generator(3), groups=groups)
    assert [low**2, high**2] == pytest.approx(expected)
    assert low < regression_scores(predicted, actual, weights=weights).overall.rmse < high


def test_the_interval_of_few_items():
    assert rmse_interval([1.0], [2.0], np.random.default_rng()) is None
    padded = rmse_interval([1, 2, 9], [1, 3, 0], np.random.default_rng(0), weights=[1, 1, 0])
    assert padded == rmse_interval([1, 2], [1, 3], np.random.default_rng(0))


@pytest.mark.parametrize(
    ("predicted", "actual", "message"),
    [
        ([1.0], [1.0, 2.0], r"predicted \(1,\) and actual \(2,\); give both as \(N,\)"),
        ([], [], r"predicted \(0,\)"),
        ([[[1.0]]], [[[1.0]]], r"predicted \(1, 1, 1\)"),
        ([1.0, math.nan], [1.0, 2.0], "The predicted value of item 1 is not finite"),
        ([1.0, 2.0], [math.inf, 2.0], "The actual value of item 0 is not finite"),
    ],
)
def test_wrong_items(predicted, actual, message):
    for use in (regression_scores, lambda *two: rmse_interval(*two, np.random.default_rng())):
        with pytest.raises(DataError, match=message):
            use(predicted, actual)
    with pytest.raises(DataError, match="1 groups for 2 items"):
        rmse_interval([1, 2], [1, 2], np.random.default_rng(), groups="a")
