"""Features of ink: values by hand, what they don't depend on, and whole inks against streams."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.data.ink.ink import COLUMNS, Ink
from recurra.data.ink.ink_features import InkFeatures
from recurra.data.ink.ink_stream import InkStream
from recurra.data.ink.ink_surroundings import surroundings
from recurra.errors import ConfigError, DataError

PLAIN = InkFeatures.causal(unit=10.0, spacing=0.5)


def table(how, ink):
    """Each feature by its name, over the rows."""
    return dict(zip(how.names, how.features(ink).T.tolist(), strict=True))


def scribble(seed, strokes=3, columns=COLUMNS[0]):
    """Smooth wavy strokes of several letter heights, some columns increasing."""
    generator = np.random.default_rng(seed)
    made = []
    for k in range(strokes):
        t = np.sort(generator.uniform(0, 9, 40))
        x = 30 * t + 8 * np.sin(3 * t) + 300 * k
        y = 30 * np.sin(2 * t + generator.uniform(0, 6)) + 9 * np.cos(5 * t)
        extra = {"pressure": np.abs(np.sin(t)), "time": 1000 * k + 70 * t}
        made.append(np.stack([x, y, *(extra[c] for c in columns[2:])], axis=1))
    return Ink(tuple(made), columns)


def test_an_angle_and_a_dot_by_hand():
    corner = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 5.0]])
    found = table(PLAIN, Ink((corner, np.array([[20.0, 5.0]]))))
    half, root = 0.5 / 1.5, 0.5**0.5
    assert found["dx"] == pytest.approx([0, half, half, 0, 0.5])
    assert found["dy"] == pytest.approx([0, 0, 0, half, 0])
    assert found["start"] == [1, 0, 0, 0, 1]
    assert found["end"] == [0, 0, 0, 1, 1]
    assert found["cos"] == pytest.approx([1, 1, root, 0, 0])
    assert found["sin"] == pytest.approx([0, 0, root, 1, 0])
    assert found["turn_sin"] == pytest.approx([0, 0, 1, 0, 0])
    assert found["turn_cos"] == pytest.approx([0, 0, 1, 0, 0])
    share = 0.5 / 8
    assert found["height"] == pytest.approx([0, 0, 0, -0.5 * (1 - share), -0.5 * (1 - share) ** 2])


@pytest.mark.parametrize(("length", "rows"), [(2, 1), (3, 2), (5, 2), (7.4, 2), (7.6, 3)])
def test_an_end_more_than_half_a_step_away_is_a_sample(length, rows):
    found = table(PLAIN, Ink((np.array([[0.0, 0.0], [0.0, length]]),)))
    assert len(found["dy"]) == rows
    assert found["end"] == [0] * (rows - 1) + [1]


def test_height_is_above_the_baseline():
    t = np.arange(0, 20.01, 0.05)
    ink = Ink((np.stack([10 * t, 70 + 20 * np.abs(t % 2 - 1)], axis=1),))
    height = table(InkFeatures(slant=False), ink)["height"]
    assert min(height) == pytest.approx(0, abs=0.02)
    assert max(height) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("factor", [1.0, 0.001, 400.0])
def test_size_and_place_do_not_matter(factor):
    how, ink = InkFeatures(), scribble(1)
    moved = ink.with_strokes([factor * s + [70 * factor, -9 * factor] for s in ink.strokes])
    np.testing.assert_allclose(how.features(moved), how.features(ink), atol=1e-4)


def test_slant_does_not_matter_unless_it_is_kept():
    ink = scribble(2)
    sheared = ink.with_strokes([s @ np.array([[1.0, 0.0], [0.1, 1.0]]) for s in ink.strokes])
    for slant, differ in ((True, False), (False, True)):
        a, b = (InkFeatures(slant=slant).normalised(i) for i in (ink, sheared))
        away = max(np.abs(x - x[0] - y + y[0]).max() for x, y in zip(a, b, strict=True))
        assert (away > 0.1) == differ


def test_y_up():
    ink = scribble(3)
    mirrored = ink.with_strokes([s * [1, -1] for s in ink.strokes])
    for how in (InkFeatures(), PLAIN):
        up = dataclasses.replace(how, y_up=True)
        np.testing.assert_array_equal(up.features(mirrored), how.features(ink))


def test_pressure_and_time():
    ink = scribble(4, columns=COLUMNS[3])
    how = InkFeatures(pressure=True, time=True, surroundings=False)
    found = table(how, ink)
    assert how.names[-2:] == ("pressure", "time")
    assert 0.95 < max(found["pressure"]) <= 1
    inside = [t for t, start in zip(found["time"], found["start"], strict=True) if not start]
    assert np.mean(inside) == pytest.approx(0.5, abs=0.08)  # 1 / (1 + 1) at the mean speed
    fixed = dataclasses.replace(how, pressure_unit=2.0)
    assert max(table(fixed, ink)["pressure"]) == pytest.approx(max(found["pressure"]) / 2, rel=0.02)
    quick = dataclasses.replace(how, time_unit=1e9)
    assert max(table(quick, ink)["time"]) < 1e-4


@pytest.mark.parametrize(
    "points", [[[5, 5]], [[5, 5], [5, 5]], [[0, 0], [40, 0]], [[0, 0], [0, 40]]]
)
def test_dots_and_dashes(points):
    ink = Ink((np.array(points, dtype=np.float64),))
    rows = InkFeatures().features(ink)
    assert rows.dtype == np.float32
    assert rows.shape == (6 if np.ptp(points) else 1, 18)
    assert np.isfinite(rows).all()


def test_surroundings_are_path_lengths_in_cells():
    places = np.random.default_rng(0).uniform(0, 5, (200, 2))
    bins = np.floor(4 * places)
    found = surroundings(places, 0.2)
    for t in (0, 77, 199):
        away = bins - bins[t]
        rows, columns = (np.floor((away[:, axis] + 6) / 4) for axis in (1, 0))
        lengths = np.array(
            [0.2 * ((rows == r) & (columns == c)).sum() for r in range(3) for c in range(3)]
        )
        np.testing.assert_allclose(found[t], lengths / (1 + lengths), atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"spacing": 0}, "spacing=0; give letter heights from"),
        ({"spacing": float("nan")}, "spacing=nan"),
        ({"size": "line"}, "size='line'; give 'ink' or 'fixed'"),
        ({"unit": 3.0}, "size='ink' with unit=3.0"),
        ({"size": "fixed", "slant": False}, "size='fixed' with unit=None"),
        ({"size": "fixed", "unit": -1}, "unit=-1; give a number above 0"),
        ({"size": "fixed", "unit": 1}, "slope, slant, surroundings, which need the whole ink"),
        ({**dataclasses.asdict(PLAIN), "time": True}, "time=True needs time_unit"),
        ({**dataclasses.asdict(PLAIN), "pressure": True}, "pressure=True needs pressure_unit"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ConfigError, match=message):
        InkFeatures(**settings)


@pytest.mark.parametrize(
    ("how", "points", "message"),
    [
        (InkFeatures(pressure=True), [[0, 0]], r"the ink has no pressure \(x, y\)"),
        (PLAIN, [[0, 0], [1e9, 0]], "more than 100,000 samples; is the unit right"),
        (PLAIN, [[0, 0], [4e5, 0], [0, 0]] * 2, "more than 100,000 samples"),
    ],
)
def test_ink_that_has_no_features(how, points, message):
    with pytest.raises(DataError, match=message):
        how.features(Ink((np.array(points, dtype=np.float64),)))


def test_too_many_rows_of_several_strokes():
    stroke = np.array([[0.0, 0.0], [3e5, 0.0]])
    with pytest.raises(DataError, match="gives 120,002 rows, and 100,000"):
        PLAIN.features(Ink((stroke, stroke)))


def test_stray_strokes_far_away():
    ink = scribble(5)
    with pytest.raises(DataError, match=r"spread over .* letter heights; give one line"):
        InkFeatures(slope=False).features(ink.with_strokes([*ink.strokes, np.full((1, 2), 1e9)]))


def test_settings_travel_as_json():
    how = InkFeatures.causal(unit=1 / 3, y_up=True)
    assert InkFeatures(**json.loads(json.dumps(dataclasses.asdict(how)))) == how


CAUSAL = [
    (InkFeatures.causal(unit=30.0), COLUMNS[0]),
    (
        InkFeatures(0.5, "fixed", 30.0, False, False, False, True, True, 2.0, 70.0, True),
        COLUMNS[3],
    ),
    (InkFeatures(0.1, "fixed", 30.0, False, False, False, time=True, time_unit=7.0), COLUMNS[3]),
]


def stream_pieces(stream, ink, cuts, *, restored):
    """The rows of each piece, pen-ups with the last piece of a stroke or after it by turns."""
    pieces = []
    for number, stroke in enumerate(ink.strokes):
        parts = np.split(stroke, sorted(c for c in cuts if c < len(stroke)))
        for k, part in enumerate(parts):
            last = k == len(parts) - 1
            pieces.append(stream.feed(part, pen_up=last and number % 2 == 0))
            if restored:
                state = json.loads(json.dumps(stream.state()))
                stream = InkStream.resumed(stream.how, state)
        if number < len(ink.strokes) - 1:
            pieces.append(stream.feed(stroke[:0], pen_up=True))
    return [*pieces, stream.finish(), stream.finish()]


@settings(max_examples=60, deadline=None)
@given(
    case=st.sampled_from(CAUSAL),
    seed=st.integers(0, 10),
    cuts=st.lists(st.integers(0, 40), max_size=12),
    restored=st.booleans(),
)
def test_a_stream_gives_the_bits_of_the_whole(case, seed, cuts, restored):
    how, columns = case
    ink = scribble(seed, 3, columns)
    dots = [s[:n] for s, n in zip(ink.strokes, (1, 2, 3), strict=True)]
    ink = ink.with_strokes([*ink.strokes, *dots])
    pieces = stream_pieces(InkStream(how, columns), ink, cuts, restored=restored)
    whole = how.features(ink)
    assert np.concatenate(pieces).tobytes() == whole.tobytes()
    assert not len(pieces[-1])


def test_a_stream_withholds_one_step_only():
    stream = InkStream(PLAIN)
    rows = [len(stream.feed(np.array([[float(x), 0.0]]))) for x in range(0, 31, 5)]
    assert rows == [0, 1, 1, 1, 1, 1, 1]


def test_streams_that_cannot_be():
    with pytest.raises(ConfigError, match="'ink' needs the whole ink, so it can't be"):
        InkStream(InkFeatures())
    with pytest.raises(ConfigError, match="give one of"):
        InkStream(PLAIN, ("x",))
    with pytest.raises(DataError, match="has no time"):
        InkStream(CAUSAL[2][0]).feed(np.zeros((1, 2)))
    stream = InkStream(PLAIN)
    with pytest.raises(DataError, match="not finite"):
        stream.feed(np.array([[0.0, np.nan]]))
    with pytest.raises(DataError, match=r"points of shape \(2, 3\)"):
        stream.feed(np.zeros((2, 3)))
    assert stream.finish().shape == (0, 9)
