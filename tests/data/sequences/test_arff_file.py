"""Files of .arff: both forms, as aeon 1.6 reads them, quotation, and what is wrong."""

import numpy as np
import pytest

from recurra.data.sequences.sequence_sources import read_sequences
from recurra.errors import DataError

UNI = """% a comment
@relation 'a tiny one'
@attribute att1 numeric
@ATTRIBUTE 'att 2'\tREAL
@attribute att3 integer
@attribute target {a, 'b c'}

@data
"""
MULTI = """@relation tiny
@attribute rel relational
  @attribute t1 numeric
  @attribute t2 numeric
  @attribute t3 numeric
@end rel
@attribute activity {walk,run}
@data
"""


def contents(reading):
    return [(item.text, item.data.values.T.tolist()) for item in reading.items]


def test_one_channel(read):
    reading, bad = read("a.arff", UNI + "1.5,2.5,3.5,a\n%no\n-1e-4, 2e4 ,0,'b c'\n1,2,?,a\n")
    expected = [[1.5, 2.5, 3.5]], np.array([[-1e-4, 2e4, 0]], np.float32).tolist(), [[1, 2]]
    assert contents(reading) == list(zip(["a", "b c", "a"], expected, strict=True))
    assert reading.items[1].name == "a.arff:11"
    assert not bad


def test_lines_of_a_relational_cell_are_channels(read):
    reading, bad = read("a.arff", MULTI + r"'1,2,3\n4,5,6',walk" + "\n" + r'"7,?,?\n8,9,?",run')
    assert contents(reading)[0] == ("walk", [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(reading.items[1].data.values.T, [[7, np.nan], [8, 9]])
    assert not bad


def test_weights_of_rows_are_left_out(read):
    reading, _ = read("a.arff", UNI + "1,2,3,a,{0.5}\n")
    assert contents(reading) == [("a", [[1, 2, 3]])]


def test_regression_and_chosen_labels(put):
    head = "@relation r\n@attribute a numeric\n@attribute b numeric\n@attribute target numeric\n"
    path = put("a.arff", head + "@data\n1,2,0.5\n")
    assert contents(read_sequences(path)) == [("0.5", [[1, 2]])]
    assert contents(read_sequences(path, label_column="a")) == [("1", [[2, 0.5]])]
    with pytest.raises(DataError, match=r"no attribute 'z' \(label\); it has a, b, target at"):
        read_sequences(path, label_column="z")


def test_files_without_labels(put):
    path = put("a.arff", "@relation r\n@attribute a numeric\n@attribute b numeric\n@data\n1,2\n")
    assert contents(read_sequences(path, texts=False)) == [(None, [[1, 2]])]
    with pytest.raises(DataError, match="line 5: has no label"):
        read_sequences(path)


@pytest.mark.parametrize(
    ("head", "line", "message"),
    [
        (UNI, "1,2,a", "has 3 cells, and the header 4 attributes; is the line cut short"),
        (UNI, "1,2,x,a", "value 3 is 'x', where a number is needed"),
        (UNI, "1,2,3,d", "has the label 'd', and 'target' lists a, b c"),
        (UNI, "1,2,3,?", "has no label"),
        (UNI, "?,?,?,a", "all its values are missing"),
        (UNI, "1,2,-inf,a", "is -inf"),
        (UNI, "{0 1, 3 a}", "is a sparse row"),
        (UNI, "1,2,3,'a", "has a quotation mark that isn't closed"),
        (MULTI, r"'1,2\n4,5,6',walk", "channel 2 has 3 steps, and the first 2"),
        (MULTI, r"'1,2\n4,x',walk", "channel 2: value 2 is 'x'"),
        (MULTI, r"'1,2\n4,5", "has a quotation mark that isn't closed"),
        (MULTI, "'',walk", "its relational cell is empty"),
    ],
)
def test_one_bad_row_ends_nothing(read, put, head, line, message):
    good = "1,2,3,a" if head == UNI else r"'1,2\n3,4',walk"
    reading, bad = read("a.arff", f"{head}{good}\n{line}\n{good}\n")
    assert len(reading.items) == 2
    assert len(bad) == 1
    number = head.count("\n") + 2
    with pytest.raises(DataError, match=rf"a\.arff, line {number}: .*{message}"):
        read_sequences(put("a.arff", f"{head}{good}\n{line}\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@relation r\n", "has no line @data; is it a whole .arff file"),
        (UNI, "has no rows after @data"),
        ("hello\n", "line 1: 'hello' comes before @data"),
        ("@attribute a\n@data\n", "line 1: '@attribute a' has no type"),
        (MULTI.replace("@end rel\n", ""), "has no @end of the relational attribute 'rel'"),
        ("@attribute a string\n@attribute b {x}\n@data\nu,x\n", "'a' is string; drop it"),
        ("@attribute b {x}\n@data\nx\n", "and there is none"),
        ("@attribute c numeric\n" + MULTI, "has 2 attributes beside the label, one of them rel"),
    ],
)
def test_files_that_cannot_be_read(put, text, message):
    with pytest.raises(DataError, match=message):
        read_sequences(put("a.arff", text))


def test_unknown_words_are_told(read):
    reading, _ = read("a.arff", "@foo 1\n" + UNI + "1,2,3,a\n")
    assert reading.notes[0].endswith("a.arff, line 1: @foo is not known, and ignored.")
