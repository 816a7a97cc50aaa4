"""Distortions of ink: each one alone, off, and again with the same seed."""

import dataclasses

import numpy as np
import pytest

from recurra.data.ink.ink import Ink
from recurra.data.ink.ink_distortion import InkDistortion, distort
from recurra.errors import ConfigError

T = np.linspace(0, 40, 160)
WAVE = np.stack([10 * T, 10 * np.cos(np.pi * T)], axis=1)  # letters of 20 units
INK = Ink((WAVE, WAVE + np.array([450, 0]), np.array([[870.0, -30.0]])))


def alone(**strength):
    return dataclasses.replace(InkDistortion.none(), **strength)


def moved(how, seed=0):
    ink = distort(INK, how, np.random.default_rng(seed))
    return np.concatenate(ink.strokes)


def fitted(how, seed):
    """The linear map that a distortion is."""
    before = np.concatenate(INK.strokes)
    before = np.column_stack([before, np.ones(len(before))])
    found, *_ = np.linalg.lstsq(before, moved(how, seed), rcond=None)
    return found[:2].T


def test_none_is_the_ink_itself():
    assert distort(INK, InkDistortion.none(), np.random.default_rng(0)) is INK


def test_the_same_seed_gives_the_same():
    np.testing.assert_array_equal(moved(InkDistortion(), 3), moved(InkDistortion(), 3))
    assert not np.array_equal(moved(alone(noise=0.1), 3), moved(alone(noise=0.1), 4))


def test_strengths_are_standard_deviations():
    seeds = range(200)
    slants = [fitted(alone(slant=0.2), s) for s in seeds]
    assert np.std([m[0, 1] for m in slants]) == pytest.approx(0.2, rel=0.15)
    assert max(np.abs(m - [[1, m[0, 1]], [0, 1]]).max() for m in slants) < 1e-9
    scales = [fitted(alone(scale=0.1), s) for s in seeds]
    for axis in (0, 1):
        assert np.std([np.log(m[axis, axis]) for m in scales]) == pytest.approx(0.1, rel=0.15)
    turns = [fitted(alone(rotation=0.05), s) for s in seeds]
    assert np.std([np.arctan2(m[1, 0], m[0, 0]) for m in turns]) == pytest.approx(0.05, rel=0.15)
    assert all(np.linalg.det(m) == pytest.approx(1) for m in turns)


def test_elastic_displacement_is_smooth():
    steps, sizes = [], []
    for seed in range(60):
        away = (moved(alone(elastic=0.1, wavelength=2.0), seed) - np.concatenate(INK.strokes)) / 20
        sizes.append(away.std(axis=0))
        steps.append(np.abs(np.diff(away[:160], axis=0)).max())
    assert np.mean(sizes) == pytest.approx(0.1, rel=0.25)
    assert max(steps) < 0.3


def test_noise_of_points_and_of_strokes():
    away = (moved(alone(noise=0.05)) - np.concatenate(INK.strokes)) / 20
    assert away.std() == pytest.approx(0.05, rel=0.1)
    assert abs(np.corrcoef(away[:-1, 0], away[1:, 0])[0, 1]) < 0.2
    away = (moved(alone(stroke=0.05)) - np.concatenate(INK.strokes)) / 20
    np.testing.assert_allclose(away[:160], np.broadcast_to(away[0], (160, 2)), atol=1e-9)
    assert np.abs(away[0] - away[160]).max() > 1e-3


def test_points_are_left_out_and_written_twice():
    dropped = distort(INK, alone(drop=0.3), np.random.default_rng(0))
    assert 200 < dropped.points < 250
    for before, after in zip(INK.strokes, dropped.strokes, strict=True):
        np.testing.assert_allclose(after[[0, -1]], before[[0, -1]])
    twice = distort(INK, alone(duplicate=0.3), np.random.default_rng(0))
    assert 390 < twice.points < 450
    assert {tuple(p) for p in np.concatenate(twice.strokes).round(6)} == {
        tuple(p) for p in np.concatenate(INK.strokes).round(6)
    }


def test_other_columns_stay_with_their_points():
    strokes = tuple(np.column_stack([s, np.arange(len(s))]) for s in INK.strokes)
    ink = distort(Ink(strokes, ("x", "y", "time")), alone(drop=0.5), np.random.default_rng(0))
    for stroke, before in zip(ink.strokes, strokes, strict=True):
        np.testing.assert_allclose(stroke, before[stroke[:, 2].astype(int)], atol=1e-9)


@pytest.mark.parametrize("given", [{"drop": 1}, {"noise": -1}, {"slant": float("nan")}])
def test_strengths_that_cannot_be(given):
    [name] = given
    with pytest.raises(ConfigError, match=f"{name}=.*; give a number from 0 to"):
        InkDistortion(**given)
    with pytest.raises(ConfigError, match="wavelength=0 with an elastic"):
        InkDistortion(wavelength=0)
