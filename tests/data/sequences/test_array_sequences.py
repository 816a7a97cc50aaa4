"""Arrays in memory: the order of their axes, labels, and sequences that can't be."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from recurra.data.sequences.array_sequences import recognise_layout
from recurra.data.sequences.sequence_sources import read_sequences
from recurra.data.sequences.series import Series
from recurra.data.transcripts.bad_items import BadItems
from recurra.errors import ConfigError, DataError


def arrays(shapes):
    return [np.arange(float(rows * columns)).reshape(rows, columns) for rows, columns in shapes]


@pytest.mark.parametrize(
    ("shapes", "layout", "note"),
    [
        ([(5, 2), (9, 2)], "steps,channels", "5 to 9 x 2 is taken as 5 to 9 steps of 2 channels"),
        ([(12, 7), (12, 29)], "channels,steps", "12 x 7 to 29 is taken as 7 to 29 steps of 12 c"),
        ([(2, 300), (9, 300)], "steps,channels", "2 to 9 steps of 300 channels (the axis that di"),
        ([(4, 3)] * 2, "steps,channels", "4 steps of 3 channels (the longer axis is time)."),
        ([(1, 50)], "channels,steps", "50 steps of 1 channel (the longer axis is time)."),
        ([(4, 3), (5, 3), (6, 3), (7, 2)], "steps,channels", "4 to 7 steps of 3 channels"),
    ],
)
def test_time_is_the_axis_that_differs_else_the_longer_one(shapes, layout, note):
    order = recognise_layout(shapes)
    assert order.layout == layout
    assert note in order.note
    reading = read_sequences(arrays(shapes), texts=False, bad=BadItems(share=0.5))
    assert reading.layout == layout
    assert reading.notes == (order.note,)
    first = arrays(shapes)[0]
    expected = first if layout == "steps,channels" else first.T
    assert reading.items[0].data.values.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (
            [(3, 3)],
            "the sequences are 3 x 3, so which axis is time can't be told.*'channels,steps'",
        ),
        ([(3, 4), (4, 5), (5, 6)], "differ along both axes, as 3 x 4 and 4 x 5 do"),
    ],
)
def test_axes_that_cannot_be_told_apart(shapes, message):
    with pytest.raises(DataError, match=message):
        read_sequences(arrays(shapes), texts=False)


def test_the_layout_settles_it():
    (array,) = arrays([(3, 3)])
    steps = read_sequences([array], texts=False, layout="steps,channels")
    channels = read_sequences([array], texts=False, layout="channels,steps")
    assert steps.items[0].data.values.tolist() == array.tolist()
    assert channels.items[0].data.values.tolist() == array.T.tolist()
    assert steps.notes == channels.notes == ()
    with pytest.raises(ConfigError, match="layout = 'time'; it is 'steps,channels' or"):
        read_sequences([array], texts=False, layout="time")


def test_every_container_of_the_same_sequences():
    whole = np.arange(24.0).reshape(2, 4, 3)
    objects = np.empty(2, object)
    objects[:] = list(whole)
    sources = [
        *(whole, objects, list(whole), tuple(whole), whole.tolist(), torch.tensor(whole)),
        *([torch.tensor(a) for a in whole], whole.astype(np.int16), whole.transpose(0, 2, 1)),
        [pd.DataFrame(a) for a in whole],
        [Series.of(a) for a in whole],
    ]
    for source in sources:
        items = read_sequences(source, labels=np.array([0, 1])).items
        assert [item.text for item in items] == ["0", "1"]
        for item, values in zip(items, whole, strict=True):
            np.testing.assert_array_equal(item.data.values, values)


def test_one_channel_of_any_lengths():
    reading = read_sequences([np.arange(3), [4, None, 6, 7], [8.0]], labels=["a", "b", "c"])
    assert [item.data.values.shape for item in reading.items] == [(3, 1), (4, 1), (1, 1)]
    assert np.isnan(reading.items[1].data.values[1, 0])
    assert reading.notes == ()
    rows = read_sequences(np.arange(6.0).reshape(2, 3), labels=["a", "b"])
    assert rows.items[1].data.values.T.tolist() == [[3, 4, 5]]
    (note,) = rows.notes
    assert note.startswith("2 x 3 is taken as 2 sequences of 3 steps of 1 channel; one sequence")


def test_pairs_and_series_with_times():
    pairs = [([1.0, 2.0], "a"), (np.arange(3), 7)]
    assert [item.text for item in read_sequences(pairs).items] == ["a", "7"]
    series = Series.of([1.0, 2.0], times=[0, 5])
    assert read_sequences([(series, "a")]).items[0].data is series


def test_frames_name_their_channels():
    frames = [pd.DataFrame({"x": [1.0], "y": [2.0]})] * 2
    item = read_sequences(frames, labels="ab").items[0]
    assert item.data.channels == ("x", "y")
    assert item.data.values.tolist() == [[1, 2]]


def test_labels_of_steps():
    reading = read_sequences([[1.0, 2.0], [3.0]], labels=[["u", "v"], ["w"]], label="step")
    assert [item.data.labels for item in reading.items] == [("u", "v"), ("w",)]
    with pytest.raises(DataError, match=r"sequence 1 \(from 0\): has 1 steps and 2 labels"):
        read_sequences([[1.0, 2.0], [3.0]], labels=[[0, 1], [0, 1]], label="step")
    with pytest.raises(DataError, match="has the label 'u', and one for each step is wanted"):
        read_sequences([[1.0]], labels=["u"], label="step")


@pytest.mark.parametrize(
    ("sequence", "message"),
    [
        ([], "has 0 steps of 1 channels"),
        ([1.0, np.inf], "step 2 of 'channel 1' is inf"),
        ([np.nan], "all its values are missing"),
        ([1 + 2j], "Complex data not supported"),
        (["x"], "isn't an array of numbers"),
        ([[1.0, 2.0], [3.0]], "isn't an array of numbers"),
        (np.zeros((2, 2, 2)), r"has the shape \(2, 2, 2\)"),
        (np.float64(3), r"has the shape \(\)"),
        (np.zeros((7, 3)), "has 3 channels, and most sequences have 1"),
    ],
)
def test_one_bad_sequence_ends_nothing(sequence, message):
    source, labels = [[1.0], sequence, [2.0]], ["a", "b", "c"]
    bad = BadItems(share=1)
    items = read_sequences(source, labels, bad=bad).items
    assert [item.name for item in items] == ["sequence 0", "sequence 2"]
    assert len(bad) == 1
    with pytest.raises(DataError, match=f"sequence 1.*{message}"):
        read_sequences(source, labels)


@pytest.mark.parametrize(
    ("source", "labels", "message"),
    [
        ([[1.0]], ["a", "b"], "1 sequences have 2 labels"),
        ([[1.0]], None, "sequence 0: has no label"),
        ([[1.0]], [np.nan], "sequence 0: has no label"),
        ([], None, "there is no sequence"),
        (np.zeros(4), None, r"an array of shape \(4,\) is not a list of sequences"),
        (np.zeros((1, 1, 1, 1)), None, r"shape \(1, 1, 1, 1\)"),
        (5, None, "an object of type int is not a source of sequences"),
        ({"a": [1]}, None, "an object of type dict is not a source"),
        ("a.ts", ["a"], "labels are given apart from a.ts, which has its own"),
        ("a.ts", None, "a.ts: no such file"),
    ],
)
def test_sources_that_cannot_be(source, labels, message):
    with pytest.raises(DataError, match=message):
        read_sequences(source, labels)


def test_words_that_are_not_allowed(put):
    with pytest.raises(ConfigError, match="label = 'steps'; it is 'sequence', 'step' or 'auto'"):
        read_sequences([[1.0]], label="steps")
    with pytest.raises(DataError, match=r"a .ts file has no labels of steps"):
        read_sequences(put("a.ts", "x"), label="step")


def test_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match="is a folder; name the files in it"):
        read_sequences(tmp_path)


def test_files_of_one_name_are_called_by_their_folder(put, tmp_path):
    (tmp_path / "other").mkdir()
    paths = [put(name, "a\t1\t2\n") for name in ("x.tsv", "other/x.tsv")]
    assert [item.name for item in read_sequences(paths).items] == [f"{p}, line 1" for p in paths]


def test_arrays_with_labels_of_steps_are_recognised():
    generator = np.random.default_rng(0)
    sequences = [generator.normal(size=(3, steps)) for steps in (50, 2, 41)]
    reading = read_sequences(sequences, [np.arange(s.shape[1]) for s in sequences], label="auto")
    assert [item.data.steps for item in reading.items] == [50, 2, 41]
    assert reading.items[1].data.labels == ("0", "1")
    assert reading.layout == "channels,steps"
    assert "it has a label for each step" in reading.notes[0]
    whole = read_sequences(sequences, [[1.0, 2.0, 3.0]] * 3, label="auto")
    assert [item.data.labels for item in whole.items] == [None] * 3
    several = [np.stack([s[0], s[1]], axis=1) for s in sequences]
    labels = read_sequences(sequences, several, label="auto").items[1].data.labels
    assert [json.loads(text) for text in labels] == several[1].tolist()


def test_one_array_with_as_many_labels_is_one_recording():
    values = np.arange(3000.0).reshape(1000, 3)
    for source in (values, values.T):
        reading = read_sequences(source, np.arange(1000.0), label="auto")
        assert [item.data.steps for item in reading.items] == [1000]
        assert (reading.items[0].data.values == values).all()
    assert len(read_sequences(values[:40], np.arange(40.0), label="auto").items) == 40
    assert len(read_sequences(values[:40], np.arange(40.0), label="step").items) == 1
    assert read_sequences(values[:, 0], np.arange(1000.0), label="auto").items[0].data.steps == 1000


def test_labels_that_are_nearly_as_many_as_steps_are_refused():
    with pytest.raises(DataError, match="50 steps and 49 labels each"):
        read_sequences(np.zeros((4, 50, 2)), np.zeros((4, 49)), label="auto")
    with pytest.raises(DataError, match=r"sequence 1 \(from 0\): has 40 steps and 39 labels"):
        read_sequences([np.ones(50), np.ones(40)], [np.zeros(50), np.zeros(39)], label="auto")
