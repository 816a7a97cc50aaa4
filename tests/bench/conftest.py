"""Results made up of numbers that a reader can check by heart."""

import pytest

from recurra.bench import SUITES, SizeGrid
from recurra.bench.measurement import Point, PointResult, Spread
from recurra.bench.results import SuiteResult

GRID = SizeGrid((2,), (3,), (4, 8))


def spread(median):
    return Spread(median, median * 0.5, median * 2)


def row(suite, size, theirs, ours, *others, layer="LSTM", work="training"):
    """A result of 1e9 operations, timed in seconds."""
    names = dict.fromkeys(n for ratio in suite.ratios for n in (ratio.theirs, ratio.ours))
    values = zip(names, (theirs, ours, *others), strict=True)
    point = Point(layer, work, 2, 3, size)
    return PointResult(point, {name: spread(value) for name, value in values}, 1e9)


@pytest.fixture
def layers():
    """2 and 8 times faster in training, 3 times forward; the peak is 4 GFLOP/s, once 2."""
    suite = SUITES["layers"]
    rows = [row(suite, 4, 2.0, 1.0), row(suite, 8, 4.0, 0.5)]
    rows.append(row(suite, 4, 3.0, 1.0, work="forward"))
    return SuiteResult(suite, GRID, rows, 2e9, 4e9)


@pytest.fixture
def own():
    """4 times faster than the loop, and twice as slow as the built-in layer."""
    suite = SUITES["own"]
    return SuiteResult(suite, GRID, [row(suite, 4, 4.0, 1.0, 0.5)], 4e9, 4e9)


@pytest.fixture
def compiling():
    """A suite without a ratio."""
    suite = SUITES["compile"]
    rows = [PointResult(Point("GRU", "first call", 1, 1, 4), {"compiled": spread(0.25)})]
    return SuiteResult(suite, GRID, rows, 4e9, 4e9)


@pytest.fixture
def remedies():
    """One that costs half, and one that costs a tenth less than nothing."""
    suite = SUITES["remedies"]
    rows = [row(suite, 4, 1.5, 1.0, work="zoneout"), row(suite, 4, 0.9, 1.0, work="dropout")]
    return SuiteResult(suite, GRID, rows, 4e9, 4e9)
