"""Features of series: values by hand, statistics, and whole series against streams."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.data.sequences.series import Series
from recurra.data.sequences.series_features import (
    SeriesFeatures,
    SeriesStream,
    has_irregular_times,
    observed_statistics,
)
from recurra.errors import DataError

NAN = np.nan
XY = ("x", "y")


def walk(seed, steps, channels=2, missing=0.4):
    """Values of a random walk of which some are missing, at uneven times."""
    generator = np.random.default_rng(seed)
    values = generator.standard_normal((steps, channels)).cumsum(axis=0)
    values[generator.random(values.shape) < missing] = NAN
    values[-1] = 1.0
    times = generator.exponential(size=steps).cumsum()
    return Series.of(values, times=times, channels=tuple("xyzuvw"[:channels]))


def test_rows_by_hand():
    series = Series.of([[NAN, 5], [2, NAN], [NAN, NAN], [3, 7]], times=[0, 1, 3, 3.5], channels=XY)
    rows = SeriesFeatures(XY, missing=True, times=True).features(series)
    np.testing.assert_array_equal(rows[:, :2], [[NAN, 5], [2, 5], [2, 5], [3, 7]])
    assert rows[:, 2:4].tolist() == [[0, 1], [1, 0], [0, 0], [1, 1]]
    gaps = np.log1p([[1, 0], [0, 1], [1, 2], [0, 0]])
    np.testing.assert_allclose(rows[:, 4:6], gaps, rtol=1e-6)
    np.testing.assert_allclose(rows[:, 6], [NAN, 0, np.log(2), np.log(0.5)], rtol=1e-6)
    plain = SeriesFeatures(XY).features(series)
    np.testing.assert_array_equal(plain, rows[:, :2])


@pytest.mark.parametrize(
    ("missing", "times", "width"), [(False, False, 3), (True, False, 9), (True, True, 10)]
)
def test_the_width_is_that_of_the_rows(missing, times, width):
    how = SeriesFeatures(tuple("xyz"), missing, times)
    rows = how.features(walk(0, 7, 3))
    assert rows.shape == (7, width)
    assert rows.dtype == np.float32
    assert how.width == width
    assert SeriesFeatures(**json.loads(json.dumps(dataclasses.asdict(how)))) == how


@settings(max_examples=80, deadline=None)
@given(
    steps=st.integers(1, 60),
    seed=st.integers(0, 50),
    cuts=st.lists(st.integers(0, 60), max_size=12),
    missing=st.booleans(),
    times=st.booleans(),
    restored=st.booleans(),
)
def test_a_stream_gives_the_bits_of_the_whole(steps, seed, cuts, missing, times, restored):
    how, series = SeriesFeatures(XY, missing, times), walk(seed, steps)
    stream, pieces, places = SeriesStream(how), [], sorted(c for c in cuts if c < steps)
    for values, stamps in zip(
        np.split(series.values, places), np.split(series.times, places), strict=True
    ):
        pieces.append(stream.feed(values, times=stamps if times else None))
        if restored:
            stream = SeriesStream(how, json.loads(json.dumps(stream.state())))
    pieces.append(stream.finish())
    assert np.concatenate(pieces).tobytes() == how.features(series).tobytes()


@pytest.mark.parametrize("steps", [1, 100_000])
def test_step_by_step(steps):
    how, series = SeriesFeatures(XY, True, True), walk(3, steps, missing=0.9)
    whole = how.features(series)
    stream = SeriesStream(how)
    rows = [
        stream.feed(values, times=time)
        for values, time in zip(series.values[:500], series.times[:500], strict=True)
    ]
    assert np.concatenate(rows).tobytes() == whole[:500].tobytes()
    assert (
        np.concatenate(
            [whole[:500], stream.feed(series.values[500:], times=series.times[500:])]
        ).tobytes()
        == whole.tobytes()
    )


def test_a_stream_of_one_channel_takes_values_by_themselves():
    stream = SeriesStream(SeriesFeatures(("x",)))
    assert stream.feed([1.0, NAN, 3.0]).tolist() == [[1], [1], [3]]
    assert stream.feed([]).shape == (0, 1)


@pytest.mark.parametrize(
    ("values", "times", "message"),
    [
        ([[1.0]], [1.0], r"steps of shape \(1, 1\); give \(steps, 2\): x, y"),
        ([[1.0, np.inf]], [1.0], "a value is infinite"),
        ([[1.0, 1e39]], [1.0], "a value is infinite"),
        ([[1.0, 1.0]], None, "the model uses times; give those"),
        ([[1.0, 1.0]], [1.0, 2.0], r"1 steps have times of shape \(2,\)"),
        ([[1.0, 1.0]], [0.5], "step 1 of these has the time 0.5, which isn't after"),
        ([[1.0, 1.0]], [0.25], "step 1 of these has the time 0.25"),
        ([[1.0, 1.0]] * 2, [1.0, NAN], "step 2 of these has the time nan"),
        ([[1.0, 1.0]] * 2, [1.0, np.inf], "step 2 of these has the time inf"),
    ],
)
def test_steps_that_cannot_be_change_nothing(values, times, message):
    how = SeriesFeatures(XY, True, True)
    stream = SeriesStream(how)
    stream.feed([[NAN, 1.0]], times=[0.5])
    before = stream.state()
    with pytest.raises(DataError, match=message):
        stream.feed(values, times=times)
    assert stream.state() == before


def test_first_times_that_cannot_be():
    stream = SeriesStream(SeriesFeatures(("x",), times=True))
    with pytest.raises(DataError, match="has the time nan"):
        stream.feed([1.0], times=[NAN])


def test_channels_are_put_in_the_order_of_the_training():
    series = Series.of([[1.0, 2.0]], channels=("y", "x"))
    assert SeriesFeatures(XY).features(series).tolist() == [[2, 1]]
    counted = Series.of([[1.0, 2.0]])
    assert SeriesFeatures(XY).features(counted).tolist() == [[1, 2]]
    assert SeriesFeatures(("channel 1", "channel 2")).features(series).tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("series", "message"),
    [
        (Series.of([[1.0, 2.0, 3.0]]), r"has 3 channels .*and the model reads 2 \(x, y\)"),
        (Series.of([1.0]), "has 1 channels"),
        (Series.of([[1.0, 2.0]], channels=("x", "q")), "has the channels q, which the model does"),
    ],
)
def test_other_channels_are_refused(series, message):
    with pytest.raises(DataError, match=message):
        SeriesFeatures(XY).features(series)


def test_series_without_times_are_refused_where_these_are_used():
    with pytest.raises(DataError, match="has no times, and the model uses them"):
        SeriesFeatures(("x",), times=True).features(Series.of([1.0], channels=("x",)))


@settings(max_examples=50, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    scale=st.sampled_from([1e-12, 1e-4, 1.0, 1e4, 1e12]),
    offset=st.sampled_from([0.0, 1.0, -1e4]),
)
def test_statistics_are_those_of_the_values_that_are_there(lengths, scale, offset):
    tables = [scale * (walk(n, steps).values + offset) for n, steps in enumerate(lengths)]
    found = observed_statistics(tables)
    together = np.concatenate(tables).astype(np.float64)
    mean, std = np.nanmean(together, axis=0), np.nanstd(together, axis=0)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-9, atol=1e-9 * scale)
    varies = np.nanmax(together, axis=0) > np.nanmin(together, axis=0)
    np.testing.assert_allclose(np.array(found.std)[varies], std[varies], rtol=1e-6)
    assert (np.array(found.std)[~varies] == 1).all()


def test_statistics_of_constant_and_absent_channels():
    tables = [np.full((5, 2), [0.1, NAN]), np.full((3, 2), [0.1, NAN])]
    found = observed_statistics(tables)
    assert found.mean == (0.1, 0)
    assert found.std == (1, 1)
    with pytest.raises(DataError, match="no sequence to standardise by"):
        observed_statistics([])


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize("offset", [0.0, 3.0])
def test_standardised_values_have_mean_zero_and_deviation_one(scale, offset):
    contents = [
        Series.of(scale * (walk(n, 200).values + offset), times=walk(n, 200).times, channels=XY)
        for n in range(4)
    ]
    how = SeriesFeatures(XY, True, True)
    statistics = how.fitted(contents)
    rows = [how.standardised(how.features(series), statistics) for series in contents]
    rows = np.concatenate(rows)
    assert np.isfinite(rows).all()
    masks = rows[:, 2:4] == 1
    for channel in range(2):
        values = rows[masks[:, channel], channel]
        np.testing.assert_allclose([values.mean(), values.std()], [0, 1], atol=1e-3)
    assert set(np.unique(rows[:, 2:4])) == {0, 1}
    assert rows[:, 4:6].min() == 0
    first = np.arange(0, 800, 200)
    distances = np.delete(rows[:, 6], first)
    assert (rows[first, 6] == 0).all()
    np.testing.assert_allclose([distances.mean(), distances.std()], [0, 1], atol=1e-3)


def test_what_is_not_known_yet_is_zero():
    how = SeriesFeatures(("x",))
    series = Series.of([NAN, 7.0, NAN], channels=("x",))
    statistics = how.fitted([Series.of([5.0, 9.0], channels=("x",))])
    rows = how.features(series)
    assert how.standardised(rows, statistics).tolist() == [[0], [0], [0]]
    other = how.fitted([Series.of([1.0, 3.0], channels=("x",))])
    assert how.standardised(rows, other).tolist() == [[0], [5], [5]]
    assert how.standardised(rows, None).tolist() == [[0], [7], [7]]


def test_values_far_from_those_of_the_training_stay_finite():
    how = SeriesFeatures(("x",))
    statistics = how.fitted([Series.of([0.0, 1e-30], channels=("x",))])
    rows = how.standardised(how.features(Series.of([3e38, -3e38], channels=("x",))), statistics)
    assert rows.tolist() == [[1e6], [-1e6]]


@pytest.mark.parametrize(
    ("times", "irregular"),
    [
        ([[0, 1, 2], [5, 6]], False),
        ([[0, 1, 2], [5, 7]], True),
        ([[0, 1, 2.5]], True),
        ([[0, 1e-6, 2e-6]], False),
        ([[0.0, 0.1, 0.2, 0.30000000000000004]], False),
        ([[3.0], [4.0]], False),
        ([[0, 1, 5], None], False),
    ],
)
def test_uneven_times(times, irregular):
    contents = [
        Series.of([1.0, 2.0] if stamps is None else np.ones(len(stamps)), times=stamps)
        for stamps in times
    ]
    assert has_irregular_times(contents) == irregular
