"""Files of .ts: values as aeon 1.6 reads them, pairs with times, and what is wrong with a line."""

import gzip

import numpy as np
import pytest

from recurra.data.sequences.sequence_sources import read_sequences
from recurra.errors import DataError

HEAD = "@problemName tiny\n@timeStamps false\n@missing false\n@univariate false\n"
CLASSES = HEAD + "@classLabel true up down\n@data\n"
TIMED = "@timeStamps true\n@classLabel true up down\n@data\n"


def good_line(head):
    """A line that this header allows."""
    if "dimensions" in head:
        return "1:2:3:up"
    if "seriesLength" in head:
        return "1,2,3:up"
    return "(0,1):up" if head == TIMED else "1,2:up"


def contents(reading):
    return [(item.text, item.data.values.T.tolist()) for item in reading.items]


def test_values_are_those_of_aeon(read):
    text = HEAD + "@dimensions 2\n@classLabel true Up down\n@data\n"
    text += "1,2,3:4,?,6:Up\n-1.5e-4,2e4:0.5,NaN:down\n # 1:2:Up\n7:8:Up\n"
    reading, bad = read("mv.ts", f"# comment\n{text}")
    values = [item.data.values.T for item in reading.items]
    np.testing.assert_array_equal(values[0], [[1, 2, 3], [4, np.nan, 6]])
    np.testing.assert_array_equal(
        values[1], np.array([[-0.00015, 20000.0], [0.5, np.nan]], np.float32)
    )
    assert values[2].tolist() == [[7], [8]]
    assert [item.text for item in reading.items] == ["Up", "down", "Up"]
    assert [item.name for item in reading.items] == ["mv.ts:9", "mv.ts:10", "mv.ts:12"]
    assert reading.items[0].origin.endswith("mv.ts, line 9")
    assert not bad
    assert not reading.notes


def test_targets_and_capitals_of_directives(read):
    text = "@TIMESTAMPS false\r\n@UnivAriate TRUE\r\n@equallength true\r\n@serieslength 3\r\n"
    reading, _ = read(
        "reg.ts", f"{text}@targetlabel true\r\n@data\r\n1.0,2.0,3.0:0.25\r\n4,5,6:-1.5"
    )
    assert contents(reading) == [("0.25", [[1, 2, 3]]), ("-1.5", [[4, 5, 6]])]


def test_files_without_labels(put):
    path = put("a.ts", HEAD + "@classLabel false\n@data\n1,2:3,4\n")
    assert contents(read_sequences(path, texts=False)) == [(None, [[1, 2], [3, 4]])]
    with pytest.raises(DataError, match=r"a.ts, line 7: has no label"):
        read_sequences(path)


def test_packed_files_and_marks(put):
    data = gzip.compress(("\ufeff" + CLASSES + "1,2:up\n").encode())
    assert contents(read_sequences(put("a.ts.gz", data))) == [("up", [[1, 2]])]


def test_pairs_with_times_lie_at_all_times_of_any_channel(read):
    reading, bad = read("a.ts", TIMED + "(0,1),(2,3):(1,5),(2,?):up\n(0.5,1e-4):(0.5,1e4):down\n")
    series = reading.items[0].data
    np.testing.assert_array_equal(series.times, [0, 1, 2])
    np.testing.assert_array_equal(series.values, [[1, np.nan], [np.nan, 5], [3, np.nan]])
    assert reading.items[1].data.times.tolist() == [0.5]
    assert not bad


def test_dates_are_seconds_since_the_first(read):
    line = "(2007-01-01 00:00:30,1),(2007-01-01 00:00:00,2):up\n"
    line += "(2007-01-01T01:00:00,1),(2007-01-02,2):down\n"
    reading, _ = read("a.ts", TIMED + line)
    assert [item.data.times.tolist() for item in reading.items] == [[0, 30], [0, 82800]]
    assert reading.items[0].data.values.tolist() == [[2], [1]]


