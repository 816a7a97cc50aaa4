"""Conformal intervals: their coverage by simulation, and how many errors a level needs."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.errors import ConfigError, DataError
from recurra.metrics.conformal import ConformalInterval, errors_needed, rank_places


@pytest.mark.parametrize(
    ("count", "level", "covered"), [(19, 0.9, 18 / 20), (20, 0.9, 19 / 21), (9, 0.5, 5 / 10)]
)
def test_coverage_is_that_of_the_rank(count, level, covered):
    """Of errors spread evenly over 0 to 1 the quantile is the coverage of the next one."""
    generator = np.random.default_rng(0)
    found = [
        ConformalInterval.fit(generator.uniform(-1, 1, count), level).quantile for _ in range(4000)
    ]
    deviation = math.sqrt(covered * (1 - covered) / (count + 2) / 4000)
    assert np.mean(found) == pytest.approx(covered, abs=4 * deviation)
    assert level <= covered <= level + 1 / (count + 1)


def test_the_next_item_is_covered():
    """Skewed errors, whose size the spread tells: both kinds cover, the normalised one evenly."""
    generator = np.random.default_rng(1)
    spreads = generator.uniform(0.1, 2, 40_000)
    errors = spreads * generator.exponential(size=len(spreads))
    held_out, later = slice(0, 20_000), slice(20_000, None)
    plain = ConformalInterval.fit(errors[held_out], 0.9)
    normalised = ConformalInterval.fit(errors[held_out], 0.9, spreads=7 * spreads[held_out])
    low, high = plain.apply(np.zeros(20_000))
    covered = (errors[later] >= low) & (errors[later] <= high)
    assert covered.mean() == pytest.approx(0.9, abs=0.01)
    low, high = normalised.apply(np.zeros(20_000), spreads=7 * spreads[later])
    even = (errors[later] >= low) & (errors[later] <= high)
    assert even.mean() == pytest.approx(0.9, abs=0.01)
    wide = spreads[later] > 1.5
    assert even[wide].mean() == pytest.approx(0.9, abs=0.015)
    assert covered[wide].mean() < 0.85


def test_bounds_lie_about_the_prediction():
    interval = ConformalInterval.fit([0.5, -1, 0.2], 0.5)
    assert interval == ConformalInterval(0.5, 0.5)
    low, high = interval.apply([[1.0], [2.0]])
    assert (low.tolist(), high.tolist()) == ([[0.5], [1.5]], [[1.5], [2.5]])
    low, high = ConformalInterval(2.0, 0.5, normalised=True).apply([1, 1], spreads=[1, 3])
    assert (low.tolist(), high.tolist()) == ([-1, -5], [3, 7])


@given(st.integers(1, 400), st.floats(0.01, 0.99))
def test_the_rank_is_the_least_with_enough_coverage(count, level):
    enough = count >= errors_needed(1 - level)
    assert enough == (count / (count + 1) >= level - 1e-6)
    if enough:
        quantile = ConformalInterval.fit(np.arange(1, count + 1), level).quantile
        assert quantile / (count + 1) >= level - 1e-6
        assert (quantile - 1) / (count + 1) < level


def test_places_are_ranks_of_one_more():
    levels = np.arange(1, 10) / 10
    assert rank_places(levels, 9) == pytest.approx(np.arange(9) / 8)
    assert rank_places(np.array([0.01, 0.99]), 9).tolist() == [0, 1]
    assert rank_places(np.array([0.5]), 1).tolist() == [0]


def test_fields_are_json():
    interval = ConformalInterval.fit(np.arange(30.0), 0.9, spreads=np.ones(30))
    assert ConformalInterval(**json.loads(json.dumps(dataclasses.asdict(interval)))) == interval


def test_too_few_items_for_the_level():
    with pytest.raises(
        DataError, match=r"level = 0\.95 needs 19 held-out items or more, and there a"
    ):
        ConformalInterval.fit(np.ones(18), 0.95)
    assert ConformalInterval.fit(np.ones(19), 0.95).quantile == 1


def test_wrong_values():
    interval = ConformalInterval.fit([1, 2, 3], 0.5)
    spread = ConformalInterval.fit([1, 2, 3], 0.5, spreads=[1, 1, 1])
    for level in (0, 1, math.nan):
        with pytest.raises(ConfigError, match="it is between 0 and 1"):
            ConformalInterval.fit([1, 2, 3], level)
    for quantile in (-1, math.inf, math.nan):
        with pytest.raises(ConfigError, match="it is finite, and 0 or more"):
            ConformalInterval(quantile, 0.5)
    with pytest.raises(DataError, match="give finite numbers"):
        ConformalInterval.fit([1, math.nan, 2], 0.5)
    for spreads in ([1, 1], [0, 1, 1], [1, 1, math.inf]):
        with pytest.raises(DataError, match=r"spreads \(\d,\) for items \(3,\)"):
            ConformalInterval.fit([1, 2, 3], 0.5, spreads=spreads)
    with pytest.raises(DataError, match="fitted with spreads; give those"):
        spread.apply([1.0])
    with pytest.raises(DataError, match="fitted without spreads; leave them out"):
        interval.apply([1.0], spreads=[1.0])


def test_conformal_intervals_by_series_are_those_of_weighted_errors():
    generator = np.random.default_rng(0)
    sizes = generator.integers(1, 50, 30)
    groups = np.repeat(np.arange(30), sizes)
    errors = generator.normal(size=len(groups)) * (1 + groups % 3)
    quantile = ConformalInterval.fit(errors, 0.8, groups=groups).quantile

    def share(width):
        return sum((np.abs(errors[groups == g]) <= width).mean() for g in range(30)) / 31

    candidates = np.sort(np.abs(errors))
    assert quantile == next(width for width in candidates if share(width) >= 0.8)
    with pytest.raises(DataError, match="needs 9 held-out series or more, and there are 2"):
        ConformalInterval.fit(errors[:20], 0.9, groups=np.arange(20) > 3)
