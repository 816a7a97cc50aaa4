"""Bootstrap intervals: against the normal distribution, of groups, and of weighted items."""

import math

import numpy as np
import pytest

from recurra.errors import ConfigError, DataError
from recurra.metrics.bootstrap import bootstrap_interval


def test_the_interval_of_many_items_is_that_of_the_normal_distribution():
    generator = np.random.default_rng(3)
    errors, lengths = generator.binomial(10, 0.2, 2000), np.full(2000, 10)
    low, high = bootstrap_interval(errors, lengths, generator, level=0.9)
    rate, spread = errors.sum() / 20000, errors.std() / 10 / math.sqrt(2000)
    assert (rate - low) / spread == pytest.approx(1.645, abs=0.1)
    assert (high - rate) / spread == pytest.approx(1.645, abs=0.1)


def test_items_of_one_group_are_drawn_together():
    """Groups of equal items: as an interval of one item a group, and wider than that of items."""
    generator = np.random.default_rng
    errors, lengths, groups = [0, 1, 3, 4] * 25, [5, 5, 5, 5] * 25, [0, 1, 2, 3] * 25
    grouped = bootstrap_interval(errors, lengths, generator(1), groups=groups)
    assert grouped == bootstrap_interval([0, 1, 3, 4], [5, 5, 5, 5], generator(1))
    single = bootstrap_interval(errors, lengths, generator(1))
    assert grouped[0] < single[0] < 0.4 < single[1] < grouped[1]
    assert single == bootstrap_interval(errors, lengths, generator(1))


def test_intervals_that_nothing_can_be_drawn_for():
    assert bootstrap_interval([1], [5], np.random.default_rng()) is None
    assert bootstrap_interval([1, 2], [5, 5], np.random.default_rng(), groups="aa") is None
    assert bootstrap_interval([0, 0], [0, 0], np.random.default_rng()) == (0, 0)
    for wrong in ({"level": 1}, {"draws": 0}):
        with pytest.raises(ConfigError, match="a level is between 0 and 1, and draws are 1 or mor"):
            bootstrap_interval([1, 1], [1, 1], np.random.default_rng(), **wrong)


def test_the_scale_of_lengths_does_not_matter():
    """Weights may sum to 1, or to less in a draw."""
    generator = np.random.default_rng
    numerators, lengths = np.array([0.0, 1, 0, 2, 1]), np.array([3.0, 1, 2, 2, 4])
    expected = bootstrap_interval(numerators, lengths, generator(0))
    assert 0 < expected[0] < expected[1]
    small = bootstrap_interval(numerators / 1000, lengths / 1000, generator(0))
    assert small == pytest.approx(expected)


def test_items_of_different_number_are_refused():
    for given in (([1], [1, 2]), ([[1]], [[2]])):
        with pytest.raises(DataError, match=r"errors \(.*\) and lengths \(.*\); give both as"):
            bootstrap_interval(*given, np.random.default_rng())
    with pytest.raises(DataError, match="1 groups for 2 items"):
        bootstrap_interval([1, 2], [5, 5], np.random.default_rng(), groups="a")
