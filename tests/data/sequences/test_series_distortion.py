"""Distortions of series: what each of them changes, and what stays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.data.sequences.series import Series
from recurra.data.sequences.series_distortion import SeriesDistortion, distort
from recurra.errors import ConfigError

NONE = SeriesDistortion.none()
NOISE = SeriesDistortion(noise=0.1, scale=0, length=0, warp=0)
SCALE = SeriesDistortion(noise=0, scale=0.3, length=0, warp=0)
LENGTH = SeriesDistortion(noise=0, scale=0, length=0.5, warp=0)
WARP = SeriesDistortion(noise=0, scale=0, length=0, warp=0.3)
STRONG = SeriesDistortion(noise=0.5, scale=0.5, length=0.5, warp=0.6)


def rising(steps, **more):
    return Series.of(np.arange(float(steps)), **more)


def distorted(series, how, seed=0):
    return distort(series, how, np.random.default_rng(seed))


@settings(max_examples=100, deadline=None)
@given(
    steps=st.integers(1, 40),
    seed=st.integers(0, 1000),
    missing=st.floats(0, 1),
    strong=st.booleans(),
)
def test_any_series_stays_a_series(steps, seed, missing, strong):
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(steps, 2))
    values[generator.random(values.shape) < missing] = np.nan
    values[steps // 2, 0] = 0.0
    times = generator.exponential(size=steps).cumsum()
    series = Series.of(values, times=times, labels=[str(n) for n in range(steps)])
    how = STRONG if strong else SeriesDistortion()
    one, other = distorted(series, how, seed), distorted(series, how, seed)
    assert one.values.tobytes() == other.values.tobytes()
    assert one.channels == series.channels
    assert one.labels[0] == "0"
    assert one.labels[-1] == str(steps - 1)
    assert one.times[[0, -1]].tolist() == series.times[[0, -1]].tolist()
    assert [*map(int, one.labels)] == sorted(map(int, one.labels))


def test_nothing_changes_without_strength():
    series = rising(50, times=np.arange(50.0))
    same = distorted(series, NONE)
    assert same.values.tobytes() == series.values.tobytes()
    assert same.times.tobytes() == series.times.tobytes()


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_noise_is_relative_to_the_spread(scale):
    values = scale * (100 + np.random.default_rng(0).normal(size=(20_000, 2)) * [1, 5])
    moved = distorted(Series.of(values), NOISE).values - values.astype(np.float32)
    np.testing.assert_allclose(moved.std(axis=0), [0.1 * scale, 0.5 * scale], rtol=0.05)
    assert abs(np.corrcoef(moved[:-1, 0], moved[1:, 0])[0, 1]) < 0.05


@pytest.mark.parametrize("how", [NOISE, SCALE])
def test_constant_channels_and_single_values_stay(how):
    series = Series.of(np.full((9, 1), 7.0))
    assert distorted(series, how).values.tobytes() == series.values.tobytes()
    assert distorted(Series.of([3.0]), STRONG).values.tolist() == [[3]]


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_magnitude_changes_about_the_mean(scale):
    values = scale * (1000 + np.random.default_rng(0).normal(size=(500, 2)))
    factors = []
    for seed in range(300):
        new = distorted(Series.of(values), SCALE, seed).values.astype(np.float64)
        np.testing.assert_allclose(new.mean(axis=0), values.mean(axis=0), rtol=1e-6)
        factors.append(new.std(axis=0) / values.std(axis=0))
    logs = np.log(factors)
    np.testing.assert_allclose(logs.std(axis=0), 0.3, rtol=0.15)
    assert abs(np.corrcoef(logs.T)[0, 1]) < 0.2


def test_length_is_resampled():
    lengths = [len(distorted(rising(200), LENGTH, seed)) for seed in range(200)]
    assert 115 < min(lengths) < 140
    assert 280 < max(lengths) < 335
    new = distorted(rising(200), LENGTH, 3).values[:, 0]
    np.testing.assert_allclose(new, np.linspace(0, 199, len(new)), rtol=1e-5)


def test_time_is_warped_smoothly_and_forwards():
    courses = [distorted(rising(400), WARP, seed).values[:, 0] for seed in range(50)]
    for course in courses:
        speeds = np.diff(course)
        assert len(course) == 400
        assert (speeds > 0).all()
        assert np.abs(np.diff(speeds)).max() < 0.1
    speeds = np.log(np.diff(courses, axis=1))
    assert 0.2 < speeds.std() < 0.4


def test_what_is_missing_stays_missing_and_does_not_spread():
    values = np.arange(300.0)[:, None] * [1, 1]
    values[100:200, 0] = np.nan
    new = distorted(Series.of(values), WARP).values
    place = new[:, 1]
    lost = np.isnan(new[:, 0])
    np.testing.assert_array_equal(lost, (place > 99.5) & (place < 199.5))
    assert abs(new[~lost, 0] - place[~lost]).max() <= 0.5


def test_times_and_labels_move_with_the_values():
    labels = [str(n) for n in range(100)]
    new = distorted(rising(100, times=10 + 2 * np.arange(100.0), labels=labels), WARP)
    places = new.values[:, 0]
    assert abs(places - np.arange(100)).max() > 1
    np.testing.assert_allclose(new.times, 10 + 2 * places, rtol=1e-5)
    assert abs(places - [*map(float, new.labels)]).max() <= 0.5


def test_a_series_that_would_lose_its_only_value_stays():
    values = np.full(40, np.nan)
    values[20] = 1.0
    series = Series.of(values)
    for seed in range(60):
        assert (~np.isnan(distorted(series, LENGTH, seed).values)).any()


@pytest.mark.parametrize("value", [-0.1, 2.5, float("nan")])
def test_strengths_that_cannot_be(value):
    with pytest.raises(ConfigError, match=r"warp=.*; give a number from 0 to 2"):
        SeriesDistortion(warp=value)
