"""The standard error of a rate, beside that of rates of items drawn again."""

import numpy as np
import pytest

from recurra.metrics.standard_error import standard_error


@pytest.mark.parametrize("scale", [1, 40])
def test_it_is_that_of_items_drawn_again(scale):
    generator = np.random.default_rng(0)
    lengths = generator.integers(5, 50, 200) * scale
    errors = generator.binomial(lengths, generator.beta(1, 9, 200))
    drawn = generator.integers(200, size=(4000, 200))
    rates = errors[drawn].sum(1) / lengths[drawn].sum(1)
    assert standard_error(errors, lengths) == pytest.approx(rates.std(), rel=0.05)


def test_of_items_without_an_error_or_with_nothing_else_it_is_an_error_more():
    assert standard_error([0, 0, 0], [4, 3, 3]) == pytest.approx(0.1)
    assert standard_error([1, 1, 1, 1], [1, 1, 1, 1]) == 0.25
    assert standard_error([2], [10]) == pytest.approx(0.3)
    assert standard_error([0], [0]) == 1
