"""Text files with a sequence in each row, told from tables by their content."""

import numpy as np
import pytest

from recurra.data.sequences.sequence_sources import read_sequences
from recurra.data.sequences.ucr_rows import holds_ucr_rows
from recurra.errors import DataError


def contents(reading):
    return [(item.text, item.data.values.T.tolist()) for item in reading.items]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", "1\t1.5\t2.5\tNaN\n2\t-3\t2e4\t7\n"),
        ("a.tsv", "1\t1.5\t2.5\t\n2\t-3\t2e4\t7\n"),
        ("a.txt", "  1.0000000e+00   1.5  2.5  NaN\n  2.0  -3  2e4  7\n"),
        ("a.txt", "1,1.5,2.5,NaN\n2,-3,2e4,7\n"),
        ("a.csv", "1,1.5,2.5\n\n2,-3,2e4,7\n"),
        ("a.csv", "label,t0,t1,t2\n1,1.5,2.5,\n2,-3,2e4,7\n"),
        ("a.csv", '"1",1.5,2.5,?\n"2",-3,2e4,7\n'),
    ],
)
def test_formats_of_one_content(read, name, content):
    """The values that aeon 1.6 reads; it keeps the padding, which makes sequences equally long."""
    reading, bad = read(name, content)
    assert contents(reading) == [("1", [[1.5, 2.5]]), ("2", [[-3, 2e4, 7]])]
    assert not bad
    assert "each row is taken as a sequence, its label first" in reading.notes[0]


def test_values_missing_inside_stay(read):
    reading, _ = read("a.tsv", "a\tNaN\t1\t?\t2\tNaN\tNaN\n")
    np.testing.assert_array_equal(reading.items[0].data.values.T, [[np.nan, 1, np.nan, 2]])


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("a.csv", "id,x,label\n1,2,3\n", False),
        ("a.csv", "id,time\n1,2\n", False),
        ("a.csv", "label,x,y\na,2,3\n", False),
        ("a.csv", "label,1,2\na,2,3\n", True),
        ("a.csv", "walk,0.5,NaN\n", True),
        ("a.tsv", "3\t?\t1\n", True),
        ("a.txt", "3\n", False),
    ],
)
def test_rows_are_told_from_tables(put, name, content, rows):
    assert holds_ucr_rows(put(name, content)) == rows


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a\t1\tx", "value 2 is 'x', where a number is needed"),
        ("a\t1\tinf", "is inf"),
        ("a\tNaN\tNaN", "all its values are missing"),
        ("\t1\t2", "has no label"),
        ("NaN\t1\t2", "has no label"),
        ("a", "has a label and no values"),
    ],
)
def test_one_bad_row_ends_nothing(read, put, row, message):
    reading, bad = read("a.tsv", f"a\t1\t2\n{row}\nb\t3\t4\n")
    assert [item.text for item in reading.items] == ["a", "b"]
    assert len(bad) == 1
    with pytest.raises(DataError, match=rf"a\.tsv, line 2: .*{message}"):
        read_sequences(put("a.tsv", f"a\t1\t2\n{row}\n"))


def test_a_header_alone(put):
    with pytest.raises(DataError, match="has a header and no rows"):
        read_sequences(put("a.csv", "label,0,1\n"))
