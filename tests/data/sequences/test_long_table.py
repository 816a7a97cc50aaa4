"""Tables with a row for each step: files and frames, times, labels, and what is wrong in them."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from recurra.data.sequences.sequence_sources import read_sequences
from recurra.data.transcripts.bad_items import BadItems
from recurra.data.transcripts.chosen_rows import choose_items
from recurra.errors import DataError

TABLE = pd.DataFrame(
    {
        "case": ["b", "a", "b", "a", "b"],
        "time": [0.5, 0.0, 1.0, 2.0, 1.75],
        "x": [1.0, 10.0, 2.0, np.nan, 3.0],
        "z": [1e-4, 1e4, 2e-4, 2e4, 3e-4],
        "who": ["ann", "bob", "ann", "bob", "ann"],
        "label": ["up", "down", "up", "down", "up"],
    }
)


def texts(items):
    return [(item.name, item.text) for item in items]


def sources(tmp_path):
    """The table in every form."""
    TABLE.to_csv(tmp_path / "t.csv", index=False)
    TABLE.to_csv(tmp_path / "t.csv.gz", index=False)
    TABLE.to_csv(tmp_path / "t.tsv", index=False, sep="\t")
    TABLE.to_parquet(tmp_path / "t.parquet")
    files = [tmp_path / name for name in ("t.csv", "t.csv.gz", "t.tsv", "t.parquet")]
    arrow = pl.from_pandas(TABLE).to_arrow()
    return [*files, str(files[0]), TABLE, pl.from_pandas(TABLE, nan_to_null=True), arrow]


def test_every_form_of_a_table_gives_the_same(tmp_path):
    for source in sources(tmp_path):
        reading = read_sequences(source)
        assert texts(reading.items) == [("b", "up"), ("a", "down")]
        b, a = (item.data for item in reading.items)
        assert b.channels == ("x", "z")
        assert b.times.tolist() == [0.5, 1, 1.75]
        np.testing.assert_array_equal(b.values.T, np.float32([[1, 2, 3], [1e-4, 2e-4, 3e-4]]))
        np.testing.assert_array_equal(a.values.T, np.float32([[10, np.nan], [1e4, 2e4]]))
        assert reading.items[1].columns == {"who": "bob"}
        assert not reading.notes


def test_rows_are_sorted_by_time_and_this_is_told():
    mixed = TABLE.iloc[[4, 1, 0, 3, 2]]
    reading = read_sequences(mixed)
    assert reading.items[0].data.values[:, 0].tolist() == [1, 2, 3]
    assert reading.items[0].data.times.tolist() == [0.5, 1, 1.75]
    (note,) = reading.notes
    assert note.endswith(
        "1 of 2 sequences had rows that weren't in order of 'time'; they were sorted."
    )


def test_dates_are_seconds_since_the_first(put):
    rows = "a,2024-01-01 00:00:00.5,1,u\na,2024-01-01 00:01:00,2,u\nb,2024-01-03,5,v\n"
    items = read_sequences(put("a.csv", "id,time,x,label\n" + rows)).items
    assert [item.data.times.tolist() for item in items] == [[0, 59.5], [0]]


def test_labels_and_ids_of_files_stay_as_they_are_written(put):
    rows = "007,1,01\n007,2,01\n8,3,1.50\n"
    assert texts(read_sequences(put("a.csv", "id,x,target\n" + rows)).items) == [
        ("007", "01"),
        ("8", "1.50"),
    ]
    frame = pd.DataFrame({"id": [7, 8], "x": [1.0, 2.0], "target": [1.0, 2.5]})
    assert texts(read_sequences(frame).items) == [("7", "1"), ("8", "2.5")]


def test_columns_can_be_named():
    frame = TABLE.rename(columns={"case": "who are you", "time": "at", "label": "result"})
    roles = {"id_column": "who are you", "time_column": "at", "label_column": "result"}
    items = read_sequences(frame, channels=["z"], **roles).items
    assert items[0].data.channels == ("z",)
    assert texts(items) == [("b", "up"), ("a", "down")]
    assert [item.name for item in choose_items(items, "who=bob")] == ["a"]
    assert [item.name for item in read_sequences(frame, where="who=ann", **roles).items] == ["b"]


def test_y_is_a_channel_beside_x_and_a_label_by_itself():
    frame = pd.DataFrame({"id": [1, 1], "x": [1, 2], "y": [3, 4], "z": [5, 6], "class": "u"})
    assert read_sequences(frame).items[0].data.channels == ("x", "y", "z")
    frame = pd.DataFrame({"id": [1, 1], "v": [1, 2], "y": [3, 3]})
    item = read_sequences(frame).items[0]
    assert (item.data.channels, item.text) == (("v",), "3")


def test_a_label_for_each_step():
    frame = TABLE.assign(label=list("uvwxy"))
    items = read_sequences(frame, label="step").items
    assert [item.data.labels for item in items] == [("u", "w", "y"), ("v", "x")]
    assert texts(items) == [("b", None), ("a", None)]


def test_steps_of_a_table_without_ids_are_one_sequence():
    items = read_sequences(TABLE.drop(columns="case").sort_values("time"), label="step").items
    assert items[0].data.labels == ("down", "up", "up", "up", "down")
    assert len(items) == 1


def test_steps_without_a_label():
    frame = TABLE.assign(label=["u", None, "w", "x", "y"])
    items = read_sequences(frame, label="step").items
    assert [item.data.labels for item in items] == [("u", "w", "y"), ("", "x")]
    frame = TABLE.assign(label=["u", None, "w", None, "y"])
    with pytest.raises(DataError, match=r"sequence 'a'.*none of its steps has a label"):
        read_sequences(frame, label="step")


def test_labels_that_change_within_sequences_are_of_steps():
    frame = TABLE.assign(label=list("uvwxy"))
    assert [item.data.labels for item in read_sequences(frame, label="auto").items] == [
        ("u", "w", "y"),
        ("v", "x"),
    ]
    assert texts(read_sequences(TABLE, label="auto").items) == texts(read_sequences(TABLE).items)
    reading = read_sequences(frame.drop(columns="case").sort_values("time"), label="auto")
    assert [item.data.steps for item in reading.items] == [5]
    assert "so all 5 rows are one" in reading.notes[0]
    same = TABLE.drop(columns="case").assign(label="u", time=range(5))
    with pytest.raises(DataError, match="no column names the sequence of a row"):
        read_sequences(same, label="auto")


def test_labels_of_several_columns():
    frame = TABLE.assign(p=[1.5, 2, 3, None, 5], q=[0, 1, 2, None, 4])
    items = read_sequences(frame, label="auto", label_column="p,q").items
    assert items[0].data.labels == ("[1.5, 0.0]", "[3.0, 2.0]", "[5.0, 4.0]")
    assert items[1].data.labels == ("[2.0, 1.0]", "")
    assert "p" not in items[0].data.channels
    with pytest.raises(DataError, match="no column 'r'"):
        read_sequences(frame, label="auto", label_column="p,r")
    unlabelled = read_sequences(TABLE, label="step", label_column="p,q", texts=False)
    assert unlabelled.items[0].data.labels is None


def test_lesser_names_of_ids_and_labels_count_where_no_other_is_there():
    frame = pd.DataFrame({"unit": [1, 1, 2, 2], "cycle": [1, 2, 1, 2], "s": range(4)})
    reading = read_sequences(frame.assign(rul=[1, 0, 1, 0]), label="auto")
    assert [item.data.labels for item in reading.items] == [("1", "0"), ("1", "0")]
    other = read_sequences(frame.assign(rul=[1, 0, 1, 0], id=1, cycle=range(4), label="u"))
    assert other.items[0].data.channels == ("unit", "s", "rul")


def test_a_label_may_stand_in_one_row_alone():
    frame = TABLE.assign(label=["up", None, None, "down", None])
    assert texts(read_sequences(frame).items) == [("b", "up"), ("a", "down")]


def test_columns_that_are_left_out_are_told():
    frame = TABLE.assign(who=list("vwxyz"))
    reading = read_sequences(frame)
    assert reading.items[0].columns == {}
    assert "column 'who' isn't of numbers ('v' in row 0 (from 0)) and changes" in reading.notes[0]
    assert not read_sequences(frame, channels=["x"]).notes


HEAD = "case,time,x,label\na,0,1,u\na,1,2,u\n"
BAD = {
    "b,0,1,u\nb,1,2,v\n": "its label is 'u' in row 4 and 'v' in row 5; give a sequence one label",
    "b,0,1,\nb,1,2,\n": "sequence 'b' (row 4): has no label",
    "b,0,1,u\nb,1,soon,u\n": "row 5: column 'x' has 'soon', where a number is needed",
    "b,0,1,u\nb,1,inf,u\n": "row 5: column 'x' is inf; values are finite",
    "b,0,,u\nb,1,,u\n": "all its values are missing",
    "b,3,1,u\nb,0,1,u\nb,3,2,u\n": "row 4 and row 6 have the same 'time' (3.0); keep one row",
    "b,0,1,u\nb,,2,u\n": "row 5 has no 'time'; fill it or drop the row",
}


@pytest.mark.parametrize("rows", BAD)
def test_one_bad_sequence_ends_nothing(read, put, rows):
    reading, bad = read("a.csv", f"{HEAD}{rows}c,0,1,w\n")
    assert texts(reading.items) == [("a", "u"), ("c", "w")]
    assert len(bad) == 1
    assert BAD[rows] in bad[0]
    assert "sequence 'b' (row 4)" in bad[0]
    with pytest.raises(DataError, match="sequence 'b'"):
        read_sequences(put("a.csv", f"{HEAD}{rows}"))


def test_too_many_bad_sequences_end_the_reading():
    frame = TABLE.assign(label=["up", "v", "down", "w", "up"])
    with pytest.raises(DataError, match="2 of 2 items can't be used"):
        read_sequences(frame, bad=BadItems(share=0.1))


@pytest.mark.parametrize(
    ("frame", "more", "message"),
    [
        (TABLE.drop(columns="case"), {}, r"no column names the sequence of a row .*id_column = N"),
        (TABLE.drop(columns="label"), {}, r"no column has the labels .*label_column = NAME"),
        (TABLE, {"channels": ["X"]}, r"no column 'X' \(channel\).*Did you mean 'x'"),
        (TABLE, {"id_column": "cas"}, "no column 'cas'"),
        (TABLE[["case", "label"]], {}, "has no column of numbers beside case"),
        (TABLE.assign(id=1), {}, r"columns 'case', 'id' may each be the id; say which"),
        (TABLE.assign(case=["b", None, "b", "a", "b"]), {}, r"row 1 \(from 0\) has no 'case'"),
        (TABLE.iloc[:0], {}, "has no rows"),
        (TABLE.assign(time="soon"), {}, "row 0 .*'soon', which can't be read as a date"),
    ],
)
def test_tables_that_cannot_be_read(frame, more, message):
    with pytest.raises(DataError, match=message):
        read_sequences(frame, **more)


def test_files_that_are_not_tables(put):
    with pytest.raises(DataError, match="is it a whole Parquet file"):
        read_sequences(put("a.parquet", b"PAR1xx"))
    with pytest.raises(DataError, match=r"row 3.*Expected 4"):
        read_sequences(put("a.csv", "case,time,x,label\na,0,1,u\na,1,2\n"), time_column="time")
    with pytest.raises(DataError, match=r"a.xlsx: .xlsx is none of .ts, .arff"):
        read_sequences(put("a.xlsx", b"PK"))


@pytest.mark.data
def test_days_of_real_hours(real_data):
    reading = read_sequences(
        real_data / "bike_sharing" / "hour.csv",
        id_column="dteday",
        time_column="hr",
        label_column="workingday",
        channels=["temp", "cnt"],
    )
    assert len(reading.items) == 731
    assert sum(item.data.steps for item in reading.items) == 17_379
    first = reading.items[0]
    assert (first.name, first.text, first.columns["weekday"]) == ("2011-01-01", "0", "6")
    assert first.data.values[:2].tolist() == np.float32([[0.24, 16], [0.22, 40]]).tolist()
    assert first.data.times.tolist() == list(range(24))
