"""Series as an input of tasks: what the data decide, streams, settings as JSON, pictures."""

import json

import numpy as np
import pytest

from recurra.config.input_config import InputConfig
from recurra.data.sequences.sequence_sources import read_sequences
from recurra.data.sequences.series import Series
from recurra.data.transcripts.item import Item
from recurra.errors import DataError
from recurra.tasks.inputs.series_input import SeriesInput

NAN = np.nan


def items(*contents):
    pairs = enumerate(contents)
    return [Item(f"s{n}", "series", "a", data=data, origin=f"row {n}") for n, data in pairs]


def input_of(*contents, **config):
    how = SeriesInput.of(InputConfig(**config), items(*contents))
    return how.fitted(contents)


def walk(steps=50, scale=1.0, seed=0, **more):
    values = np.random.default_rng(seed).normal(size=(steps, 2)).cumsum(axis=0)
    return Series.of(scale * values, **more)


@pytest.mark.parametrize(
    ("contents", "size"),
    [
        ([walk(), walk(9)], 2),
        ([walk(), Series.of([[1.0, NAN]])], 6),
        ([walk(3, times=[0, 1, 2]), walk(2, times=[7, 8])], 2),
        ([walk(3, times=[0, 1, 4])], 3),
        ([walk(3, times=[0, 1, 4]), walk(3)], 2),
        ([walk(2, times=[0, 1]), Series.of([[NAN, 2.0], [1, 2]], times=[0, 3])], 7),
    ],
)
def test_the_data_decide_the_features(contents, size):
    how = input_of(*contents)
    assert how.size == size
    for content in contents:
        features = how.features(content)
        assert features.shape == (len(content), size)
        assert features.dtype == np.float32
        assert np.isfinite(features).all()


def test_settings_travel_as_json():
    how = input_of(walk(3, times=[0, 1, 4]), Series.of([[NAN, 2.0]], times=[1]))
    kept = json.loads(json.dumps(how.to_json()))
    again = SeriesInput.from_json(kept)
    assert again == how
    assert kept["kind"] == "series"
    content = walk(5, times=[0, 1, 2, 3, 9])
    assert again.features(content).tobytes() == how.features(content).tobytes()


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize("steps", [1, 7, 100_000])
def test_a_stream_gives_the_bits_of_the_whole(scale, steps):
    values = scale * np.random.default_rng(0).normal(size=(steps, 2))
    values[::3, 0] = NAN
    series = Series.of(values)
    how = input_of(walk(scale=scale), Series.of([[NAN, scale]]))
    whole = how.features(series)
    stream, cut = how.stream(), steps // 3
    first = stream.feed(series.values[:cut])
    stream = how.stream(json.loads(json.dumps(stream.state())))
    pieces = [first, stream.feed(series.values[cut:]), stream.finish()]
    assert (
        np.concatenate([how.standardised(piece) for piece in pieces]).tobytes() == whole.tobytes()
    )
    assert np.abs(whole).max() < 50


def test_units_do_not_matter():
    """Features of the same data in other units are the same."""
    plain = input_of(walk(), walk(seed=1)).features(walk())
    for scale in (1e-12, 1e-4, 1e4, 1e12):
        scaled = input_of(walk(scale=scale), walk(scale=scale, seed=1)).features(walk(scale=scale))
        np.testing.assert_allclose(scaled, plain, atol=1e-4)


def test_contents_are_opened_in_the_order_of_the_channels():
    named = [walk(seed=n, channels=("x", "y")) for n in range(3)]
    how = input_of(*named)
    turned = Series.of(named[0].values[:, ::-1], channels=("y", "x"))
    opened = how.open(items(turned)[0])
    assert how.features(opened).tobytes() == how.features(named[0]).tobytes()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Series.of([[1.0, 2.0, 3.0]]), "row 0: has 3 channels .*, and the model reads 2"),
        (Series.of([[1.0, 2.0]], channels=("x", "q")), "row 0: has the channels q"),
        (walk(), "row 0: has no times, and the model uses them"),
        (np.zeros((3, 2)), "row 0: is of type ndarray; give a Series"),
    ],
)
def test_items_that_cannot_be_read(data, message):
    how = input_of(walk(3, times=[0, 1, 5], channels=("x", "y")))
    with pytest.raises(DataError, match=message):
        how.open(items(data)[0])


def test_items_of_another_kind_alone():
    with pytest.raises(DataError, match="No item is a Series"):
        SeriesInput.of(InputConfig(), items(np.zeros(3)))


def test_notes_on_what_the_features_do_not_show():
    how = input_of(walk())
    (item,) = items(walk())
    assert how.notes(item, walk()) == []
    missing, uneven = how.notes(item, Series.of([[NAN, 1.0]] * 3, times=[0, 1, 5]))
    assert missing.startswith("has missing values, which the training data had not")
    assert uneven == "has uneven times, which the model doesn't use."
    assert np.isfinite(how.features(Series.of([[NAN, 1.0]] * 3))).all()


def test_strengths_of_the_configuration():
    off = input_of(walk(), noise=0, scale=0, speed=0)
    generator = np.random.default_rng(0)
    assert off.distorted(walk(), generator).values.tobytes() == walk().values.tobytes()
    strong = input_of(walk(), noise=4, scale=4, speed=4)
    usual = input_of(walk())
    assert strong.distortion.noise == 4 * usual.distortion.noise
    assert strong.distortion.warp == 4 * usual.distortion.warp
    assert strong.distortion.length == 4 * usual.distortion.length
    assert strong.distortion.scale == 4 * usual.distortion.scale
    lengths = {len(strong.distorted(walk(), generator)) for _ in range(50)}
    assert len(lengths) > 10
    assert input_of(walk(), masks=0).masks.time_share == 0
    assert usual.masks.feature_share == 0


def test_a_picture():
    media = input_of(walk()).media(walk())
    assert media.kind == "png"
    assert media.data.startswith(b"\x89PNG")


@pytest.mark.data
def test_real_vowels(real_data):
    found = read_sequences(real_data / "japanese_vowels" / "JapaneseVowels_TRAIN.ts").items
    how = SeriesInput.of(InputConfig(), found)
    contents = [how.open(item) for item in found]
    how = how.fitted(contents)
    rows = np.concatenate([how.features(content) for content in contents])
    assert rows.shape[1] == how.size == 12
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(rows.std(axis=0), 1, atol=1e-4)
