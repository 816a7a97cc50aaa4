"""Ink: what an ink may be, and what is said of one that can't be."""

import numpy as np
import pytest

from recurra.data.ink.ink import MAX_POINTS, Ink, ink_of
from recurra.errors import DataError

LINE = np.array([[1.0, 7.0], [4.0, 3.0]])
DOT = np.array([[-2.0, 5.0]])


def test_facts():
    ink = Ink((LINE, DOT))
    assert ink.points == 3
    assert ink.box == (-2.0, 3.0, 4.0, 7.0)
    assert (ink.box.width, ink.box.height) == (6.0, 4.0)
    assert ink.has("x")
    assert not ink.has("pressure")


def test_strokes_without_points_are_left_out_and_noted():
    ink = ink_of([LINE, np.empty((0, 2)), DOT])
    assert len(ink.strokes) == 2
    assert ink.notes == ("1 stroke without points left out",)


@pytest.mark.parametrize(
    ("strokes", "columns", "message"),
    [
        ((), ("x", "y"), "the ink is empty"),
        ((LINE, np.empty((0, 2))), ("x", "y"), "stroke 2 has no point"),
        ((LINE,), ("x", "y", "time"), r"stroke 1 is float64 \(2, 2\); .* x, y, time"),
        ((LINE[0],), ("x", "y"), r"stroke 1 is float64 \(2,\)"),
        ((LINE.astype(int),), ("x", "y"), "stroke 1 is int64"),
        ((LINE,), ("y", "x"), "columns y-x; give one of x-y, x-y-pressure"),
        ((DOT, LINE * [np.nan, 1]), ("x", "y"), "stroke 2, point 1: x is nan"),
        ((LINE, np.array([[0, np.inf]])), ("x", "y"), "stroke 2, point 1: y is inf"),
        ((LINE * 1e18,), ("x", "y"), "at most 1e"),
        ((np.zeros((MAX_POINTS + 1, 2)),), ("x", "y"), r"100,001 points.*may have 100,000"),
    ],
)
def test_ink_that_cannot_be(strokes, columns, message):
    with pytest.raises(DataError, match=message):
        Ink(strokes, columns)
