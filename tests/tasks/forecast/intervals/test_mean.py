"""Means between quantiles, and their held-out error: sums come out right."""

import numpy as np
import pandas
import pytest
from forecast_helpers.toys import no_compiling, window_traits

from recurra import Forecaster
from recurra.tasks.forecast.intervals.mean import mean_of, measure_bias

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)


def test_the_mean_of_a_symmetric_distribution_is_its_median():
    quantiles = np.array([[[-3.0, -1, 0, 1, 3]], [[2.0, 4, 5, 6, 8]]])
    np.testing.assert_allclose(mean_of(quantiles, LEVELS), [[0], [5]], atol=1e-9)


def test_the_mean_of_a_skewed_distribution_lies_above_its_median():
    draws = np.random.default_rng(0).exponential(size=200_000)
    quantiles = np.quantile(draws, LEVELS)[None, None]
    assert mean_of(quantiles, LEVELS)[0, 0] == pytest.approx(1, abs=0.12)


def test_the_sum_of_means_without_their_bias_is_that_of_the_actual_values():
    random = np.random.default_rng(1)
    size = random.uniform(0.1, 5, (500, 1)).repeat(3, 1)
    actual = random.poisson(size).astype(float)
    mean = np.zeros_like(actual)
    traits = window_traits(500)
    bias = measure_bias(mean, actual, size, traits, disjoint=10**6)
    assert (mean + bias[1] * size).sum() == pytest.approx(actual.sum(), rel=1e-3)
    assert (bias[0] == 0).all()
    few = measure_bias(mean, actual, size, traits, disjoint=10)
    np.testing.assert_allclose(few[1] * 2, bias[1], rtol=1e-3)


def test_points_are_medians_or_means_as_told():
    """Of rare demand the median is nothing, the mean is not; auto takes that of such series."""
    rare = [np.random.default_rng(n).poisson(0.3, 70) for n in range(8)]
    often = [np.random.default_rng(n).poisson(9, 70) for n in range(8)]
    stamps = np.arange(1, 71)
    frame = pandas.concat(
        pandas.DataFrame({"unique_id": f"s{n:02}", "ds": stamps, "y": row})
        for n, row in enumerate([*rare, *often])
    )
    points = {}
    with no_compiling():
        for point in ("auto", "median", "mean"):
            model = Forecaster(horizon=7, season=7, hidden=8, max_steps=15, point=point).fit(frame)
            found = model.predict()
            points[point] = found.recurra.to_numpy().reshape(16, 7)
    assert (points["median"][:8] == 0).mean() > 0.7
    assert points["median"][:8].mean() < points["mean"][:8].mean() < 0.7
    np.testing.assert_array_equal(points["auto"][:8], points["mean"][:8])
    np.testing.assert_array_equal(points["auto"][8:], points["median"][8:])
    assert (points["auto"][8:] % 1 == 0).all()
    assert (points["mean"][8:] % 1 > 0).any()
