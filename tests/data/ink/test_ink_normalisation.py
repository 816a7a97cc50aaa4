"""Letter height, baseline, slope and slant of ink for which they are known."""

import numpy as np
import pytest

from recurra.data.ink.ink import Ink
from recurra.data.ink.ink_normalisation import InkFrame, core_height, frame_of, half_strokes


def letters(tall=(), deep=(), count=12, height=20.0):
    """Slim upright zigzags on a baseline at 100; some reach two heights up or one down."""
    strokes = []
    for k in range(count):
        top = 100 - height * (2 if k in tall else 1)
        bottom = 100 + height * (k in deep)
        y = np.concatenate([np.linspace(top, bottom, 9), np.linspace(100, 100 - height, 9)])
        strokes.append(np.stack([np.repeat([0.0, 6.0], 9) + 14 * k, y], axis=1))
    return Ink(tuple(strokes))


@pytest.mark.parametrize(("tall", "deep"), [((), ()), ((0, 5, 9), ()), ((3, 4), (1, 7))])
def test_the_height_of_small_letters_and_the_baseline(tall, deep):
    ink = letters(tall, deep)
    assert core_height(ink) == pytest.approx(20, rel=0.01)
    assert frame_of(ink).baseline == pytest.approx(100, abs=0.8)


@pytest.mark.parametrize("slope", [0.0, 0.2, -0.3])
def test_a_sloping_line_is_levelled(slope):
    ink = letters((2, 6), (4,))
    sloping = ink.with_strokes([s + s[:, :1] * [0, slope] for s in ink.strokes])
    frame = frame_of(sloping, slant=False)
    assert frame.slope == pytest.approx(slope, abs=0.05 * abs(slope) + 0.02)
    assert not frame_of(sloping, slope=False).slope


@pytest.mark.parametrize("slant", [0.0, 0.4, -0.6])
def test_a_slant_is_undone(slant):
    ink = letters()
    slanted = ink.with_strokes([s + (s[:, 1:] - 100) * [slant, 0] for s in ink.strokes])
    found = frame_of(slanted).slant
    assert found == pytest.approx(slant, abs=0.1 * abs(slant) + 0.01)
    assert not frame_of(slanted, slant=False).slant


def test_a_slash_keeps_most_of_its_slant():
    slash = Ink((np.array([[10.0, 0.0], [0.0, 20.0]]),))
    assert -0.3 < frame_of(slash).slant < -0.1


def test_a_frame_is_undone_exactly():
    normal = np.array([[0.0, 0.0], [2.0, -1.0], [3.0, 0.5]])
    frame = InkFrame(unit=8.0, left=50.0, baseline=70.0, slope=0.25, slant=-0.5)
    y = 8 * normal[:, 1]
    x = 8 * normal[:, 0] - 0.5 * y
    points = np.stack([50 + x, 70 + y + 0.25 * x], axis=1)
    np.testing.assert_allclose(frame.normalise(points), normal, atol=1e-12)


@pytest.mark.parametrize(
    ("y", "pairs"),
    [
        ([0, 5, 5, 4.5, 6, 0], [(0, 4), (4, 5)]),
        ([3, 3, 3], []),
        ([0, 0.5, 0, 0.5], []),
        ([0, 0.9, -0.9, 0.9], [(1, 2), (2, 3)]),
        ([5, 0, 4, 0], [(0, 1), (1, 2), (2, 3)]),
        ([1], []),
    ],
)
def test_half_strokes(y, pairs):
    assert half_strokes(np.array(y, dtype=np.float64), 1.0) == pairs
