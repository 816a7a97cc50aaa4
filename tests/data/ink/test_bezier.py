"""Curves fitted to strokes: known ones found again, the error's bound, rows of features."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.data.ink.bezier import BezierFeatures, fit_curves
from recurra.data.ink.ink import Ink
from recurra.errors import ConfigError, DataError


def de_casteljau(control, s):
    """A point of a curve by repeated halves: an evaluation unlike the one under test."""
    points = [np.asarray(p, dtype=np.float64) for p in control]
    while len(points) > 1:
        points = [(1 - s) * a + s * b for a, b in itertools.pairwise(points)]
    return points[0]


CUBICS = [
    [[0, 0], [1, 2], [3, 2], [4, 0]],
    [[0, 0], [2, 3], [4, -3], [6, 1]],
    [[0, 0], [0, 4], [1, 5], [5, 5]],
]


@pytest.mark.parametrize("control", CUBICS)
def test_a_known_curve_is_found_again(control):
    points = np.array([de_casteljau(control, s) for s in np.linspace(0, 1, 40) ** 1.3])
    [curve] = fit_curves(points, max_error=0.001)
    assert curve.error <= 0.001
    np.testing.assert_allclose(curve.control, control, atol=0.02)
    on_it = curve.at(np.array([0.3]))[0]
    np.testing.assert_allclose(on_it, de_casteljau(curve.control, 0.3), atol=1e-12)


def test_a_straight_line_has_its_control_points_at_thirds():
    [curve] = fit_curves(np.array([[0.0, 0.0], [3.0, 6.0]]), 0.01)
    np.testing.assert_allclose(curve.control, [[0, 0], [1, 2], [2, 4], [3, 6]], atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=1, max_size=25),
    st.sampled_from([0.05, 0.5]),
)
def test_the_error_is_bounded_and_curves_join(places, most):
    points = np.array(places, dtype=np.float64)
    curves = fit_curves(points, most)
    start = 0
    for curve in curves:
        piece = points[start : start + len(curve.places)]
        away = np.hypot(*(curve.at(curve.places) - piece).T)
        assert away.max() <= most + 1e-9
        assert (np.diff(curve.places) >= 0).all()
        np.testing.assert_array_equal(curve.control[[0, 3]], piece[[0, -1]])
        start += len(curve.places) - 1
    assert start == len(points) - 1


def test_rows_by_hand():
    """A level stroke of 4 heights after a zigzag that sets the height to 1."""
    zigzag = np.array([[0.0, 0.0], [0.0, 8.0]])
    level = np.array([[16.0, 8.0], [48.0, 8.0]])
    down, up, right = BezierFeatures(slant=False).features(Ink((zigzag, level)))
    third = 0.25
    np.testing.assert_allclose(down, [0, 1 / 2, third, third, 0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(up, [2 / 3, 0, third, third, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(right, [4 / 5, 0, third, third, 0, 0, 1], atol=1e-6)


def test_angles_and_times():
    t = np.linspace(0, 1, 60)
    arch = np.stack([30 * t, -40 * t * (1 - t), 7 + 5 * t], axis=1)
    how = BezierFeatures(0.2, slant=False, slope=False, time=True, time_unit=5.0)
    [row] = how.features(Ink((arch,), ("x", "y", "time")))
    named = dict(zip(how.names, row.tolist(), strict=True))
    assert named["angle_start"] == pytest.approx(-np.arctan2(40, 30), abs=0.2)
    assert named["angle_end"] == pytest.approx(np.arctan2(40, 30), abs=0.2)
    assert sum(named[f"time_{k}"] for k in (1, 2, 3)) == pytest.approx(1, abs=0.02)


def test_dots_and_errors():
    rows = BezierFeatures().features(Ink((np.array([[3.0, 3.0]]),)))
    assert rows.tolist() == [[0, 0, 0, 0, 0, 0, 1]]
    with pytest.raises(ConfigError, match="max_error=0; give a share"):
        BezierFeatures(0)
    with pytest.raises(DataError, match="has no time"):
        BezierFeatures(time=True).features(Ink((np.array([[3.0, 3.0]]),)))
