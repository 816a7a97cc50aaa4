"""JSON lines of ink: their forms, and each kind of line that can't be used."""

import gzip
import json

import numpy as np
import pytest

from recurra.data.ink.ink_lines import read_ink_lines
from recurra.errors import DataError

GOOD = '{"strokes": [[[1, 2], [3.5, 4]], [[5, 6]]], "text": "if", "writer": "w1"}'


def write(tmp_path, *lines, name="ink.jsonl"):
    path = tmp_path / name
    data = "\n".join(lines).encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def read_one(tmp_path, line):
    return next(read_ink_lines(write(tmp_path, line)))


@pytest.mark.parametrize("name", ["ink.jsonl", "ink.jsonl.gz"])
def test_a_file(tmp_path, name):
    items = list(read_ink_lines(write(tmp_path, GOOD, "", GOOD, name=name)))
    assert [item.line for item in items] == [1, 3]
    assert items[0].text == "if"
    assert items[0].extra == {"writer": "w1"}
    assert [s.tolist() for s in items[0].ink.strokes] == [[[1, 2], [3.5, 4]], [[5, 6]]]


@pytest.mark.parametrize(
    ("line", "columns", "points"),
    [
        ('{"strokes": [[[1, 2, 3]]]}', "x y pressure", [[1, 2, 3]]),
        ('{"strokes": [[[1, 2, 3, 4]]]}', "x y pressure time", [[1, 2, 3, 4]]),
        ('{"strokes": [[[1, 2, 3]]], "columns": ["x", "y", "time"]}', "x y time", [[1, 2, 3]]),
        ('{"strokes": [[{"y": 2, "x": 1}]]}', "x y", [[1, 2]]),
        ('{"strokes": [[{"t": 9, "x": 1, "y": 2, "id": 5}]]}', "x y time", [[1, 2, 9]]),
        (
            '{"strokes": [[{"time": 9, "x": 1, "y": 2, "p": 0}]]}',
            "x y pressure time",
            [[1, 2, 0, 9]],
        ),
    ],
)
def test_forms_of_points(tmp_path, line, columns, points):
    item = read_one(tmp_path, line)
    assert " ".join(item.ink.columns) == columns
    assert item.ink.strokes[0].tolist() == points
    assert item.text is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("strokes", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1]", "is a JSON list, not an object"),
        ('{"text": "a"}', '"strokes" is missing'),
        ('{"strokes": {"x": 1}}', '"strokes" is {"x": 1}'),
        ('{"strokes": [3]}', '"strokes" holds 3; a stroke is a list of points'),
        ('{"strokes": [[1, 2], [3, 4]]}', "stroke 1 holds 1; a point is"),
        ('{"strokes": [[[[1, 2]]]]}', r"stroke 1 holds \[\[1, 2\]\]; a point is"),
        ('{"strokes": [[[1, 2, 3, 4, 5], [1, 2, 3, 4, 5]]]}', "stroke 1 holds"),
        ('{"strokes": [[[1, 2], [1, 2, 3]]]}', "stroke 1 mixes points of 2 and of 3 numbers"),
        ('{"strokes": [[[1, 2]], [[1, 2, 3]]]}', "different columns.*x-y and x-y-pressure"),
        ('{"strokes": [[[1, "2"]]]}', 'stroke 1 holds "2" in a point'),
        ('{"strokes": [[[1, true]]]}', "stroke 1 holds true in a point"),
        ('{"strokes": [[[1, null]]]}', "stroke 1 holds null in a point"),
        ('{"strokes": [[[1, [2]]]]}', r"stroke 1 holds \[2\] in a point"),
        ('{"strokes": [[{"x": 1}]]}', "a point with the keys x; give x and y"),
        ('{"strokes": [[{"x": 1, "y": 2}, [1, 2]]]}', "mixes points of different keys"),
        ('{"strokes": [[{"x": 1, "y": 2}, {"x": 1}]]}', "mixes points of different keys"),
        ('{"strokes": [[[1, NaN]]]}', "stroke 1, point 1: y is nan"),
        ('{"strokes": [[[1, 1e999]]]}', "stroke 1, point 1: y is inf"),
        ('{"strokes": [[[1, 1' + "0" * 400 + "]]]}", "too large for a float"),
        ('{"strokes": []}', "the ink is empty"),
        ('{"strokes": [[], []]}', "the ink is empty"),
        ('{"strokes": [[[1, 2]]], "columns": ["x", "y", "time"]}', '"columns" is .* 2 numbers'),
        ('{"strokes": [[[1, 2]]], "text": 7}', '"text" is 7; give a string'),
    ],
)
def test_lines_that_cannot_be_used(tmp_path, line, message):
    path = write(tmp_path, GOOD, line)
    reading = read_ink_lines(path)
    next(reading)
    with pytest.raises(DataError, match=f"ink.jsonl:2: .*{message}"):
        next(reading)


def test_errors_are_handed_on_and_reading_goes_on(tmp_path):
    errors = []
    items = list(read_ink_lines(write(tmp_path, GOOD, "{", GOOD, "[]"), errors.append))
    assert [item.line for item in items] == [1, 3]
    assert [str(error).split(": ")[0][-2:] for error in errors] == [":2", ":4"]


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        next(read_ink_lines(tmp_path / "absent.jsonl"))
    path = write(tmp_path, *[GOOD] * 99, name="ink.jsonl.gz")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"ink.jsonl.gz: cannot be read after line \d+"):
        list(read_ink_lines(path))
    path.write_text(GOOD)
    with pytest.raises(DataError, match="cannot be read after line 0"):
        list(read_ink_lines(path))
    (tmp_path / "a.wav").write_bytes(b"RIFF\xff\xfe")
    with pytest.raises(DataError, match=r"a.wav:1: is not UTF-8 text"):
        list(read_ink_lines(tmp_path / "a.wav"))


def test_a_line_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr("recurra.data.ink.ink_lines._LONGEST", 50)
    with pytest.raises(DataError, match=r"ink.jsonl:1: a line of more than 50 characters"):
        list(read_ink_lines(write(tmp_path, json.dumps({"strokes": [[[1, 2]] * 20]}))))


@pytest.mark.data
def test_real_pens(real_data):
    items = list(read_ink_lines(real_data / "pen_text" / "valid.jsonl.gz"))
    levels = [item.extra["level"] for item in items]
    assert (levels.count("word"), levels.count("line")) == (1168, 102)
    assert np.median([i.ink.points for i in items if i.extra["level"] == "line"]) > 400