@pytest.mark.parametrize(
    ("head", "line", "message"),
    [
        (CLASSES, "1,x:up", "channel 1: value 2 is 'x', where a number is needed"),
        (CLASSES, "1,2:3,4,5:up", "channel 1 has 2 steps, and another 3"),
        (CLASSES, "1,2:3,inf:up", "step 2 of 'channel 2' is inf"),
        (CLASSES, "?,?:?,?:up", "all its values are missing"),
        (CLASSES, "1,2:left", "has the label 'left', and @classLabel lists up, down"),
        (CLASSES, "1,2:3,4", r"ends with values \('3,4'\), not a label; is the line cut short"),
        (CLASSES, "1,2,3", "has no ':' before a label; is the line cut short"),
        (CLASSES, "1,2:?", "has no label"),
        (CLASSES, "1,2:", "has no label"),
        ("@dimensions 3\n" + CLASSES, "1:2:up", "has 2 channels, and @dimensions is 3"),
        ("@univariate true\n" + CLASSES.replace(HEAD, ""), "1:2:up", "@univariate is true"),
        ("@equalLength true\n@seriesLength 3\n" + CLASSES, "1,2:up", "@seriesLength is 3"),
        (TIMED, "(0,1),(1:up", r"channel 1: '\(1' is not \(time,value\)"),
        (TIMED, "(0,1),(1,x):up", "'x' is not a number"),
        (TIMED, "(0,1),(0,2):up", "channel 1 has the time 0 twice"),
        (TIMED, "(soon,1):up", "the time 'soon' is neither a number nor a date"),
        (TIMED, "(0,1):(2024-01-31,2):up", "times that are numbers and others that are dates"),
        (TIMED, "?:up", "has no step"),
    ],
)
def test_one_bad_line_ends_nothing(read, put, head, line, message):
    good = good_line(head)
    number = head.count("\n") + 2
    reading, bad = read("a.ts", f"{head}{good}\n{line}\n{good}\n")
    assert len(reading.items) == 2
    assert len(bad) == 1
    with pytest.raises(DataError, match=rf"a\.ts, line {number}: .*{message}"):
        read_sequences(put("a.ts", f"{head}{good}\n{line}\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.ts: is empty"),
        (HEAD, "a.ts: has no line @data"),
        (CLASSES, "a.ts: has no series after @data; is the file cut short"),
        ("@data\n1,2:a\n", "has neither @classLabel nor @targetLabel"),
        ("1,2:a\n", "a.ts, line 1: '1,2:a' comes before @data"),
        ("@timeStamps maybe\n", "a.ts, line 1: @timeStamps is followed by maybe; write true"),
        ("@dimensions two\n", "a.ts, line 1: @dimensions is followed by two; write a whole"),
        (b"@problemName caf\xe9\n", r"not UTF-8 \(byte 0xe9 in line 1\)"),
    ],
)
def test_files_that_cannot_be_read(put, text, message):
    with pytest.raises(DataError, match=message):
        read_sequences(put("a.ts", text))


def test_unknown_directives_are_told(read):
    reading, _ = read("a.ts", "@colour blue\n" + CLASSES + "1:up\n")
    assert reading.notes[0].endswith("a.ts, line 1: @colour is not known, and ignored.")


def test_channels_of_most_sequences_are_needed(read):
    reading, bad = read("a.ts", CLASSES + "1:2:up\n" * 3 + "1:up\n")
    assert len(reading.items) == 3
    assert "line 10: has 1 channels, and most sequences have 2" in bad[0]


@pytest.mark.data
def test_real_files(real_data):
    folder = real_data / "japanese_vowels"
    train, test = (folder / f"JapaneseVowels_{part}.ts" for part in ("TRAIN", "TEST"))
    items = read_sequences([train, test]).items
    assert len(items) == 640
    assert {item.data.values.shape[1] for item in items} == {12}
    steps = [item.data.steps for item in items]
    assert (min(steps), max(steps)) == (7, 29)
    assert {item.text for item in items} == set("123456789")
    assert items[0].data.values[0, 0] == np.float32(1.860936)
